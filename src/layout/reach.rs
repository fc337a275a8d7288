//! Which blobs a layout's roots lead to, for pruning, garbage collection and writing archives.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use serde_json::Value;

use super::Layout;
use crate::error::Error;
use crate::limits::{MAX_INDEX_JSON_SIZE, MAX_MANIFEST_SIZE};
use crate::oci::digest::Digest;

/// A blob that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Whether its content is that of its digest; `None` when it was not read.
    pub(crate) whole: Option<bool>,
}

/// Blobs that are there and that something leads to.
#[derive(Debug, Default)]
pub(crate) struct Reachable {
    pub(crate) sha256: BTreeMap<Digest, Reached>,
    /// By their hexadecimal digits, with their sizes in bytes. They are followed, so that nothing that
    /// only they lead to is taken for superfluous.
    pub(crate) sha512: BTreeMap<String, u64>,
}

impl Reachable {
    fn sizes(&self) -> BTreeMap<Digest, u64> {
        self.sha256.iter().map(|(digest, reached)| (*digest, reached.size)).collect()
    }
}

/// All blobs that are there and that the text of `index.json` leads to, with their sizes in bytes.
///
/// Rather too many than too few: *every* digest in a reachable document counts (`subject`,
/// annotations, members nobody knows), whatever it stands for. A document that cannot be read leads to
/// nothing; [`must_stay`] refuses it.
pub(crate) fn reachable(layout: &Layout, index_json: &str) -> BTreeMap<Digest, u64> {
    reachable_from(layout, vec![index_json.to_owned()]).sizes()
}

/// As [`reachable`]; blobs that are no documents, by `known`, are not read.
pub(crate) fn find(
    layout: &Layout,
    index_json: &str,
    known: impl Fn(&Digest) -> bool,
) -> BTreeMap<Digest, Reached> {
    let mut found = Reachable::default();
    // It cannot fail: every problem is passed over.
    let _ = follow(
        layout,
        vec![index_json.to_owned()],
        &mut found,
        &|digest, _| known(digest),
        &|_| Ok(()),
    );
    found.sha256
}

/// As [`reachable`], from several texts. Blobs may also be named by their paths (`blobs/sha256/…`), as
/// Docker's `manifest.json` does.
pub(crate) fn reachable_from(layout: &Layout, texts: Vec<String>) -> Reachable {
    let mut found = Reachable::default();
    // Layers and zTOCs are not read.
    let other = |digest: &Digest, size| !begins_as_document(layout, digest, size);
    // It cannot fail: every problem is passed over.
    let _ = follow(layout, texts, &mut found, &other, &|_| Ok(()));
    found
}

/// Whether the blob's first visible byte is that of a JSON object.
fn begins_as_document(layout: &Layout, digest: &Digest, size: u64) -> bool {
    let Ok(Some(file)) = layout.open_blob(digest, size) else { return false };
    let mut start = Vec::new();
    file.take(64).read_to_end(&mut start).is_ok() && is_document(&start)
}

/// All blobs that must stay in the layout: what [`reachable`] finds, and what a `manifest.json` of `docker
/// save` leads to.
///
/// # Errors
/// The first blob that cannot be read or is damaged and could be a document: nobody knows what it
/// refers to.
pub(crate) fn must_stay(layout: &Layout, index_json: &str) -> Result<BTreeMap<Digest, u64>, Error> {
    let mut texts = vec![index_json.to_owned()];
    let docker = layout.path().join("manifest.json");
    if let Ok(metadata) = fs::metadata(&docker)
        && metadata.is_file()
    {
        if metadata.len() > MAX_INDEX_JSON_SIZE {
            return Err(Error::Limit {
                place: docker.display().to_string(),
                what: "its size in bytes",
                limit: MAX_INDEX_JSON_SIZE,
                found: metadata.len(),
            });
        }
        let bytes = fs::read(&docker).map_err(Error::io("read", &docker))?;
        texts.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    let mut found = Reachable::default();
    follow(layout, texts, &mut found, &|_, _| false, &Err)?;
    Ok(found.sizes())
}

fn follow(
    layout: &Layout,
    mut texts: Vec<String>,
    found: &mut Reachable,
    skip: &dyn Fn(&Digest, u64) -> bool,
    problem: &dyn Fn(Error) -> Result<(), Error>,
) -> Result<(), Error> {
    while let Some(text) = texts.pop() {
        if let Some(strings) = unescaped(&text) {
            texts.push(strings);
        }
        for digest in digests_in(&text) {
            if found.sha256.contains_key(&digest) {
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
            if size > MAX_MANIFEST_SIZE || skip(&digest, size) {
                found.sha256.insert(digest, Reached { size, whole: None });
                continue;
            }
            let read = layout.read_blob(&digest, size, MAX_MANIFEST_SIZE);
            let whole = Some(matches!(read, Ok(Some(_))));
            found.sha256.insert(digest, Reached { size, whole });
            match read {
                Ok(bytes) => texts.extend(bytes.and_then(document)),
                Err(error) => problem(error)?,
            }
        }
        for hex in hexes_in(&text, "sha512", 128) {
            let path = layout.path().join("blobs").join("sha512").join(hex);
            let size = match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_file() => metadata.len(),
                _ => continue,
            };
            if found.sha512.insert(hex.to_owned(), size).is_none() && size <= MAX_MANIFEST_SIZE {
                match fs::read(&path).map_err(Error::io("read", &path)) {
                    Ok(bytes) => texts.extend(document(bytes)),
                    Err(error) => problem(error)?,
                }
            }
        }
    }
    Ok(())
}

/// The text of a blob that can be a document.
fn document(bytes: Vec<u8>) -> Option<String> {
    if is_document(&bytes) { String::from_utf8(bytes).ok() } else { None }
}

fn is_document(start: &[u8]) -> bool {
    start.trim_ascii_start().first() == Some(&b'{')
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

/// All strings of a document that is written with escapes, where a digest can hide behind them. They hold
/// none any more: an escaped backslash is looked at once, too.
fn unescaped(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let mut strings = String::new();
    in_strings(&value, &mut strings);
    Some(strings.replace('\\', " "))
}

fn in_strings(value: &Value, strings: &mut String) {
    match value {
        Value::String(text) => {
            strings.push_str(text);
            strings.push('\n');
        }
        Value::Array(list) => list.iter().for_each(|value| in_strings(value, strings)),
        Value::Object(map) => {
            for (name, value) in map {
                strings.push_str(name);
                strings.push('\n');
                in_strings(value, strings);
            }
        }
        _ => {}
    }
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
        assert_eq!(unescaped(&text), None);
        let escaped =
            format!("{{\"x\":[\"sha256\\u003a{}\"],\"sha256\\/{}\":1}}", a.hex(), b.hex());
        let strings = unescaped(&escaped).expect("it has escapes");
        assert_eq!(digests_in(&strings).collect::<Vec<_>>(), [b, a]);
        let wide = a.hex() + &b.hex();
        let text = format!("sha512:{wide} sha512:{} sha512+{wide} sha512", a.hex());
        assert_eq!(hexes_in(&text, "sha512", 128).collect::<Vec<_>>(), [wide.as_str()]);
    }
}
