//! The layers of an image on top of each other.

use std::collections::BTreeMap;
use std::fmt;

use super::ZtocKey;
use super::watched::{Attributes, Effect, NodeId, Seen, Watched};
use crate::oci::digest::Digest;

/// An image's layers, lowest first.
#[derive(Debug)]
pub(in crate::commands) struct Stack {
    /// Digest of the image's manifest.
    pub(in crate::commands) image: Digest,
    pub(in crate::commands) layers: Vec<StackLayer>,
}

/// A layer of an image.
#[derive(Debug)]
pub(in crate::commands) struct StackLayer {
    pub(in crate::commands) digest: Digest,
    /// Of the blob, in bytes.
    pub(in crate::commands) size: u64,
    /// Its zTOC in the first of the image's SOCI indexes that has one for it.
    pub(in crate::commands) ztoc: Option<ZtocKey>,
}

/// A directory whose attributes a layer hides.
#[derive(Debug)]
pub(in crate::commands) struct Hidden {
    /// Digest of the image's manifest.
    pub(in crate::commands) image: Digest,
    /// The layer that has no entry for it.
    pub(in crate::commands) layer: Digest,
    /// Its path, escaped.
    pub(in crate::commands) path: String,
    /// The layer that has one, and what it says.
    pub(in crate::commands) lower: Digest,
    pub(in crate::commands) attributes: Attributes,
}

/// The directories that lazy layers hide the attributes of. `seen` has what the layers say, by their digests; of one
/// that is not there nothing is known (it cannot be read, which others tell), and so nothing is said about what it
/// could decide. `lazy` tells whether a layer with this zTOC is mounted at all: unpacked, it takes the attributes over.
/// The rules are those of [`crate::commands::files`], by names alone. Nothing is known when the memory for it was spent.
pub(in crate::commands) fn hidden(
    stacks: &[Stack],
    watched: &Watched,
    seen: &BTreeMap<Digest, Seen>,
    lazy: &dyn Fn(ZtocKey) -> bool,
) -> Option<Vec<Hidden>> {
    if watched.is_spent() {
        return None;
    }
    let mut found = Vec::new();
    for stack in stacks {
        for (position, layer) in stack.layers.iter().enumerate() {
            let Some(ztoc) = layer.ztoc.filter(|ztoc| lazy(*ztoc)) else { continue };
            for node in watched.implied(ztoc) {
                let Some((lower, attributes)) = stack.hidden(position, *node, watched, seen) else {
                    continue;
                };
                let path = watched.path(*node).escape_ascii().to_string();
                found.push(Hidden {
                    image: stack.image,
                    layer: layer.digest,
                    path,
                    lower,
                    attributes,
                });
            }
        }
    }
    Some(found)
}

impl Stack {
    /// The lower layer whose attributes of a directory are hidden by what is made up in the layer at
    /// `position`, and what they are.
    fn hidden(
        &self,
        position: usize,
        node: NodeId,
        watched: &Watched,
        seen: &BTreeMap<Digest, Seen>,
    ) -> Option<(Digest, Attributes)> {
        let word = |layer: &StackLayer| {
            seen.get(&layer.digest).map_or(Effect::Gone, |seen| watched.effect(seen, node))
        };
        // What a layer above has in its place is seen; one that is removed here as well is a new one.
        if self.layers[position..].iter().any(|layer| word(layer) != Effect::Nothing) {
            return None;
        }
        for layer in self.layers[..position].iter().rev() {
            match word(layer) {
                Effect::Nothing => {}
                Effect::Gone => return None,
                Effect::Directory(attributes) => {
                    let differs = attributes != Attributes::MADE_UP;
                    return differs.then_some((layer.digest, attributes));
                }
            }
        }
        None
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, uid, gid, xattrs } = self;
        write!(f, "mode {mode:04o}, owner {uid}:{gid}")?;
        if *xattrs { f.write_str(", extended attributes") } else { Ok(()) }
    }
}
