//! Finds the manifest that an annotated one superseded.
//!
//! A V1 index needs the image as it was before V2 annotated it. The annotated manifest does not say
//! what it was made from (its bytes are the reference's), but the superseded blob usually still lies
//! in the layout, and annotating the right one gives exactly the present bytes.

use std::fs;

use super::INDEX_DIGEST;
use super::manifest::annotate;
use crate::digest::Digest;
use crate::error::Error;
use crate::layout::Layout;
use crate::limits::MAX_SUPERSEDED_SIZE;

/// The superseded manifest's text, if its blob is there.
pub(super) fn superseded(
    layout: &Layout,
    current: &str,
    soci_index: &Digest,
) -> Result<Option<String>, Error> {
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
    // Several manifests can annotate to the same bytes (indented and compact ones): by digest, so that
    // the choice does not depend on the directory's order.
    candidates.sort_unstable();
    for (digest, size) in candidates {
        let Ok(Some(bytes)) = layout.read_blob(&digest, size, MAX_SUPERSEDED_SIZE) else {
            continue;
        };
        if bytes.first() != Some(&b'{') {
            continue;
        }
        let Ok(text) = String::from_utf8(bytes) else { continue };
        // One that names another SOCI index is itself a superseded step, not what was there at first.
        if text.contains(INDEX_DIGEST) {
            continue;
        }
        if text != current && annotate(&text, soci_index).is_ok_and(|made| made == current) {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
