//! Blobs that no SOCI reader looks at must be whole all the same: they are pushed and pulled.

use std::collections::BTreeSet;

use super::Findings;
use super::finding::Consequence;
use super::plan::Plan;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::reach;
use crate::oci::digest::Digest;

/// Checks the blobs that `index.json` leads to and that neither the plan nor its jobs read.
pub(super) fn check(
    layout: &Layout,
    index_json: &str,
    plan: &Plan<'_>,
    findings: &mut Findings,
) -> Result<(), Error> {
    let read = &plan.read;
    // SOCI indexes were read, but they lead on.
    let indexes: BTreeSet<&Digest> =
        plan.images.iter().flat_map(|image| &image.soci_indexes).collect();
    let leads_on = |digest: &Digest| indexes.contains(digest);
    for (digest, reached) in reach::find(layout, index_json, |d| read.contains(d) && !leads_on(d)) {
        if read.contains(&digest) || findings.has(digest) {
            continue;
        }
        let whole = match reached.whole {
            Some(whole) => whole,
            None => layout.has_sound_blob(&digest, reached.size)?,
        };
        if !whole {
            let broken = Consequence::Unpullable;
            findings.add(broken, Some(digest), "the blob", None, digest, "other content");
        }
    }
    Ok(())
}
