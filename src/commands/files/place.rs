//! Where the content of a file lies: in which layer, and where in its uncompressed archive.

use super::header;
use super::open::{ImageFiles, Index};
use super::tree::{IMPLIED, LookupError, NodeId};
use super::view::Root;
use crate::oci::digest::Digest;
use crate::ztoc::Ztoc;
use crate::ztoc::toc::FileType;

/// The place of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) struct ContentPlace<'a> {
    /// Position of the layer, 0 at the bottom.
    pub(in crate::commands) layer: usize,
    /// Position of the entry with the content in the layer's table.
    pub(super) entry: usize,
    /// Its name, as the layer has it.
    pub(in crate::commands) name: &'a [u8],
    /// First byte of the tar header in the uncompressed archive.
    pub(in crate::commands) header: u64,
    /// First byte of the content.
    pub(in crate::commands) start: u64,
    /// Byte behind the content.
    pub(in crate::commands) end: u64,
}

/// A layer with the zTOC that is used, if there is one.
pub(in crate::commands) struct LayerTable<'a> {
    pub(in crate::commands) digest: Digest,
    pub(in crate::commands) ztoc: Option<&'a Ztoc>,
    /// Why its files are not known.
    pub(in crate::commands) problem: Option<&'a str>,
}

impl ImageFiles {
    /// The layers, bottom first.
    pub(in crate::commands) fn tables(&self) -> impl Iterator<Item = LayerTable<'_>> {
        self.layers.iter().map(|layer| LayerTable {
            digest: layer.digest,
            ztoc: match layer.loaded.as_deref() {
                Some(Index::Ztoc(_, ztoc)) => Some(ztoc),
                Some(Index::Scanned(_)) | None => None,
            },
            problem: layer.ztoc_problem.as_deref(),
        })
    }
}

impl<'a> Root<'a> {
    /// Where the content of a regular file is; `None` for everything else.
    pub(in crate::commands) fn content_place(&self, node: NodeId) -> Option<ContentPlace<'a>> {
        let stored = self.trees.node(node);
        if stored.entry == IMPLIED {
            return None;
        }
        let (layer, entry) = (stored.file.0 as usize, stored.file.1 as usize);
        let toc = self.trees.tables[layer];
        let file = toc.get(entry);
        if file.file_type() != FileType::Regular {
            return None;
        }
        let start = file.uncompressed_offset().cast_unsigned();
        let end = start.saturating_add(file.uncompressed_size().cast_unsigned());
        let header = header::start(toc, entry).min(start);
        Some(ContentPlace { layer, entry, name: file.name(), header, start, end })
    }

    /// What a symbolic link leads to; everything else is itself.
    ///
    /// # Errors
    /// [`LookupError`].
    pub(in crate::commands) fn follow(&self, node: NodeId) -> Result<NodeId, LookupError> {
        match self.trees.file(node) {
            Some(file) if file.file_type() == FileType::Symlink => {
                let (target, parent) = (file.linkname(), self.trees.node(node).parent);
                if target.is_empty() {
                    return Err(LookupError::NotFound);
                }
                let start = if target.starts_with(b"/") { self.top } else { parent };
                self.trees.resolve_from(self.top, start, target, true)
            }
            _ => Ok(node),
        }
    }

    /// A name in a directory; `..` is the directory above.
    pub(in crate::commands) fn child(&self, node: NodeId, name: &[u8]) -> Option<NodeId> {
        self.trees.resolve_from(self.top, node, name, false).ok()
    }
}
