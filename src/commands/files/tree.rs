//! One layer's entries as a tree of names.
//!
//! Names stay in the tables of contents, the tree borrows them: 32 bytes a name and a place in its directory's
//! map, so that an image may have millions. Entries act in archive order, as if the archive was unpacked:
//! a later one replaces an earlier one of the same name, a directory entry keeps what is in the directory. In
//! front of the last component symbolic links of the same layer are followed, never out of the root, as
//! containerd does (`pkg/archive/tar.go` `applyNaive`, `fs.RootPath`).

use std::collections::{BTreeMap, HashMap};

use crate::limits::{MAX_IMPLIED_NODES, MAX_LINK_STEPS, MAX_NODES, MAX_PATH};
use crate::ztoc::paths::{Whiteout, clean, components, is_name, split, whiteout};
use crate::ztoc::toc::{FileRef, FileType, Toc};

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// A component does not exist.
    #[error("no such file or directory")]
    NotFound,
    /// A component that is not the last one is no directory.
    #[error("not a directory")]
    NotADirectory,
    /// Symbolic links that lead to each other, or too many of them.
    #[error("too many levels of symbolic links")]
    Loop,
    /// The layers name more files than this program keeps.
    #[error("the image has too many files and directories")]
    TooMany,
}

/// A file or directory of a [`super::Root`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub(super) u32);

/// No entry: a directory that only the names below it imply.
pub(super) const IMPLIED: u32 = u32::MAX;

/// The position of a layer and of an entry in its table.
pub(super) type FileId = (u32, u32);

/// A name in the tree.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) parent: NodeId,
    /// Position of the layer.
    pub(super) layer: u32,
    /// The name's own entry in the layer's table, or [`IMPLIED`].
    pub(super) entry: u32,
    /// The entry that has the content: another one for hard links, maybe of a lower layer.
    pub(super) file: FileId,
    pub(super) directory: Option<Box<Directory<'a>>>,
}

/// What is in a directory.
#[derive(Debug, Default)]
pub(super) struct Directory<'a> {
    pub(super) children: BTreeMap<&'a [u8], NodeId>,
    /// Names that lower layers lose.
    pub(super) whiteouts: Vec<&'a [u8]>,
    /// Whether lower layers lose all names.
    pub(super) opaque: bool,
}

/// Trees over the tables of contents of an image's layers, by the layers' positions.
#[derive(Debug)]
pub(super) struct Trees<'a> {
    pub(super) tables: Vec<&'a Toc>,
    pub(super) nodes: Vec<Node<'a>>,
    /// The last hard link to a file, when it has the attributes that all its names have.
    linked: HashMap<FileId, u32>,
    /// The directory of the last entry, as its name spells it: most entries lie beside the one before.
    last: Option<(&'a [u8], NodeId)>,
    /// Directories without an entry that were made.
    implied: usize,
    /// Components of names that were walked behind symbolic links.
    steps: usize,
}

/// An entry that no runtime could unpack.
#[derive(Debug)]
pub(super) struct BadEntry {
    /// Name of the entry.
    pub(super) name: Vec<u8>,
    /// Offset of its data in the uncompressed archive.
    pub(super) offset: u64,
    pub(super) problem: String,
}

impl<'a> Trees<'a> {
    pub(super) fn new(tables: Vec<&'a Toc>) -> Self {
        let (nodes, linked) = (Vec::new(), HashMap::new());
        Self { tables, nodes, linked, last: None, implied: 0, steps: 0 }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node<'a> {
        &mut self.nodes[id.0 as usize]
    }

