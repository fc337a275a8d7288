//! Views of a JSON text that know where each value stands in it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::excerpt::excerpt;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One member of an object.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// Its name, escapes resolved.
    pub name: Cow<'a, str>,
    /// Where it stands in the text, with its quotes.
    pub name_at: usize,
    /// Its value as it stands in the text.
    pub value: &'a str,
    /// Where the value stands in the text.
    pub range: Range<usize>,
}

/// One element of an array.
#[derive(Clone, Debug)]
pub struct Element<'a> {
    /// As it stands in the text.
    pub value: &'a str,
    /// Where it stands in the text.
    pub range: Range<usize>,
}

/// The members of the object that `text` is, in their order.
///
/// # Errors
/// When `text` is no JSON object, or a name occurs twice: of two members Go takes the last, other readers the
/// first, and the document would be ambiguous.
pub fn members(text: &str) -> Result<Vec<Member<'_>>, serde_json::Error> {
    let list = all_members(text)?;
    let mut seen = std::collections::HashSet::with_capacity(list.len());
    match list.iter().find(|member| !seen.insert(&member.name)) {
        None => Ok(list),
        Some(Member { name, name_at, .. }) => Err(de::Error::custom(format_args!(
            "the member {:?} occurs twice (again at byte {name_at})",
            excerpt(name)
        ))),
    }
}

/// As [`members`], with those that occur twice.
pub(super) fn all_members(text: &str) -> Result<Vec<Member<'_>>, serde_json::Error> {
    let Members(list) = serde_json::from_str(text)?;
    let mut end = 0;
    Ok(list
        .into_iter()
        .map(|(name, value)| {
            let range = range_in(text, value);
            // Between a value and the next name stands no other quote.
            let name_at = text[end..].find('"').map_or(end, |at| end + at);
            end = range.end;
            Member { name, name_at, value: value.get(), range }
        })
        .collect())
}

/// The elements of the array that `text` is.
///
/// # Errors
/// When `text` is no JSON array.
pub fn elements(text: &str) -> Result<Vec<Element<'_>>, serde_json::Error> {
    let list: Vec<&RawValue> = serde_json::from_str(text)?;
    Ok(list
        .into_iter()
        .map(|value| Element { value: value.get(), range: range_in(text, value) })
        .collect())
}

/// Raw values borrow from the text they were read from, so their address is their place.
fn range_in(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + value.get().len()
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, _>()? {
                    list.push((name, value));
                }
                Ok(Members(list))
            }
        }
        deserializer.deserialize_map(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_lead_back_to_the_values() {
        let text = " { \"a\" : [1, {\"x\":2} ,\"\\u0061\"],\n\"\\u0062\":null } ";
        let object = members(text).expect("valid");
        let names: Vec<&str> = object.iter().map(|m| m.name.as_ref()).collect();
        assert_eq!(names, ["a", "b"]);
        for member in &object {
            assert_eq!(&text[member.range.clone()], member.value);
            assert!(text[member.name_at..].starts_with('"'));
        }
        assert_eq!(object.iter().map(|m| m.name_at).collect::<Vec<_>>(), [3, 33]);
        let values: Vec<&str> =
            elements(object[0].value).expect("valid").iter().map(|e| e.value).collect();
        assert_eq!(values, ["1", "{\"x\":2}", "\"\\u0061\""]);
    }

    #[test]
    fn refuses_names_that_occur_twice() {
        assert!(members("{\"a\":1,\"\\u0061\":2}").is_err());
        assert!(members("{\"a\":1,\"A\":2}").is_ok());
        assert!(members("{\"a\":1}x").is_err());
        assert!(members("[]").is_err());
        assert!(elements("{}").is_err());
    }
}
