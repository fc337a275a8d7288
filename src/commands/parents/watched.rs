//! What each layer says about the directories that are made up in some layer, and about those above them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ZtocKey;
use crate::ztoc::paths::{Whiteout, clean_into, whiteout};
use crate::ztoc::toc::{FileRef, FileType, Toc};

/// Bytes that a directory takes in the tree, besides its name.
const NODE_COST: usize = 128;
/// Bytes that a layer's marks of a directory take.
const MARKS_COST: usize = 64;

/// Memory that may be used, counted by several threads. What is taken in all does not depend on their order,
/// so neither does whether it is spent.
#[derive(Debug)]
pub(in crate::commands) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(in crate::commands) fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }

    /// Takes that many bytes and tells whether they were there. Nothing is given back.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        before.saturating_add(bytes) <= self.limit
    }

    pub(super) fn is_spent(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit
    }
}

/// A directory in the tree, by its position.
pub(super) type NodeId = u32;

const ROOT: NodeId = 0;

#[derive(Debug, Default)]
struct Node {
    parent: NodeId,
    name: Box<[u8]>,
    children: BTreeMap<Box<[u8]>, NodeId>,
}

/// The directories to look after.
#[derive(Debug)]
pub(in crate::commands) struct Watched {
    /// The root first.
    nodes: Vec<Node>,
    /// Sorted by their paths.
    implied: BTreeMap<ZtocKey, Vec<NodeId>>,
    budget: Budget,
}

impl Watched {
    /// `implied` has the paths by zTOCs.
    pub(in crate::commands) fn new(
        implied: BTreeMap<ZtocKey, BTreeSet<Vec<u8>>>,
        budget: Budget,
    ) -> Self {
        let nodes = vec![Node::default()];
        let mut watched = Self { nodes, implied: BTreeMap::new(), budget };
        for (ztoc, paths) in implied {
            let nodes = paths.iter().map_while(|path| watched.add(path)).collect();
            watched.implied.insert(ztoc, nodes);
        }
        watched
    }

    fn add(&mut self, path: &[u8]) -> Option<NodeId> {
        let mut node = ROOT;
        for name in path.split(|byte| *byte == b'/') {
            if let Some(child) = self.child(node, name) {
                node = child;
                continue;
            }
            if !self.budget.take(name.len() * 2 + NODE_COST) {
                return None;
            }
            let id = self.nodes.len() as NodeId;
            self.nodes.push(Node { parent: node, name: name.into(), children: BTreeMap::new() });
            self.nodes[node as usize].children.insert(name.into(), id);
            node = id;
        }
        Some(node)
    }

    /// Whether there is nothing to look after.
    pub(in crate::commands) fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Whether the memory did not suffice. Then nothing is known.
    pub(super) fn is_spent(&self) -> bool {
        self.budget.is_spent()
    }

    /// The directories that the reader makes up for a zTOC.
    pub(super) fn implied(&self, ztoc: ZtocKey) -> &[NodeId] {
        self.implied.get(&ztoc).map_or(&[], Vec::as_slice)
    }

    pub(super) fn path(&self, node: NodeId) -> Vec<u8> {
        let mut names: Vec<&[u8]> =
            self.upwards(node).map(|id| &*self.nodes[id as usize].name).collect();
        names.reverse();
        names.join(&b'/')
    }

    /// The node and all above it but the root.
    fn upwards(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let up = |id: &NodeId| Some(self.nodes[*id as usize].parent);
        std::iter::successors(Some(node), up).take_while(|id| *id != ROOT)
    }

    fn child(&self, node: NodeId, name: &[u8]) -> Option<NodeId> {
        self.nodes[node as usize].children.get(name).copied()
    }

    /// What the entries of a layer say.
    pub(in crate::commands) fn look(&self, toc: &Toc) -> Seen {
        let mut seen = Seen::default();
        if self.is_empty() {
            return seen;
        }
        let mut path = Vec::new();
        for file in toc.iter() {
            clean_into(file.name(), &mut path);
            let Some((base, directories)) = path.split_last() else { continue };
            let parent = directories.iter().try_fold(ROOT, |node, name| self.child(node, name));
            let Some(parent) = parent else { continue };
            let removes = whiteout(base);
            let node = match removes {
                Some(Whiteout::Opaque) => Some(parent),
                Some(Whiteout::Of(hidden)) => self.child(parent, hidden),
                None => self.child(parent, base),
            };
            let Some(node) = node else { continue };
            if self.budget.is_spent() {
                return Seen::default();
            }
            let marks = seen.marks.entry(node).or_insert_with(|| {
                self.budget.take(MARKS_COST);
                Marks::default()
            });
            match removes {
                Some(Whiteout::Opaque) => marks.opaque = true,
                Some(Whiteout::Of(_)) => marks.whiteout = true,
                // A later entry replaces an earlier one.
                None => marks.last = Some(Last::new(&file)),
            }
        }
        seen
    }

    /// What a layer leaves of a directory.
    pub(super) fn effect(&self, seen: &Seen, node: NodeId) -> Effect {
        let marks = |id: NodeId| seen.marks.get(&id).copied().unwrap_or_default();
        let own = marks(node);
        let (mut removed, mut unreachable) = (own.whiteout, false);
        for above in self.upwards(node).skip(1) {
            let above = marks(above);
            removed |= above.whiteout || above.opaque;
            unreachable |= above.last == Some(Last::Other);
        }
        removed |= marks(ROOT).opaque;
        match own.last {
            _ if unreachable => Effect::Gone,
            // A name beside its whiteout is a new one.
            Some(Last::Directory(attributes)) => Effect::Directory(attributes),
            Some(Last::Other) => Effect::Gone,
            None if removed => Effect::Gone,
            None => Effect::Nothing,
        }
    }
}

/// What a layer says about watched directories.
#[derive(Debug, Default)]
pub(in crate::commands) struct Seen {
    marks: BTreeMap<NodeId, Marks>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    last: Option<Last>,
    /// Whether a whiteout names it.
    whiteout: bool,
    /// Whether it has an opaque marker.
    opaque: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Directory(Attributes),
    Other,
}

impl Last {
    fn new(file: &FileRef<'_>) -> Self {
        match file.file_type() {
            FileType::Directory => Self::Directory(Attributes::new(file)),
            _ => Self::Other,
        }
    }
}

/// A layer's effect on a directory of the layers below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Lower layers decide.
    Nothing,
    /// It is there and has these attributes.
    Directory(Attributes),
    /// The lower layers' directory is gone or cannot be reached.
    Gone,
}

/// What a directory that is made up can hide. Times are hidden as well, but that alone does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Attributes {
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether it has extended ones. Those of `trusted.` are not among them: containerd drops them.
    pub(super) xattrs: bool,
}

impl Attributes {
    /// Of what the reader makes up.
    pub(in crate::commands) const MADE_UP: Self =
        Self { mode: 0o755, uid: 0, gid: 0, xattrs: false };

    fn new(file: &FileRef<'_>) -> Self {
        let xattrs = file.xattrs().any(|(name, _)| !name.starts_with(b"trusted."));
        Self {
            mode: (file.mode() & 0o7777).unsigned_abs() as u16,
            uid: file.uid(),
            gid: file.gid(),
            xattrs,
        }
    }
}
