//! Which blobs a layout's roots lead to, for pruning.

use std::collections::BTreeMap;

use super::Layout;
use crate::digest::Digest;
use crate::limits::MAX_MANIFEST_SIZE;

/// A blob that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Whether its content is that of its digest; `None` when it was not read.
    pub(crate) whole: Option<bool>,
}

/// All blobs that are there and that the text of `index.json` leads to, with their sizes in bytes.
///
/// Rather too many than too few: *every* digest in a reachable document counts (`subject`,
/// annotations, members nobody knows), whatever it stands for.
pub(crate) fn reachable(layout: &Layout, index_json: &str) -> BTreeMap<Digest, u64> {
    let found = find(layout, index_json, |_| false);
    found.into_iter().map(|(digest, reached)| (digest, reached.size)).collect()
}

/// As [`reachable`]; blobs that are no documents, by `known`, are not read.
pub(crate) fn find(
    layout: &Layout,
    index_json: &str,
    known: impl Fn(&Digest) -> bool,
) -> BTreeMap<Digest, Reached> {
    let mut found = BTreeMap::new();
    let mut texts = vec![index_json.to_owned()];
    while let Some(text) = texts.pop() {
        for digest in digests_in(&text) {
            if found.contains_key(&digest) {
                continue;
            }
            let Ok(Some(size)) = layout.blob_size(&digest) else { continue };
            if size > MAX_MANIFEST_SIZE || known(&digest) {
                found.insert(digest, Reached { size, whole: None });
                continue;
            }
            let read = layout.read_blob(&digest, size, MAX_MANIFEST_SIZE);
            found.insert(digest, Reached { size, whole: Some(matches!(read, Ok(Some(_)))) });
            if let Ok(Some(bytes)) = read
                && bytes.first() == Some(&b'{')
                && let Ok(text) = String::from_utf8(bytes)
            {
                texts.push(text);
            }
        }
    }
    found
}

fn digests_in(text: &str) -> impl Iterator<Item = Digest> {
    const START: &str = "sha256:";
    text.match_indices(START).filter_map(|(at, _)| {
        let hex = text.get(at + START.len()..at + START.len() + 64)?;
        Digest::from_hex(hex)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_digest() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let text = format!("{{\"x\":\"{a}\",\"y\":[\"sha256:12\",\"{b}@v\"],\"z\":\"sha256:\"}}");
        assert_eq!(digests_in(&text).collect::<Vec<_>>(), [a, b]);
    }
}
