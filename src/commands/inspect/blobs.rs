//! The blobs of a layout: what is referenced, what is not, what is missing.

use std::collections::HashSet;
use std::io::ErrorKind;

use super::report::{Blob, Blobs, BrokenBlob, Problem};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::reach::Search;
use crate::layout::tree::Tree;
use crate::limits::MAX_BROKEN_BLOBS;
use crate::oci::digest::Digest;
use crate::ztoc::{Head, HeadError};

/// What the documents lead to and is not there or not right, each once.
#[derive(Debug, Default)]
pub(super) struct Broken {
    list: Vec<BrokenBlob>,
    seen: HashSet<(Digest, u64)>,
}

impl Broken {
    pub(super) fn add(
        &mut self,
        descriptor: &Descriptor,
        role: &str,
        referrer: Option<Digest>,
        problem: Problem,
    ) {
        let Descriptor { digest, size, .. } = *descriptor;
        if self.list.len() < MAX_BROKEN_BLOBS && self.seen.insert((digest, size)) {
            self.list.push(BrokenBlob { digest, size, role: role.to_owned(), referrer, problem });
        }
    }

    /// Looks for the blob, and at its size.
    pub(super) fn look(
        &mut self,
        layout: &Layout,
        descriptor: &Descriptor,
        role: &str,
        referrer: Digest,
    ) -> Option<Problem> {
        let problem = match layout.blob_size(&descriptor.digest) {
            Ok(Some(found)) if found == descriptor.size => return None,
            Ok(Some(found)) => Problem::Size { found },
            Ok(None) => Problem::Missing,
            Err(error) => Problem::unusable(error),
        };
        self.add(descriptor, role, Some(referrer), problem.clone());
        Some(problem)
    }
}

/// What was found of a blob, or why it is of no use.
pub(super) fn there<T>(found: Result<Option<T>, Error>) -> Result<T, Problem> {
    match found {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(Problem::Missing),
        Err(Error::BlobSize { found, .. }) => Err(Problem::Size { found }),
        Err(error) => Err(Problem::unusable(error)),
    }
}

/// The head of a zTOC, or why it cannot be read.
pub(super) fn head(layout: &Layout, ztoc: &Descriptor) -> Result<Head, Problem> {
    let file = there(layout.open_blob(&ztoc.digest, ztoc.size))?;
    Head::read(ztoc.size, &|offset, buffer| file.read_exact_at(buffer, offset)).map_err(|error| {
        match error {
            HeadError::Decode(error) => Problem::unusable(format!("it is no zTOC: {error}")),
            error => Problem::unusable(error),
        }
    })
}

/// Sorts the blobs of the layout.
pub(super) fn all(layout: &Layout, tree: &Tree, broken: Broken) -> Result<Blobs, Error> {
    let reachable = Search::layout(&tree.index_json).tree(tree).run(layout)?.sha256;
    let mut blobs = Blobs {
        referenced: reachable.len() as u64,
        referenced_bytes: sum(reachable.values().map(|reached| reached.size)),
        broken: broken.list,
        ..Blobs::default()
    };
    let directory = layout.blobs();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        // Nothing was ever put there.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(blobs),
        Err(error) => return Err(Error::io("list", &directory)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("list", &directory))?;
        let digest = entry.file_name().to_str().and_then(Digest::from_hex);
        let size = digest.and_then(|digest| layout.blob_size(&digest).ok().flatten());
        match (digest, size) {
            (Some(digest), _) if reachable.contains_key(&digest) => {}
            (Some(digest), Some(size)) => blobs.unreferenced.push(Blob { digest, size }),
            _ => blobs.strangers += 1,
        }
    }
    blobs.unreferenced.sort_by_key(|blob| blob.digest);
    blobs.unreferenced_bytes = sum(blobs.unreferenced.iter().map(|blob| blob.size));
    Ok(blobs)
}

fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}
