//! The layers of an image on top of each other.

use std::collections::BTreeMap;
use std::fmt;

use super::super::Findings;
use super::super::finding::Consequence;
use super::super::plan::ZtocKey;
use super::watched::{Attributes, NodeId, Seen, Watched, Word};
use crate::limits::MAX_WATCHED_SIZE;
use crate::oci::digest::Digest;

/// An image's layers, lowest first.
#[derive(Debug)]
pub(in super::super) struct Stack {
    /// Digest of the image's manifest.
    pub(in super::super) image: Digest,
    pub(in super::super) layers: Vec<StackLayer>,
}

/// A layer of an image.
#[derive(Debug)]
pub(in super::super) struct StackLayer {
    pub(in super::super) digest: Digest,
    /// Of the blob, in bytes.
    pub(in super::super) size: u64,
    /// Its zTOC in the first of the image's SOCI indexes that has one for it.
    pub(in super::super) ztoc: Option<ZtocKey>,
}

/// Reports the directories that layers hide the attributes of. `seen` has what the layers say, by their
/// digests; of one that is not there nothing is known (it cannot be read, which is a finding or a warning of its
/// own), and so nothing is said about what it could decide. The rules are those of [`crate::commands::files`], by names alone.
pub(in super::super) fn check(
    stacks: &[Stack],
    watched: &Watched,
    seen: &BTreeMap<Digest, Seen>,
    findings: &mut Findings,
) {
    if watched.is_spent() {
        let place = "directories that lazy layers have no entry for";
        let expected = format!("what can be held in {MAX_WATCHED_SIZE} bytes");
        let found = "more: whether they hide a lower layer's attributes was not checked";
        findings.add(Consequence::Misleading, None, place, None, expected, found);
        return;
    }
    for stack in stacks {
        for (position, layer) in stack.layers.iter().enumerate() {
            let Some(ztoc) = layer.ztoc else { continue };
            // Unpacked, the layer takes the attributes over.
            if findings.has_eager(ztoc.0) {
                continue;
            }
            for node in watched.implied(ztoc) {
                let Some((lower, attributes)) = stack.hidden(position, *node, watched, seen) else {
                    continue;
                };
                let path = watched.path(*node).escape_ascii().to_string();
                let image = stack.image;
                let place =
                    format!("directory {path}, which it has no entry for, in image {image}");
                let expected = format!("{attributes}, as in layer {lower}");
                let found = format!("{}, which the reader makes up", Attributes::MADE_UP);
                let wrong = Consequence::WrongBytes;
                findings.add(wrong, Some(layer.digest), &place, None, expected, found);
            }
        }
    }
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
            seen.get(&layer.digest).map_or(Word::Gone, |seen| watched.word(seen, node))
        };
        // What a layer above has in its place is seen; one that is removed here as well is a new one.
        if self.layers[position..].iter().any(|layer| word(layer) != Word::Nothing) {
            return None;
        }
        for layer in self.layers[..position].iter().rev() {
            match word(layer) {
                Word::Nothing => {}
                Word::Gone => return None,
                Word::Directory(attributes) => {
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

#[cfg(test)]
mod tests {
    use super::super::watched::Budget;
    use super::*;

    #[test]
    fn too_much_is_told_and_nothing_else() {
        let digest = Digest::of(b"");
        let layer = || StackLayer { digest, size: 0, ztoc: Some((digest, 0)) };
        let stacks = [Stack { image: digest, layers: vec![layer(), layer()] }];
        let told = |limit: usize| {
            let paths = [b"a".to_vec(), b"b".to_vec()].into_iter().collect();
            let watched = Watched::new(BTreeMap::from([((digest, 0), paths)]), Budget::new(limit));
            let mut findings = Findings::default();
            check(&stacks, &watched, &BTreeMap::new(), &mut findings);
            findings.finish()
        };
        assert_eq!(told(1 << 20), []);
        let [only] = told(200).try_into().expect("one finding");
        assert_eq!(only.consequence, Consequence::Misleading);
        assert!(only.found.contains("not checked"), "{}", only.found);
    }
}
