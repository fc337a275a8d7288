//! Layers put on top of each other.
//!
//! | the upper layer has | the lower layer's |
//! | --- | --- |
//! | a directory where the lower one has a directory | names stay, the upper directory's attributes count (when it has an entry) |
//! | anything else under a name | name is replaced, a directory with all that is in it |
//! | `.wh.NAME` in a directory | NAME in it is gone, with all that is in it |
//! | `.wh..wh..opq` in a directory | names in it are all gone |
//!
//! A whiteout takes away what lower layers have, and what stands before it in its own layer, as containerd's
//! `archive.Apply` unpacks it; a name behind its whiteout is a new one. With a directory that
//! was removed and made again, overlayfs would show the lower names too when the layer has a whiteout and no
//! opaque marker, which no builder writes for it. What counts of a layer is what it leaves: a file that becomes a
//! directory within one layer hides nothing, as with overlayfs (containerd's plain unpacking would have removed
//! the lower directory by then).

use super::tree::{BadEntry, Directory, IMPLIED, Node, NodeId, Trees};

impl Trees<'_> {
    /// The tree of all layers, bottom first. The error names the position of the layer.
    pub(super) fn merged(&mut self) -> Result<NodeId, (usize, BadEntry)> {
        let merged = self.root();
        for position in 0..self.tables.len() {
            let upper = self.layer(position, Some(merged)).map_err(|bad| (position, bad))?;
            self.merge(merged, upper);
        }
        Ok(merged)
    }

    /// Puts the directory `upper` on `lower`. Without recursion: a layer decides how deep it is.
    fn merge(&mut self, lower: NodeId, upper: NodeId) {
        let mut todo = vec![(lower, upper)];
        while let Some((lower, upper)) = todo.pop() {
            let from = self.directory_mut(upper).map(std::mem::take).unwrap_or_default();
            self.take_attributes(lower, upper);
            let Directory { children, whiteouts, opaque } = from;
            let Some(directory) = self.directory_mut(lower) else { continue };
            if opaque {
                directory.children.clear();
            }
            for name in whiteouts {
                directory.children.remove(name);
            }
            for (name, child) in children {
                let known = self.directory(lower).and_then(|d| d.children.get(name)).copied();
                match known {
                    Some(known)
                        if self.directory(known).is_some() && self.directory(child).is_some() =>
                    {
                        todo.push((known, child));
                    }
                    _ => {
                        self.nodes[child.0 as usize].parent = lower;
                        if let Some(directory) = self.directory_mut(lower) {
                            directory.children.insert(name, child);
                        }
                    }
                }
            }
        }
    }

    fn take_attributes(&mut self, lower: NodeId, upper: NodeId) {
        let &Node { layer, entry, file, .. } = self.node(upper);
        if entry != IMPLIED {
            let lower = &mut self.nodes[lower.0 as usize];
            (lower.layer, lower.entry, lower.file) = (layer, entry, file);
        }
    }
}
