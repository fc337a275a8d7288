//! Paths to files: symbolic links are followed inside the root, never out of it.

use super::tree::{LookupError, NodeId, Trees};
use crate::limits::MAX_PATH;
use crate::ztoc::paths::components;
use crate::ztoc::toc::FileType;

/// Most symbolic links that are followed for one path, the limit of Linux (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

impl Trees<'_> {
    /// Follows a path. A symbolic link at its end is followed with `follow` or when a slash stands behind it.
    pub(super) fn resolve(
        &self,
        root: NodeId,
        path: &[u8],
        follow: bool,
    ) -> Result<NodeId, LookupError> {
        self.resolve_from(root, root, path, follow)
    }

    /// Follows a path that begins in the directory `start`.
    pub(super) fn resolve_from(
        &self,
        root: NodeId,
        start: NodeId,
        path: &[u8],
        follow: bool,
    ) -> Result<NodeId, LookupError> {
        let slash = path.ends_with(b"/") || path.ends_with(b"/.");
        let mut node = start;
        let mut todo: Vec<&[u8]> = components(path).collect();
        todo.reverse();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let Some(directory) = self.directory(node) else {
                return Err(LookupError::NotADirectory);
            };
            if name == b".." {
                node = self.node(node).parent;
                continue;
            }
            let child = *directory.children.get(name).ok_or(LookupError::NotFound)?;
            let last = todo.is_empty();
            match self.file(child) {
                Some(file)
                    if file.file_type() == FileType::Symlink && (!last || follow || slash) =>
                {
                    links += 1;
                    let target = file.linkname();
                    // No link in a real file system is longer, and each may name many components.
                    if links > MAX_LINKS || target.len() > MAX_PATH {
                        return Err(LookupError::Loop);
                    }
                    if target.is_empty() {
                        return Err(LookupError::NotFound);
                    }
                    if target.starts_with(b"/") {
                        node = root;
                    }
                    let at = todo.len();
                    todo.extend(components(target));
                    todo[at..].reverse();
                }
                _ => node = child,
            }
        }
        if slash && self.directory(node).is_none() {
            return Err(LookupError::NotADirectory);
        }
        Ok(node)
    }
}
