//! Which blobs a layout's roots lead to, for pruning and garbage collection.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::Layout;
use crate::digest::Digest;
use crate::error::Error;
use crate::limits::{MAX_INDEX_JSON_SIZE, MAX_MANIFEST_SIZE};

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
/// annotations, members nobody knows), whatever it stands for. A document that cannot be read leads to
/// nothing; [`must_stay`] refuses it.
pub(crate) fn reachable(layout: &Layout, index_json: &str) -> BTreeMap<Digest, u64> {
    sizes(find(layout, index_json, |_| false))
}

/// As [`reachable`]; blobs that are no documents, by `known`, are not read.
pub(crate) fn find(
    layout: &Layout,
    index_json: &str,
    known: impl Fn(&Digest) -> bool,
) -> BTreeMap<Digest, Reached> {
    let mut found = BTreeMap::new();
    // It cannot fail: every problem is passed over.
    let _ = follow(layout, index_json.to_owned(), &mut found, &known, &|_| Ok(()));
    found
}

/// All blobs that must stay in the layout: what [`reachable`] finds, and what a `manifest.json` of `docker
/// save` names, which leads to blobs by their paths.
///
/// # Errors
/// The first blob that cannot be read or is damaged and could be a document: nobody knows what it
/// refers to.
pub(crate) fn must_stay(layout: &Layout, index_json: &str) -> Result<BTreeMap<Digest, u64>, Error> {
    let mut found = BTreeMap::new();
    let docker = layout.path().join("manifest.json");
    let text = match fs::metadata(&docker) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_INDEX_JSON_SIZE => {
            fs::read(&docker).map_err(Error::io("read", &docker))?
        }
        _ => Vec::new(),
    };
    for digest in digests_behind(&String::from_utf8_lossy(&text), "blobs/sha256/") {
        if let Some(size) = layout.blob_size(&digest)? {
            found.insert(digest, Reached { size, whole: None });
        }
    }
    follow(layout, index_json.to_owned(), &mut found, &|_| false, &Err)?;
    Ok(sizes(found))
}

fn sizes(found: BTreeMap<Digest, Reached>) -> BTreeMap<Digest, u64> {
    found.into_iter().map(|(digest, reached)| (digest, reached.size)).collect()
}

fn follow(
    layout: &Layout,
    index_json: String,
    found: &mut BTreeMap<Digest, Reached>,
    known: &dyn Fn(&Digest) -> bool,
    problem: &dyn Fn(Error) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut texts = vec![index_json];
    while let Some(text) = texts.pop() {
        for digest in digests_in(&text) {
            if found.contains_key(&digest) {
                continue;
            }
            let size = match layout.blob_size(&digest) {
                Ok(Some(size)) => size,
                Ok(None) => continue,
                Err(error) => {
                    problem(error)?;
                    continue;
                }
            };
            if size > MAX_MANIFEST_SIZE || known(&digest) {
                found.insert(digest, Reached { size, whole: None });
                continue;
            }
            let read = layout.read_blob(&digest, size, MAX_MANIFEST_SIZE);
            found.insert(digest, Reached { size, whole: Some(matches!(read, Ok(Some(_)))) });
            match read {
                Ok(Some(bytes)) if bytes.trim_ascii_start().first() == Some(&b'{') => {
                    texts.extend(String::from_utf8(bytes));
                }
                Ok(_) => {}
                Err(error) => problem(error)?,
            }
        }
    }
    Ok(())
}

/// Every digest in a document, also one that is written with escapes.
fn digests_in(text: &str) -> Vec<Digest> {
    let mut found: Vec<Digest> = digests_behind(text, "sha256:").collect();
    if text.contains('\\')
        && let Ok(value) = serde_json::from_str::<Value>(text)
    {
        in_strings(&value, &mut found);
    }
    found
}

fn in_strings(value: &Value, found: &mut Vec<Digest>) {
    match value {
        Value::String(text) => found.extend(digests_behind(text, "sha256:")),
        Value::Array(list) => list.iter().for_each(|value| in_strings(value, found)),
        Value::Object(map) => {
            for (name, value) in map {
                found.extend(digests_behind(name, "sha256:"));
                in_strings(value, found);
            }
        }
        _ => {}
    }
}

fn digests_behind<'a>(text: &'a str, start: &'static str) -> impl Iterator<Item = Digest> + 'a {
    text.match_indices(start).filter_map(|(at, _)| {
        let hex = text.get(at + start.len()..at + start.len() + 64)?;
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
        assert_eq!(digests_in(&text), [a, b]);
        let escaped = format!("{{\"x\":[\"sha256\\u003a{}\"]}}", a.hex());
        assert_eq!(digests_in(&escaped), [a]);
    }
}
