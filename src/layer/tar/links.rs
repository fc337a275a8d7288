//! Whether hard link targets exist, by the rules of the SOCI reader (`metadata/reader.go`: `initNodes`,
//! `getIDByName`, `getOrCreateDir`; `soci-formats` 7.3).
//!
//! The reader resolves names through a tree of nodes, so a set of names would not do: a path may lead through a
//! hard link, and a file that replaces a directory takes the names below it away.

use std::collections::hash_map::Entry;

use super::error::TarErrorKind;
use crate::layer::name_key::{NameKeys, NameMap};
use crate::ztoc::paths::{clean, components, is_name, split};
use crate::ztoc::toc::{FileType, Toc};

/// Most names tracked, about 400 MB. A zTOC ends at 1 GiB and so at ten million entries, but each of them may
/// name half a million directories that have no entry.
const MAX_NAMES: usize = 1 << 23;

/// A file or directory, numbered by appearance.
type Node = u64;

const ROOT: Node = 0;

/// The node tree of the entries so far. Costs nothing until the first hard link asks.
#[derive(Debug, Default)]
pub(super) struct LinkTargets {
    /// Entries of the table that are in the tree.
    seen: usize,
    /// Target of the entry after those, when it is a hard link that was asked for.
    next_target: Option<Node>,
    last_node: Node,
    children: NameMap<Node>,
    keys: NameKeys,
    /// Directories of the last link target and of the last name, as they were spelled: most entries lie beside
    /// the one before.
    last_directories: [Option<(Vec<u8>, Node)>; 2],
}

/// Position of the first hard link in `toc` whose target is not before it: no reader mounts such a layer.
/// `None` also when there are too many names to tell.
pub(crate) fn dangling(toc: &Toc) -> Option<usize> {
    let mut targets = LinkTargets::default();
    let links = toc.iter().enumerate().filter(|(_, file)| file.file_type() == FileType::HardLink);
    for (position, link) in links {
        match targets.contains(toc, position, link.linkname()) {
            Ok(true) => {}
            Ok(false) => return Some(position),
            Err(_) => return None,
        }
    }
    None
}

impl LinkTargets {
    /// Whether one of the entries in `toc` before `end` provides `target`, the target of the next entry.
    ///
    /// # Errors
    /// When the entries name too many files and directories.
    pub(super) fn contains(
        &mut self,
        toc: &Toc,
        end: usize,
        target: &[u8],
    ) -> Result<bool, TarErrorKind> {
        self.children.reserve((end - self.seen).min(MAX_NAMES));
        for position in self.seen..end {
            let entry = toc.get(position);
            // A link's target counts as it was before the link's own directories come into being.
            let target = match (self.next_target.take(), entry.file_type()) {
                (Some(node), _) => Some(node),
                (None, FileType::HardLink) => self.resolve(entry.linkname())?,
                _ => None,
            };
            self.add(entry.file_type(), entry.name(), target)?;
        }
        self.seen = end;
        self.next_target = self.resolve(target)?;
        Ok(self.next_target.is_some())
    }

    fn add(
        &mut self,
        kind: FileType,
        name: &[u8],
        target: Option<Node>,
    ) -> Result<(), TarErrorKind> {
        let (directory, base) = split(name);
        let (parent, base) = if is_name(base) {
            (self.directory(directory, true)?, base)
        } else {
            let path = clean(name);
            // The root always exists, and what is not a directory there cannot be reached by a name.
            let Some((base, directory)) = path.split_last() else { return Ok(()) };
            (self.walk(directory.iter().copied(), true)?, *base)
        };
        let Some(parent) = parent else { return Ok(()) };
        let key = self.keys.key(parent, base);
        let full = self.children.len() >= MAX_NAMES;
        let node = target.unwrap_or(self.last_node + 1);
        match self.children.entry(key) {
            Entry::Occupied(_) if kind == FileType::Directory => return Ok(()),
            Entry::Occupied(mut child) => {
                if child.insert(node) != node {
                    self.last_directories = [None, None];
                }
            }
            Entry::Vacant(_) if full => return Err(TarErrorKind::TooManyNames),
            Entry::Vacant(child) => _ = child.insert(node),
        }
        self.last_node = self.last_node.max(node);
        Ok(())
    }

    fn resolve(&mut self, path: &[u8]) -> Result<Option<Node>, TarErrorKind> {
        let (directory, base) = split(path);
        if !is_name(base) {
            return self.walk(clean(path).into_iter(), false);
        }
        let parent = self.directory(directory, false)?;
        Ok(parent.and_then(|parent| self.children.get(&self.keys.key(parent, base)).copied()))
    }

    /// The node of a directory as spelled in front of a name.
    fn directory(&mut self, spelled: &[u8], create: bool) -> Result<Option<Node>, TarErrorKind> {
        if let Some((last, node)) = &self.last_directories[usize::from(create)]
            && last == spelled
        {
            return Ok(Some(*node));
        }
        let node = if spelled.windows(2).any(|pair| pair == b"..") {
            self.walk(clean(spelled).into_iter(), create)?
        } else {
            self.walk(components(spelled), create)?
        };
        if let Some(node) = node {
            let last = &mut self.last_directories[usize::from(create)];
            let (text, last) = last.get_or_insert_default();
            text.clear();
            text.extend_from_slice(spelled);
            *last = node;
        }
        Ok(node)
    }

    /// Follows a path from the root; with `create`, missing directories come into being.
    fn walk<'a>(
        &mut self,
        path: impl Iterator<Item = &'a [u8]>,
        create: bool,
    ) -> Result<Option<Node>, TarErrorKind> {
        let mut node = ROOT;
        for name in path {
            let key = self.keys.key(node, name);
            node = match self.children.get(&key) {
                Some(child) => *child,
                None if !create => return Ok(None),
                None if self.children.len() >= MAX_NAMES => return Err(TarErrorKind::TooManyNames),
                None => {
                    self.last_node += 1;
                    self.children.insert(key, self.last_node);
                    self.last_node
                }
            };
        }
        Ok(Some(node))
    }
}
