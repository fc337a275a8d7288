//! Blobs that no SOCI reader looks at must be whole all the same: they are pushed and pulled.

use super::Findings;
use super::finding::Consequence;
use super::workload::Workload;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::reach::Search;
use crate::layout::tree::Tree;

/// Checks the blobs that `index.json` leads to and that none of the jobs read, nor what gathered them.
pub(super) fn check(
    layout: &Layout,
    tree: &Tree,
    workload: &Workload<'_>,
    findings: &mut Findings,
) -> Result<(), Error> {
    let read = &workload.read;
    for (digest, reached) in Search::layout(&tree.index_json).tree(tree).run(layout)?.sha256 {
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
