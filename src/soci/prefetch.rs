//! Prefetch artifacts: the spans of a layer that a reader fetches before the image starts, to the byte
//! (`soci-formats` 5.4; reference: `soci/prefetch.go`, `normalizePrefetchSpans` in `soci/soci_index.go`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::oci::digest::Digest;

/// The version of the format; the reader takes no other.
pub(crate) const VERSION: &str = "1.0";

/// First and last span.
pub(crate) type Spans = (u64, u64);

/// An artifact as a SOCI index lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PrefetchEntry {
    pub(crate) artifact: Digest,
    pub(crate) size: u64,
    pub(crate) layer: Digest,
}

/// The spans that are to be fetched ahead of each image, by the image's manifest and by layer.
#[derive(Debug, Default)]
pub(crate) struct Prefetch {
    images: BTreeMap<Digest, BTreeMap<Digest, Vec<Spans>>>,
}

impl Prefetch {
    /// Sets the spans of a layer of an image.
    pub(crate) fn insert(&mut self, image: Digest, layer: Digest, spans: &SpanSet) {
        self.images.entry(image).or_default().insert(layer, spans.ranges());
    }

    /// The entries for an image with these layers, bottom first, one for each time that a layer is there, and
    /// the artifacts' texts.
    pub(crate) fn of_image<'a>(
        &self,
        image: &Digest,
        layers: impl Iterator<Item = &'a Digest>,
    ) -> (Vec<PrefetchEntry>, Vec<String>) {
        let Some(of_image) = self.images.get(image) else { return Default::default() };
        let spans = layers.filter_map(|layer| Some((*layer, of_image.get(layer)?)));
        spans
            .filter(|(_, spans)| !spans.is_empty())
            .map(|(layer, spans)| {
                let text = encode(spans);
                let (artifact, size) = (Digest::of(text.as_bytes()), text.len() as u64);
                (PrefetchEntry { artifact, size, layer }, text)
            })
            .unzip()
    }
}

/// Ranges of spans in order, those joined that overlap or follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpanSet(BTreeMap<u64, u64>);

/// What an insertion did: the range that is there now, and those that went into it.
#[derive(Debug)]
pub(crate) struct Inserted {
    pub(crate) now: Spans,
    pub(crate) before: Vec<Spans>,
}

impl SpanSet {
    pub(crate) fn insert(&mut self, (mut first, mut last): Spans) -> Inserted {
        let mut before = Vec::new();
        while let Some((start, end)) = self.0.range(..=last.saturating_add(1)).next_back() {
            let (start, end) = (*start, *end);
            if end.saturating_add(1) < first {
                break;
            }
            self.0.remove(&start);
            before.push((start, end));
            (first, last) = (first.min(start), last.max(end));
        }
        self.0.insert(first, last);
        Inserted { now: (first, last), before }
    }

    /// Takes the latest insertion back.
    pub(crate) fn undo(&mut self, inserted: Inserted) {
        self.0.remove(&inserted.now.0);
        self.0.extend(inserted.before);
    }

    pub(crate) fn ranges(&self) -> Vec<Spans> {
        self.0.iter().map(|(first, last)| (*first, *last)).collect()
    }
}

/// How many spans those are; never too many to count, whatever an artifact says.
pub(crate) fn count(ranges: &[Spans]) -> u64 {
    let length = |(first, last): &Spans| last.saturating_sub(*first).saturating_add(1);
    ranges.iter().map(length).fold(0, u64::saturating_add)
}

/// The text of an artifact.
pub(crate) fn encode(spans: &[Spans]) -> String {
    let mut out = format!("{{\"version\":\"{VERSION}\",\"prefetch_spans\":[");
    for (position, (start, end)) in spans.iter().enumerate() {
        let comma = if position > 0 { "," } else { "" };
        let _ = write!(out, "{comma}{{\"start_span\":{start},\"end_span\":{end}}}");
    }
    out.push_str("]}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(spans: &[Spans]) -> SpanSet {
        let mut set = SpanSet::default();
        for range in spans {
            set.insert(*range);
        }
        set
    }

    #[test]
    fn spans_are_sorted_and_joined_as_the_reference_does() {
        for (spans, expected) in [
            (vec![], vec![]),
            (vec![(3, 3), (1, 1)], vec![(1, 1), (3, 3)]),
            (vec![(2, 2), (1, 1)], vec![(1, 2)]),
            (vec![(0, 9), (2, 3), (10, 10)], vec![(0, 10)]),
            (vec![(5, 6), (5, 5), (0, 1)], vec![(0, 1), (5, 6)]),
            (vec![(0, u64::MAX), (7, 8)], vec![(0, u64::MAX)]),
        ] {
            assert_eq!(set(&spans).ranges(), expected, "{spans:?}");
        }
    }

    #[test]
    fn an_insertion_can_be_taken_back() {
        let before = set(&[(0, 1), (4, 5), (9, 9)]);
        for range in [(2, 2), (2, 3), (0, 20), (7, 7), (4, 4), (6, 8)] {
            let mut changed = before.clone();
            let inserted = changed.insert(range);
            changed.undo(inserted);
            assert_eq!(changed, before, "{range:?}");
        }
    }

    #[test]
    fn one_entry_for_each_time_a_layer_is_there() {
        let [image, a, b] = ["image", "a", "b"].map(|text| Digest::of(text.as_bytes()));
        let mut prefetch = Prefetch::default();
        prefetch.insert(image, a, &set(&[(4, 4), (0, 1)]));
        prefetch.insert(image, b, &set(&[]));
        let (entries, texts) = prefetch.of_image(&image, [a, b, a].iter());
        assert_eq!(entries.iter().map(|entry| entry.layer).collect::<Vec<_>>(), [a, a]);
        let expected = r#"{"version":"1.0","prefetch_spans":[{"start_span":0,"end_span":1},{"start_span":4,"end_span":4}]}"#;
        assert_eq!(texts, [expected, expected]);
        assert!(prefetch.of_image(&a, [a].iter()).0.is_empty());
    }
}