    /// What is in a directory; `None` for everything else.
    pub(super) fn directory(&self, id: NodeId) -> Option<&Directory<'a>> {
        self.node(id).directory.as_deref()
    }

    pub(super) fn directory_mut(&mut self, id: NodeId) -> Option<&mut Directory<'a>> {
        self.node_mut(id).directory.as_deref_mut()
    }

    /// The entry with a node's content; `None` for an implied directory.
    pub(super) fn file(&self, id: NodeId) -> Option<FileRef<'a>> {
        let node = self.node(id);
        (node.entry != IMPLIED).then(|| self.get(node.file))
    }

    pub(super) fn get(&self, (layer, entry): FileId) -> FileRef<'a> {
        self.tables[layer as usize].get(entry as usize)
    }

    /// The entry with the mode, owner and times of a file. Unpacking a hard link sets those of the link's own header
    /// for all names of its layer; overlayfs copies a lower layer's file up, whose other names stay as they are.
    pub(super) fn attributes(&self, node: &Node<'a>) -> FileRef<'a> {
        let (layer, _) = node.file;
        let own = (layer != node.layer).then_some(node.entry);
        let entry = own.or_else(|| self.linked.get(&node.file).copied());
        entry.map_or_else(|| self.get(node.file), |entry| self.get((node.layer, entry)))
    }

    /// An empty directory that is its own parent. Roots do not count among the files: there is one for each layer.
    pub(super) fn root(&mut self) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(Node { directory: Some(Box::default()), ..implied(id) });
        id
    }

    /// Puts a new node into the directory that is its parent.
    fn put(&mut self, name: &'a [u8], node: Node<'a>) -> Result<NodeId, String> {
        if self.nodes.len() >= MAX_NODES {
            return Err(LookupError::TooMany.to_string());
        }
        let (id, parent) = (NodeId(self.nodes.len() as u32), node.parent);
        self.nodes.push(node);
        if let Some(directory) = self.directory_mut(parent) {
            directory.children.insert(name, id);
        }
        Ok(id)
    }

    /// The tree of the layer at `position`, which is unpacked upon `lower`. With none, it shows the entries as they are,
    /// among them whiteouts and what cannot be unpacked.
    ///
    /// # Errors
    /// The first entry that no runtime could unpack.
    pub(super) fn layer(
        &mut self,
        position: usize,
        lower: Option<NodeId>,
    ) -> Result<NodeId, BadEntry> {
        let toc = self.tables[position];
        let root = self.root();
        self.last = None;
        for (number, file) in toc.iter().enumerate() {
            let id = (position as u32, number as u32);
            self.entry((root, lower), id, &file).map_err(|problem| BadEntry {
                name: file.name().to_vec(),
                offset: file.uncompressed_offset().cast_unsigned(),
                problem,
            })?;
        }
        Ok(root)
    }

    fn entry(
        &mut self,
        (root, lower): (NodeId, Option<NodeId>),
        (layer, entry): FileId,
        file: &FileRef<'a>,
    ) -> Result<(), String> {
        let name = file.name();
        if name.len() > MAX_PATH {
            return Err(format!(
                "its name has {} bytes, the limit of Linux is {MAX_PATH}",
                name.len()
            ));
        }
        let Some((parent, base)) = self.place(root, name)? else {
            // The root itself: only a directory can say something about it.
            if file.file_type() == FileType::Directory {
                let node = self.node_mut(root);
                (node.layer, node.entry, node.file) = (layer, entry, (layer, entry));
            }
            return Ok(());
        };
        if let Some(removes) = whiteout(base).filter(|_| lower.is_some()) {
            let Some(directory) = self.directory_mut(parent) else { return Ok(()) };
            match removes {
                Whiteout::Opaque => directory.opaque = true,
                // containerd refuses these ("invalid whiteout name"): they would remove the directory.
                Whiteout::Of(hidden) if !is_name(hidden) => {
                    return Err("it is a whiteout that names nothing".to_owned());
                }
                // What stood before it in the same layer is unpacked by then, and goes as well.
                Whiteout::Of(hidden) => {
                    directory.whiteouts.push(hidden);
                    if directory.children.remove(hidden).is_some() {
                        self.last = None;
                    }
                }
            }
            return Ok(());
        }
        let target = file.linkname();
        let content = match (file.file_type(), lower) {
            // The entries as they are include those that cannot be unpacked.
            (FileType::HardLink, None) => {
                self.link_target(&[root], target).unwrap_or((layer, entry))
            }
            (FileType::HardLink, Some(lower)) => {
                let found = self.link_target(&[root, lower], target)?;
                if found.0 == layer {
                    self.linked.insert(found, entry);
                }
                found
            }
            _ => (layer, entry),
        };
        let is_directory = file.file_type() == FileType::Directory;
        let known = self.directory(parent).and_then(|d| d.children.get(base)).copied();
        if let Some(known) = known {
            if is_directory && self.node(known).directory.is_some() {
                let node = self.node_mut(known);
                (node.layer, node.entry, node.file) = (layer, entry, (layer, entry));
                return Ok(());
            }
            self.last = None;
        }
        let directory = is_directory.then(Box::default);
        self.put(base, Node { parent, layer, entry, file: content, directory })?;
        Ok(())
    }

    /// The directory of an entry, which comes into being when it is not there, and the last component of
    /// its name; `None` for the root.
    fn place(
        &mut self,
        root: NodeId,
        name: &'a [u8],
    ) -> Result<Option<(NodeId, &'a [u8])>, String> {
        let (spelled, base) = split(name);
        let plain = is_name(base);
        if let Some((last, node)) = self.last
            && last == spelled
            && plain
        {
            return Ok(Some((node, base)));
        }
        let path = clean(name);
        let Some((base, directories)) = path.split_last() else { return Ok(None) };
        let parent = self.make(root, directories)?;
        self.last = plain.then_some((spelled, parent));
        Ok(Some((parent, base)))
    }

    /// Walks down to a directory; what is missing comes into being.
    fn make(&mut self, root: NodeId, path: &[&'a [u8]]) -> Result<NodeId, String> {
        let mut node = root;
        let mut todo: Vec<&'a [u8]> = path.iter().rev().copied().collect();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if links > 0 {
                self.steps += 1;
                if self.steps > MAX_LINK_STEPS {
                    return Err(format!(
                        "the names of its layer lead through symbolic links with more than {MAX_LINK_STEPS} components"
                    ));
                }
            }
            if name == b".." {
                node = self.node(node).parent;
                continue;
            }
            let child = self.directory(node).and_then(|d| d.children.get(name)).copied();
            if let Some(child) = child {
                if self.node(child).directory.is_some() {
                    node = child;
                    continue;
                }
                if let Some(file) = self.file(child)
                    && file.file_type() == FileType::Symlink
                {
                    links += 1;
                    if links > MAX_ENTRY_LINKS || todo.len() > MAX_PATH {
                        return Err(LookupError::Loop.to_string());
                    }
                    let target = file.linkname();
                    if target.starts_with(b"/") {
                        node = root;
                    }
                    todo.extend(components(target).collect::<Vec<_>>().into_iter().rev());
                    continue;
                }
                // A runtime would fail; here what comes later wins.
                self.last = None;
            }
            self.implied += 1;
            if self.implied > MAX_IMPLIED_NODES {
                return Err(format!(
                    "the layers name more than {MAX_IMPLIED_NODES} directories without an entry"
                ));
            }
            let directory = Some(Box::default());
            node = self.put(name, Node { directory, ..implied(node) })?;
        }
        Ok(node)
    }

    /// The entry with the content of a hard link's target, in the first tree that has it.
    fn link_target(&self, roots: &[NodeId], target: &[u8]) -> Result<FileId, String> {
        let bad = |problem: String| {
            format!("its hard link target \"{}\"{problem}", target.escape_ascii())
        };
        let mut found = Err(LookupError::NotFound);
        for root in roots {
            if found == Err(LookupError::NotFound) {
                found = self.resolve(*root, target, false);
            }
        }
        let Node { entry, file, directory, .. } =
            self.node(found.map_err(|error| bad(format!(": {error}")))?);
        if directory.is_some() || *entry == IMPLIED {
            return Err(bad(" is a directory".to_owned()));
        }
        Ok(*file)
    }
}

/// Most symbolic links in front of an entry's last component, as containerd's `fs.RootPath` counts.
const MAX_ENTRY_LINKS: usize = 255;

fn implied<'a>(parent: NodeId) -> Node<'a> {
    Node { parent, layer: 0, entry: IMPLIED, file: (0, IMPLIED), directory: None }
}
