//! Which blobs a layout's roots lead to, for pruning.

use std::collections::BTreeMap;
use std::io::Read;

use super::Layout;
use crate::digest::Digest;
use crate::limits::MAX_MANIFEST_SIZE;

/// All blobs that are there and that the text of `index.json` leads to, with their sizes in bytes.
///
/// Rather too many than too few: *every* digest in a reachable document counts (`subject`,
/// annotations, members nobody knows), whatever it stands for.
pub(crate) fn reachable(layout: &Layout, index_json: &str) -> BTreeMap<Digest, u64> {
    let mut found = BTreeMap::new();
    let mut texts = vec![index_json.to_owned()];
    while let Some(text) = texts.pop() {
        for digest in digests_in(&text) {
            if found.contains_key(&digest) {
                continue;
            }
            let Ok(Some(size)) = layout.blob_size(&digest) else { continue };
            found.insert(digest, size);
            if size <= MAX_MANIFEST_SIZE
                && begins_as_document(layout, &digest, size)
                && let Ok(Some(bytes)) = layout.read_blob(&digest, size, MAX_MANIFEST_SIZE)
                && let Ok(text) = String::from_utf8(bytes)
            {
                texts.push(text);
            }
        }
    }
    found
}

/// Whether the blob's first byte is that of a JSON object: layers and zTOCs are not read further.
fn begins_as_document(layout: &Layout, digest: &Digest, size: u64) -> bool {
    let mut first = [0];
    let Ok(Some(mut file)) = layout.open_blob(digest, size) else { return false };
    file.read_exact(&mut first).is_ok() && first == *b"{"
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
