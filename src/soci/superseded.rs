//! Finds the documents that rewritten ones superseded.
//!
//! A rewritten document does not say what it was made from (its bytes are the reference's), but the
//! superseded blob usually still lies in the layout. The right one is known by its content: making of it
//! what indexing makes gives exactly the present bytes.

use std::collections::HashMap;
use std::fs;

use super::INDEX_DIGEST;
use super::manifest::{annotate, member};
use crate::error::Error;
use crate::layout::Layout;
use crate::limits::MAX_SUPERSEDED_SIZE;
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, INDEX};
use crate::oci::json::edit::set_member;
use crate::oci::json::string;
use crate::oci::media_type::OCI_INDEX;

/// What stands in the place of a SOCI index where manifests are compared without it.
const ANY: Digest = Digest([0; 32]);

/// The documents of a layout that may be superseded ones, by what indexing makes of them. Each is read once,
/// however many rewritten documents there are.
#[derive(Debug)]
pub(super) struct Superseded {
    /// Digests and sizes, in the order of the digests: several can become one document (indented and compact
    /// ones), and the choice must not depend on the directory's order.
    manifests: HashMap<Digest, Vec<(Digest, u64)>>,
    indexes: HashMap<Digest, Vec<(Digest, u64)>>,
}

impl Superseded {
    /// Reads the layout's small documents.
    ///
    /// # Errors
    /// [`Error::Io`] when the blobs cannot be listed.
    pub(super) fn find(layout: &Layout) -> Result<Self, Error> {
        let directory = layout.blobs();
        let mut candidates = Vec::new();
        for entry in fs::read_dir(&directory).map_err(Error::io("list", &directory))? {
            let entry = entry.map_err(Error::io("list", &directory))?;
            let digest = entry.file_name().to_str().and_then(Digest::from_hex);
            let size = entry.metadata().map_or(0, |m| if m.is_file() { m.len() } else { 0 });
            if let Some(digest) = digest
                && (1..=MAX_SUPERSEDED_SIZE).contains(&size)
            {
                candidates.push((digest, size));
            }
        }
        candidates.sort_unstable();
        let mut found = Self { manifests: HashMap::new(), indexes: HashMap::new() };
        for (digest, size) in candidates {
            let Some(text) = read(layout, digest, size) else { continue };
            // One that names a SOCI index is itself a superseded step, not what was there at first.
            if text.contains(INDEX_DIGEST) {
                continue;
            }
            if let Ok(made) = annotate(&text, &ANY) {
                let key = Digest::of(made.as_bytes());
                found.manifests.entry(key).or_default().push((digest, size));
            }
            if let Some(made) = canonical_index(&text) {
                let key = Digest::of(made.as_bytes());
                found.indexes.entry(key).or_default().push((digest, size));
            }
        }
        Ok(found)
    }

    /// The manifest that was annotated with `soci_index` and so became `current`, if its blob is there.
    pub(super) fn manifest(
        &self,
        layout: &Layout,
        current: &str,
        soci_index: &Digest,
    ) -> Option<String> {
        let key = Digest::of(annotate(current, &ANY).ok()?.as_bytes());
        first(layout, self.manifests.get(&key), &|text| {
            text != current && annotate(text, soci_index).is_ok_and(|made| made == current)
        })
    }

    /// The index that says what `current` says (canonical, without SOCI indexes), in the form in which it was
    /// written at first, if its blob is there. The media type is left out of the comparison: a Docker manifest
    /// list becomes an OCI index when it is indexed.
    pub(super) fn index(&self, layout: &Layout, current: &str) -> Option<String> {
        let key = Digest::of(current.as_bytes());
        first(layout, self.indexes.get(&key), &|text| {
            text != current && canonical_index(text).is_some_and(|c| c == current)
        })
    }
}

fn canonical_index(text: &str) -> Option<String> {
    member(text, "manifests").ok()??;
    let text = set_member(text, "mediaType", &string(OCI_INDEX)).ok()?;
    canonical::encode(&text, &INDEX).ok()
}

/// The first of these documents that is `wanted`.
fn first(
    layout: &Layout,
    documents: Option<&Vec<(Digest, u64)>>,
    wanted: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let mut documents = documents.into_iter().flatten();
    documents.find_map(|(digest, size)| read(layout, *digest, *size).filter(|text| wanted(text)))
}

fn read(layout: &Layout, digest: Digest, size: u64) -> Option<String> {
    let bytes = layout.read_blob(&digest, size, MAX_SUPERSEDED_SIZE).ok()??;
    (bytes.first() == Some(&b'{')).then(|| String::from_utf8(bytes).ok()).flatten()
}
