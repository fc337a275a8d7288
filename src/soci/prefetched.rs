//! What a reader takes of a prefetch artifact: the spans of a layer that are fetched before the mount returns
//! (`soci-formats` 5.4, 7.3; reference: `soci/prefetch.go`).

use super::prefetch::VERSION;
use crate::error::Error;
use crate::layout::descriptor::Object;
use crate::oci::json::schema::{self, PREFETCH};

/// First and last span.
pub(crate) type Range = (i64, i64);

/// Why the reader takes nothing of an artifact.
#[derive(Debug, thiserror::Error)]
#[error("{place}: expected {expected}, found {found}")]
pub(crate) struct Mistake {
    pub(crate) place: String,
    /// Where in the text, in bytes.
    pub(crate) offset: Option<u64>,
    pub(crate) expected: &'static str,
    pub(crate) found: String,
}

/// Reads an artifact's text. The inner error is what its reader stumbles over.
///
/// # Errors
/// None that can happen: the text was checked before.
pub(crate) fn parse(text: &str) -> Result<Result<Vec<Range>, Mistake>, Error> {
    let wrong = |place: String, offset, expected, found| {
        Ok(Err(Mistake { place, offset, expected, found }))
    };
    if let Err(mistake) = schema::check(text, 0, &PREFETCH, None) {
        let (place, at) = ("its JSON text".to_owned(), Some(mistake.offset as u64));
        return wrong(place, at, "a prefetch artifact", mistake.problem);
    }
    let list = Object::read(text, "a prefetch artifact")?;
    let version = list.text("version")?;
    if version != VERSION {
        return wrong("version".to_owned(), None, VERSION, version);
    }
    let mut ranges = Vec::new();
    for (number, span) in list.objects("prefetch_spans")?.iter().enumerate() {
        let members = ["start_span", "end_span"].map(|name| span.value(name).unwrap_or("0"));
        let [Some(start), Some(end)] = members.map(number_of) else {
            let place = format!("prefetch_spans[{number}]");
            let expected = "start_span and end_span, numbers of 32 bits";
            return wrong(place, None, expected, members.join(" and "));
        };
        ranges.push((start, end));
    }
    Ok(Ok(ranges))
}

fn number_of(text: &str) -> Option<i64> {
    text.parse().ok().map(|number: i32| number.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reader_takes() {
        let list = |spans: &str| format!("{{\"version\":\"1.0\",\"prefetch_spans\":{spans}}}");
        let read = |text: &str| parse(text).expect("never").map_err(|mistake| mistake.place);
        assert_eq!(read(&list("[{\"start_span\":1,\"end_span\":2},{}]")), Ok(vec![(1, 2), (0, 0)]));
        assert_eq!(read(&list("null")), Ok(Vec::new()));
        for (text, place) in [
            ("{}".to_owned(), "version"),
            ("[]".to_owned(), "its JSON text"),
            (list("[{},{\"start_span\":2147483648}]"), "prefetch_spans[1]"),
            (list("[{\"start_span\":0.5}]"), "its JSON text"),
        ] {
            assert_eq!(read(&text), Err(place.to_owned()), "{text}");
        }
    }

    #[test]
    fn numbers_as_go_takes_them() {
        assert_eq!(number_of("-0"), Some(0));
        assert_eq!(number_of("7"), Some(7));
        for wrong in ["2147483648", "0.5", "\"1\""] {
            assert_eq!(number_of(wrong), None, "{wrong}");
        }
    }
}
