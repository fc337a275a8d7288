//! What the documents of a layout were before they had SOCI indexes, loaded once: what is made of a tree then depends
//! on values alone.

use std::collections::HashMap;

use super::descriptors::as_listed;
use super::index::ManifestRef;
use super::originals::{Original, Originals, Replaced, has_soci, images_below};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::tree::{Content, Node, Tree};
use crate::oci::digest::Digest;
use crate::oci::json::edit::Edit;

/// The earlier documents of a tree.
#[derive(Debug, Default)]
pub(super) struct Superseded {
    /// By root, what it was before it had SOCI indexes.
    pub(super) originals: Vec<Option<Original>>,
    records: Originals,
    /// By digest, manifests and nested indexes as they were before they had SOCI indexes.
    pub(super) earlier: HashMap<Digest, ManifestRef>,
    /// By the digest of a manifest, the types that its layers had then.
    pub(super) layer_types: HashMap<Digest, Vec<String>>,
}

impl Superseded {
    /// Reads the records of earlier runs, and the documents that they name.
    ///
    /// # Errors
    /// [`Error::Io`] when the blobs cannot be listed.
    pub(super) fn load(layout: &Layout, tree: &Tree) -> Result<Self, Error> {
        let records = Originals::read(layout)?;
        let originals = if tree.roots.iter().any(has_soci) {
            records.of_roots(layout, tree)
        } else {
            tree.roots.iter().map(|_| None).collect()
        };
        let mut found = Self { originals, records, ..Self::default() };
        for (root, original) in tree.roots.iter().zip(&found.originals) {
            let Some(node) = original.as_ref().and_then(|original| original.node.as_ref()) else {
                continue;
            };
            found.earlier.extend(pairs(root, node));
            for ((now, image), (_, before)) in images_below(root).zip(images_below(node)) {
                let types: Vec<String> =
                    before.layers.iter().map(|layer| layer.media_type.clone()).collect();
                if types.len() == image.layers.len() {
                    found.layer_types.insert(now.digest, types);
                }
            }
        }
        Ok(found)
    }

    /// The record of the entries that a run replaces, for the way back; nothing when there is none. With `keeps`
    /// the documents that are replaced stay in the layout.
    pub(super) fn record(
        &self,
        tree: &Tree,
        edits: &[Edit],
        appended: &[String],
        keeps: bool,
    ) -> Result<Option<String>, Error> {
        let mut entries = Vec::new();
        for ((root, original), edit) in tree.roots.iter().zip(&self.originals).zip(edits) {
            let Edit::Replace(now) = edit else { continue };
            let before = match original {
                Some(original) => original.text.clone(),
                None if has_soci(root) || !keeps => continue,
                None => Some(root.text().to_owned()),
            };
            // One that is put back needs no way back, and what is pruned has none.
            if before.as_ref() != Some(now) && (before.is_some() || keeps) {
                entries.push(Replaced { now: now.clone(), before });
            }
        }
        if keeps || !entries.is_empty() {
            let added = appended.iter().map(|now| Replaced { now: now.clone(), before: None });
            entries.extend(added);
        }
        if entries.is_empty() { Ok(None) } else { self.records.record(entries) }
    }
}

/// What the manifests and nested indexes below a root were, by what stands in the same place below `original`.
fn pairs(root: &Node, original: &Node) -> Vec<(Digest, ManifestRef)> {
    let mut found = Vec::new();
    let kinds: [fn(&Content) -> bool; 3] = [
        |content| matches!(content, Content::Image(_)),
        |content| matches!(content, Content::Index { .. }),
        |content| matches!(content, Content::Attestation { .. }),
    ];
    for kind in kinds {
        let of = |node: &Node| -> Vec<ManifestRef> {
            let found = node.nodes().filter(|node| kind(&node.content));
            found.filter_map(Node::known).map(as_listed).collect()
        };
        let (now, before) = (of(root), of(original));
        if now.len() == before.len() {
            let digests = now.into_iter().map(|now| now.digest);
            found.extend(digests.zip(before));
        }
    }
    found
}
