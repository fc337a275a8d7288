//! What a caller sees of a tree: names in directories, and the attributes behind them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::open::{ImageFiles, LayerFiles};
use super::tree::{BadEntry, IMPLIED, LookupError, NodeId, Trees};
use crate::error::Error;
use crate::oci::json::excerpt;
use crate::ztoc::paths::{Whiteout, split, whiteout};
use crate::ztoc::toc::{FileRef, FileType, ModTime};

/// A root directory: that of the image, or of one of its layers alone.
#[derive(Debug)]
pub struct Root<'a> {
    pub(super) image: &'a ImageFiles,
    pub(super) trees: Trees<'a>,
    pub(super) top: NodeId,
}

/// Kinds of what a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// Named pipe.
    Fifo,
    /// Another name for a file of the same layer. Only in a layer alone: in the image it is that file.
    HardLink,
    /// Removes a name of lower layers. Only in a layer alone.
    Whiteout,
    /// Hides all that lower layers have in its directory. Only in a layer alone.
    Opaque,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    kind: EntryKind,
    /// None for a directory that only the names below it imply.
    stored: Option<Stored<'a>>,
}

/// The entries behind a name.
#[derive(Clone, Copy, Debug)]
struct Stored<'a> {
    /// The name's own entry.
    own: FileRef<'a>,
    /// The entry with the content: another one for hard links in the image.
    file: FileRef<'a>,
    /// The one with mode, owner and times.
    attributes: FileRef<'a>,
    layer: &'a LayerFiles,
}

impl ImageFiles {
    /// The root file system of the image; when a layer was chosen, the entries of that layer as they are.
    ///
    /// # Errors
    /// [`Error::CorruptLayer`] for a layer that no runtime could unpack.
    pub fn root(&self) -> Result<Root<'_>, Error> {
        let tables = self
            .layers
            .iter()
            .map(|layer| layer.loaded.as_ref().map_or(&self.none, |index| index.toc()));
        let mut trees = Trees::new(tables.collect());
        let root = match self.chosen {
            Some(position) => trees.layer(position, None).map_err(|bad| (position, bad)),
            None => trees.merged(),
        };
        match root {
            Ok(top) => Ok(Root { image: self, trees, top }),
            Err((position, BadEntry { name, offset, problem })) => Err(Error::UnreadableLayer {
                digest: self.layers.get(position).map_or(self.digest, |layer| layer.digest),
                reason: format!(
                    "entry {} (at byte {offset} of the archive): {problem}",
                    excerpt(&name.escape_ascii().to_string())
                ),
            }),
        }
    }
}

impl<'a> Root<'a> {
    /// The root directory itself.
    #[must_use]
    pub fn top(&self) -> NodeId {
        self.top
    }

    /// Follows a path from the root; leading slashes do not matter. A symbolic link at its end is followed with
    /// `follow`, or when a slash stands behind it; those before always, and never out of the root.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn lookup(&self, path: &[u8], follow: bool) -> Result<NodeId, LookupError> {
        self.trees.resolve(self.top, path, follow)
    }

    /// Names in a directory, sorted by their bytes; `None` when it is no directory.
    #[must_use]
    pub fn names(&self, node: NodeId) -> Option<impl ExactSizeIterator<Item = (&'a [u8], NodeId)>> {
        let directory = self.trees.directory(node)?;
        Some(directory.children.iter().map(|(name, child)| (*name, *child)))
    }

    /// What is known of a name.
    #[must_use]
    pub fn entry(&self, node: NodeId) -> Entry<'a> {
        let stored = self.trees.node(node);
        if stored.entry == IMPLIED {
            return Entry { kind: EntryKind::Directory, stored: None };
        }
        // Those of a layer alone are shown as they stand in it.
        let raw = self.image.chosen.is_some();
        let own = self.trees.get((stored.layer, stored.entry));
        let file = if raw { own } else { self.trees.get(stored.file) };
        let attributes = if raw { own } else { self.trees.attributes(stored) };
        let removes = whiteout(split(own.name()).1).filter(|_| raw);
        let kind = match file.file_type() {
            _ if removes == Some(Whiteout::Opaque) => EntryKind::Opaque,
            _ if removes.is_some() => EntryKind::Whiteout,
            FileType::Regular => EntryKind::File,
            FileType::HardLink => EntryKind::HardLink,
            FileType::Symlink => EntryKind::Symlink,
            FileType::CharDevice => EntryKind::CharDevice,
            FileType::BlockDevice => EntryKind::BlockDevice,
            FileType::Directory => EntryKind::Directory,
            FileType::Fifo => EntryKind::Fifo,
        };
        let layer = &self.image.layers[stored.layer as usize];
        Entry { kind, stored: Some(Stored { own, file, attributes, layer }) }
    }
}

impl<'a> Entry<'a> {
    /// Kind of what the name stands for.
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// Permissions, set-id and sticky bits (12 bits). A directory that only names below it imply has 0755,
    /// as runtimes make it.
    #[must_use]
    pub fn mode(&self) -> u32 {
        let mode = |stored: Stored<'_>| (stored.attributes.mode() & 0o7777).unsigned_abs() as u32;
        self.stored.map_or(0o755, mode)
    }

    /// Owner id; 0 for an implied directory.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.stored.map_or(0, |stored| stored.attributes.uid())
    }

    /// Group id; 0 for an implied directory.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.stored.map_or(0, |stored| stored.attributes.gid())
    }

    /// Bytes of content; 0 for everything but regular files.
    #[must_use]
    pub fn size(&self) -> u64 {
        let file = self.stored.map(|stored| stored.file);
        let file = file.filter(|file| file.file_type() == FileType::Regular);
        file.map_or(0, |file| file.uncompressed_size().cast_unsigned())
    }

    /// Modification time; `None` for an implied directory.
    #[must_use]
    pub fn mod_time(&self) -> Option<ModTime> {
        self.stored.map(|stored| stored.attributes.mod_time())
    }

    /// Where a symbolic link leads; for a hard link, the file it was made from, as its layer names it.
    #[must_use]
    pub fn link_target(&self) -> Option<&'a [u8]> {
        let Stored { own, file, .. } = self.stored?;
        match self.kind {
            // A hard link to a symbolic link is that symbolic link.
            EntryKind::Symlink => Some(file.linkname()),
            _ if own.file_type() == FileType::HardLink => Some(own.linkname()),
            _ => None,
        }
    }

    /// Whether the name is a hard link in its layer.
    #[must_use]
    pub fn is_hard_link(&self) -> bool {
        self.stored.is_some_and(|stored| stored.own.file_type() == FileType::HardLink)
    }

    /// Major and minor number of a device.
    #[must_use]
    pub fn device(&self) -> Option<(i64, i64)> {
        let Stored { file, .. } = self.stored?;
        matches!(self.kind, EntryKind::CharDevice | EntryKind::BlockDevice)
            .then(|| (file.devmajor(), file.devminor()))
    }

    /// Extended attributes, sorted by name.
    pub fn xattrs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let entries = self.stored.into_iter().flat_map(|stored| [stored.file, stored.attributes]);
        // What a hard link has is added to what its file has.
        entries.flat_map(|file| file.xattrs()).collect::<BTreeMap<_, _>>().into_iter()
    }

    /// The layer with the entry; `None` for an implied directory.
    #[must_use]
    pub fn layer(&self) -> Option<&'a LayerFiles> {
        self.stored.map(|stored| stored.layer)
    }
}
