//! Blobs that nothing refers to any more after a run.

use crate::error::Error;
use crate::layout::lock::LockedLayout;
use crate::layout::reach::{Reached, Search};
use crate::layout::tree::{self, Tree};

/// What [`prune`] did.
#[derive(Debug, Default)]
pub(in crate::commands) struct Pruned {
    pub(in crate::commands) blobs: u64,
    pub(in crate::commands) bytes: u64,
    /// Why nothing was removed.
    pub(in crate::commands) warning: Option<String>,
}

/// Removes what `tree` and the texts `before` led to and those of `after` do not. Where a document cannot be read,
/// nothing is removed.
pub(in crate::commands) fn prune(
    layout: &LockedLayout,
    tree: &Tree,
    before: &[&str],
    after: &[&str],
) -> Result<Pruned, Error> {
    let before = Search::texts(before).tree(tree).run(layout)?;
    // A program that takes no lock may have replaced it since: what it leads to now stays.
    let now = tree::read(layout);
    let after = match &now {
        Ok(now) => Search::texts(after).text(&now.index_json).tree(now),
        Err(_) => Search::texts(after),
    };
    let after = after.careful().run(layout)?;
    let mut pruned = Pruned::default();
    if let Some(doubt) = now.err().or(after.doubt) {
        let why = "nothing was pruned, since it is unknown what a document refers to";
        pruned.warning = Some(format!("{why}: {doubt}"));
        return Ok(pruned);
    }
    for (digest, Reached { size, .. }) in before.sha256 {
        if !after.sha256.contains_key(&digest) {
            layout.remove_blob(&digest)?;
            pruned.blobs += 1;
            pruned.bytes += size;
        }
    }
    Ok(pruned)
}
