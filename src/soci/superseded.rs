//! Finds the documents that rewritten ones superseded.
//!
//! A rewritten document does not say what it was made from (its bytes are the reference's), but the
//! superseded blob usually still lies in the layout. The right one is known by its content: making of it
//! what indexing makes gives exactly the present bytes.

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

/// The manifest that was annotated with `soci_index` and so became `current`, if its blob is there.
pub(super) fn manifest(
    layout: &Layout,
    current: &str,
    soci_index: &Digest,
) -> Result<Option<String>, Error> {
    find(layout, &|text| {
        text != current && annotate(text, soci_index).is_ok_and(|made| made == current)
    })
}

/// The index that says what `current` says (canonical, without SOCI indexes), in the form in which it was
/// written at first, if its blob is there. The media type is left out of the comparison: a Docker manifest
/// list becomes an OCI index when it is indexed.
pub(super) fn index(layout: &Layout, current: &str) -> Result<Option<String>, Error> {
    find(layout, &|text| text != current && canonical_index(text).is_some_and(|c| c == current))
}

fn canonical_index(text: &str) -> Option<String> {
    member(text, "manifests").ok()??;
    let text = set_member(text, "mediaType", &string(OCI_INDEX)).ok()?;
    canonical::encode(&text, &INDEX).ok()
}

/// The first document in the order of the digests that is `wanted`. Several can be (indented and compact
/// ones), so the choice must not depend on the directory's order.
fn find(layout: &Layout, wanted: &dyn Fn(&str) -> bool) -> Result<Option<String>, Error> {
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
    for (digest, size) in candidates {
        let Ok(Some(bytes)) = layout.read_blob(&digest, size, MAX_SUPERSEDED_SIZE) else {
            continue;
        };
        if bytes.first() != Some(&b'{') {
            continue;
        }
        let Ok(text) = String::from_utf8(bytes) else { continue };
        // One that names a SOCI index is itself a superseded step, not what was there at first.
        if !text.contains(INDEX_DIGEST) && wanted(&text) {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
