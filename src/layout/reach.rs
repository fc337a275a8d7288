//! Which blobs a layout's roots lead to, for pruning and for writing archives.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;

use super::Layout;
use crate::digest::Digest;
use crate::limits::MAX_MANIFEST_SIZE;

/// Blobs that are there and that something leads to, with their sizes in bytes.
#[derive(Debug, Default)]
pub(crate) struct Reachable {
    pub(crate) sha256: BTreeMap<Digest, u64>,
    /// By their hexadecimal digits. They are followed, so that nothing that only they lead to is taken
    /// for superfluous.
    pub(crate) sha512: BTreeMap<String, u64>,
}

/// All blobs that are there and that the text of `index.json` leads to, with their sizes in bytes.
///
/// Rather too many than too few: *every* digest in a reachable document counts (`subject`,
/// annotations, members nobody knows), whatever it stands for.
pub(crate) fn reachable(layout: &Layout, index_json: &str) -> BTreeMap<Digest, u64> {
    reachable_from(layout, vec![index_json.to_owned()]).sha256
}

/// As [`reachable`], from several texts. Blobs may also be named by their paths (`blobs/sha256/…`), as
/// Docker's `manifest.json` does.
pub(crate) fn reachable_from(layout: &Layout, mut texts: Vec<String>) -> Reachable {
    let mut found = Reachable::default();
    while let Some(text) = texts.pop() {
        for digest in digests_in(&text) {
            let Entry::Vacant(place) = found.sha256.entry(digest) else { continue };
            let Ok(Some(size)) = layout.blob_size(&digest) else { continue };
            place.insert(size);
            if size <= MAX_MANIFEST_SIZE
                && let Ok(Some(bytes)) = layout.read_blob(&digest, size, MAX_MANIFEST_SIZE)
            {
                texts.extend(document(bytes));
            }
        }
        for hex in hexes_in(&text, "sha512", 128) {
            let path = layout.path().join("blobs").join("sha512").join(hex);
            let size = match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_file() => metadata.len(),
                _ => continue,
            };
            if found.sha512.insert(hex.to_owned(), size).is_none()
                && size <= MAX_MANIFEST_SIZE
                && let Ok(bytes) = fs::read(&path)
            {
                texts.extend(document(bytes));
            }
        }
    }
    found
}

fn document(bytes: Vec<u8>) -> Option<String> {
    if bytes.first() == Some(&b'{') { String::from_utf8(bytes).ok() } else { None }
}

fn digests_in(text: &str) -> impl Iterator<Item = Digest> {
    hexes_in(text, "sha256", 64).filter_map(Digest::from_hex)
}

/// What stands behind `algorithm:` or `algorithm/` and is that many lowercase hexadecimal digits.
fn hexes_in<'a>(text: &'a str, algorithm: &'a str, digits: usize) -> impl Iterator<Item = &'a str> {
    text.match_indices(algorithm).filter_map(move |(at, _)| {
        let start = at + algorithm.len() + 1;
        let separated = matches!(text.as_bytes().get(start - 1), Some(b':' | b'/'));
        let hex = text.get(start..start + digits).filter(|_| separated)?;
        hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then_some(hex)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_digest() {
        let (a, b, c) = (Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"c"));
        let text = format!(
            "{{\"x\":\"{a}\",\"y\":[\"sha256:12\",\"{b}@v\"],\"p\":\"blobs/sha256/{}\",\"z\":\"sha256:\"}}",
            c.hex()
        );
        assert_eq!(digests_in(&text).collect::<Vec<_>>(), [a, b, c]);
        let wide = a.hex() + &b.hex();
        let text = format!("sha512:{wide} sha512:{} sha512+{wide} sha512", a.hex());
        assert_eq!(hexes_in(&text, "sha512", 128).collect::<Vec<_>>(), [wide.as_str()]);
    }
}
