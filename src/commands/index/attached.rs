//! Artifacts that are attached to an image (signatures, SBOMs) and stay behind when it gets another digest.
//!
//! They name their image by its digest: as `subject`, or in a tag of their own as cosign does. What is signed
//! cannot be led to the new digest, so it is said what stays behind, and how to avoid it.

use std::collections::HashSet;

use crate::commands::index::options::Options;
use crate::layout::select::Selection;
use crate::layout::tree::{Content, REF_NAME, Tree};
use crate::oci::digest::Digest;
use crate::oci::soci_version::V1Shape;
use crate::progress::warnings::Warnings;
use crate::soci::bind::Rewrite;

/// Annotation by which `cosign save` tells the entries of its layouts apart.
const COSIGN_KIND: &str = "kind";
const COSIGN: &str = "dev.cosignproject.cosign/";
const WAY_OUT: &str =
    "sign and attach after indexing, or keep all digests with --index-version v1 --v1-shape tagged";

/// What a run left behind.
pub(super) fn orphaned(tree: &Tree, rewritten: &Rewrite) -> Vec<String> {
    let images = rewritten.images.iter().filter(|new| new.before != new.manifest.digest);
    let mut changed: HashSet<Digest> = images.map(|new| new.before).collect();
    for (root, after) in tree.roots.iter().zip(&rewritten.roots) {
        changed
            .extend(root.known().map(|root| root.digest).filter(|before| Some(*before) != *after));
    }
    warnings(tree, &changed)
}

/// What a run would leave behind; `indexed` says which layers would have a zTOC.
pub(super) fn foreseen(
    tree: &Tree,
    selection: &Selection<'_>,
    options: &Options,
    indexed: &dyn Fn(&Digest) -> bool,
) -> Vec<String> {
    let nested = options.index_version.has_v1() && options.v1_shape == V1Shape::Nested;
    if !options.index_version.has_v2() && !nested {
        return Vec::new();
    }
    let mut changed = HashSet::new();
    for selected in &selection.images {
        if selected.image.layers.iter().any(|layer| indexed(&layer.digest)) {
            changed.insert(selected.digest);
        }
    }
    for position in selection.roots() {
        let mut any = false;
        tree.roots[position].visit(&mut |node| {
            any |= node.known().is_some_and(|descriptor| changed.contains(&descriptor.digest));
        });
        if any {
            changed.extend(tree.roots[position].known().map(|root| root.digest));
        }
    }
    warnings(tree, &changed)
}

fn warnings(tree: &Tree, changed: &HashSet<Digest>) -> Vec<String> {
    let mut found = Warnings::default();
    let mut seen = HashSet::new();
    let cosign_image = tree.roots.iter().filter_map(|root| root.known()).any(|root| {
        let kind = root.annotations.get(COSIGN_KIND).and_then(|kind| kind.strip_prefix(COSIGN));
        matches!(kind, Some("image" | "imageIndex")) && changed.contains(&root.digest)
    });
    for root in &tree.roots {
        root.visit(&mut |node| {
            let (Content::Artifact(artifact), Some(descriptor)) = (&node.content, node.known())
            else {
                return;
            };
            if let Some(subject) = artifact.subject.filter(|subject| changed.contains(subject))
                && seen.insert(descriptor.digest)
            {
                let (kind, digest) = (&artifact.kind, descriptor.digest);
                found.add(|| {
                    format!("stays behind: {kind} {digest} is attached to {subject}, which got another digest; {WAY_OUT}")
                });
            }
        });
        let Some(descriptor) = root.known() else { continue };
        let tag = descriptor.annotations.get(REF_NAME).map_or("", String::as_str);
        let tagged = tag.strip_prefix("sha256-").and_then(|tag| tag.split_once('.'));
        let kind =
            descriptor.annotations.get(COSIGN_KIND).and_then(|kind| kind.strip_prefix(COSIGN));
        if let Some(image) = tagged.and_then(|(hex, _)| Digest::from_hex(hex))
            && changed.contains(&image)
        {
            found.add(|| {
                format!(
                    "stays behind: {tag} belongs to {image}, which got another digest; {WAY_OUT}"
                )
            });
        } else if let Some(kind @ ("sigs" | "atts" | "sboms")) = kind
            && cosign_image
        {
            let digest = descriptor.digest;
            found.add(|| {
                format!(
                    "stays behind: {digest} ({kind} of cosign) belongs to an image that got another digest, and \
                     cosign load cannot read this layout any more; {WAY_OUT}"
                )
            });
        }
    }
    found.finish(|more| format!("stay behind: {more} more attached artifacts"))
}
