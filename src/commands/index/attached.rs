//! Artifacts that are attached to an image (signatures, SBOMs) and stay behind when it gets another digest.
//!
//! They name their image by its digest: as `subject`, or in a tag of their own as cosign does. What is signed
//! cannot be led to the new digest, so it is said what stays behind, and how to avoid it.

use std::collections::HashSet;

use crate::commands::index::options::Options;
use crate::commands::index::report::{Attached, Report};
use crate::layout::descriptor::Descriptor;
use crate::layout::select::Selection;
use crate::layout::tree::{Content, Node, REF_NAME, Tree};
use crate::limits::MAX_WARNINGS;
use crate::oci::digest::Digest;
use crate::oci::soci_version::V1Shape;
use crate::soci::bind::Rewrite;

/// Annotation by which `cosign save` tells the entries of its layouts apart.
const COSIGN_KIND: &str = "kind";
const COSIGN: &str = "dev.cosignproject.cosign/";
const WAY_OUT: &str =
    "sign and attach after indexing, or make tagged V1 indexes, which keep all digests";

/// Tells the first of what stays behind in the report, as values and as warnings, and how much more there is.
pub(super) fn tell(mut found: Vec<Attached>, report: &mut Report) {
    let more = found.len().saturating_sub(MAX_WARNINGS);
    found.truncate(MAX_WARNINGS);
    report.warnings.extend(found.iter().map(warning));
    if more > 0 {
        report.warnings.push(format!("stay behind: {more} more attached artifacts"));
    }
    report.stays_behind = found;
}

fn warning(attached: &Attached) -> String {
    let Attached { digest, what, subject } = attached;
    match subject {
        Some(subject) => format!(
            "stays behind: {what} {digest} is attached to {subject}, which got another digest; {WAY_OUT}"
        ),
        None => format!(
            "stays behind: {digest} ({what} of cosign) belongs to an image that got another digest, and cosign load \
             cannot read this layout any more; {WAY_OUT}"
        ),
    }
}

/// What a run left behind.
pub(super) fn orphaned(tree: &Tree, rewritten: &Rewrite) -> Vec<Attached> {
    let images = rewritten.images.iter().filter(|new| new.before != new.manifest.digest);
    let mut changed: HashSet<Digest> = images.map(|new| new.before).collect();
    for (root, after) in tree.roots.iter().zip(&rewritten.roots) {
        changed
            .extend(root.known().map(|root| root.digest).filter(|before| Some(*before) != *after));
    }
    find(tree, &changed)
}

/// What a run would leave behind; `indexed` says which layers would have a zTOC.
pub(super) fn foreseen(
    tree: &Tree,
    selection: &Selection<'_>,
    options: &Options,
    indexed: &dyn Fn(&Digest) -> bool,
) -> Vec<Attached> {
    let nested = options.index_version.has_v1() && options.v1_shape == V1Shape::Nested;
    if !options.index_version.has_v2() && !nested {
        return Vec::new();
    }
    let mut changed = HashSet::new();
    for selected in &selection.images {
        // Without a layer for it, the index that it has goes.
        let indexable = selected.image.layers.iter().any(|layer| indexed(&layer.digest));
        if indexable || selected.image.soci_v2.is_some() {
            changed.insert(selected.digest);
        }
    }
    for position in selection.roots() {
        let root = &tree.roots[position];
        let mut below = root.nodes().filter_map(Node::known);
        if below.any(|descriptor| changed.contains(&descriptor.digest)) {
            changed.extend(root.known().map(|root| root.digest));
        }
    }
    find(tree, &changed)
}

fn find(tree: &Tree, changed: &HashSet<Digest>) -> Vec<Attached> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let cosign_image = tree.roots.iter().filter_map(Node::known).any(|root| {
        matches!(cosign_kind(root), Some("image" | "imageIndex")) && changed.contains(&root.digest)
    });
    for root in &tree.roots {
        for node in root.nodes() {
            let (Content::Artifact(artifact), Some(descriptor)) = (&node.content, node.known())
            else {
                continue;
            };
            if let Some(subject) = artifact.subject.filter(|subject| changed.contains(subject))
                && seen.insert(descriptor.digest)
            {
                let (digest, what) = (descriptor.digest, artifact.kind.clone());
                found.push(Attached { digest, what, subject: Some(subject) });
            }
        }
        let Some(descriptor) = root.known() else { continue };
        let digest = descriptor.digest;
        let tag = descriptor.annotations.get(REF_NAME).map_or("", String::as_str);
        if let Some(image) = tagged_subject(tag)
            && changed.contains(&image)
        {
            found.push(Attached { digest, what: tag.to_owned(), subject: Some(image) });
        } else if let Some(kind @ ("sigs" | "atts" | "sboms")) = cosign_kind(descriptor)
            && cosign_image
        {
            found.push(Attached { digest, what: kind.to_owned(), subject: None });
        }
    }
    found
}

/// The word by which cosign tells the entries of its layouts apart.
fn cosign_kind(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(COSIGN_KIND)?.strip_prefix(COSIGN)
}

/// The image that a tag such as cosign's `sha256-<hex>.sig` belongs to.
pub(in crate::commands) fn tagged_subject(tag: &str) -> Option<Digest> {
    Digest::from_hex(tag.strip_prefix("sha256-")?.split_once('.')?.0)
}
