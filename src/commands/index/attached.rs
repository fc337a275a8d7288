//! Artifacts that are attached to an image (signatures, SBOMs) and stay behind when it gets another digest.
//!
//! They name their image by its digest: as `subject`, or in a tag of their own as cosign does. What is signed
//! cannot be led to the new digest, so it is said what stays behind, and how to avoid it.

use std::collections::HashSet;

use crate::commands::index::options::Options;
use crate::commands::index::report::{Attached, Report};
use crate::layout::select::Selection;
use crate::layout::tree::{Content, REF_NAME, Tree};
use crate::limits::MAX_WARNINGS;
use crate::oci::digest::Digest;
use crate::oci::soci_version::V1Shape;
use crate::soci::bind::Rewrite;

/// Annotation by which `cosign save` tells the entries of its layouts apart.
const COSIGN_KIND: &str = "kind";
const COSIGN: &str = "dev.cosignproject.cosign/";
const WAY_OUT: &str =
    "sign and attach after indexing, or make tagged V1 indexes, which keep all digests";

/// What stays behind: the first of it, and how much more there is.
#[derive(Debug, Default)]
pub(super) struct StaysBehind {
    kept: Vec<Attached>,
    more: usize,
}

impl StaysBehind {
    fn add(&mut self, attached: impl FnOnce() -> Attached) {
        if self.kept.len() < MAX_WARNINGS {
            self.kept.push(attached());
        } else {
            self.more += 1;
        }
    }

    /// Tells it in the report, as values and as warnings.
    pub(super) fn tell(self, report: &mut Report) {
        report.warnings.extend(self.kept.iter().map(warning));
        if self.more > 0 {
            report.warnings.push(format!("stay behind: {} more attached artifacts", self.more));
        }
        report.stays_behind = self.kept;
    }
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
pub(super) fn orphaned(tree: &Tree, rewritten: &Rewrite) -> StaysBehind {
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
) -> StaysBehind {
    let nested = options.index_version.has_v1() && options.v1_shape == V1Shape::Nested;
    if !options.index_version.has_v2() && !nested {
        return StaysBehind::default();
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
        let mut any = false;
        tree.roots[position].visit(&mut |node| {
            any |= node.known().is_some_and(|descriptor| changed.contains(&descriptor.digest));
        });
        if any {
            changed.extend(tree.roots[position].known().map(|root| root.digest));
        }
    }
    find(tree, &changed)
}

fn find(tree: &Tree, changed: &HashSet<Digest>) -> StaysBehind {
    let mut found = StaysBehind::default();
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
                let (digest, what) = (descriptor.digest, artifact.kind.clone());
                found.add(|| Attached { digest, what, subject: Some(subject) });
            }
        });
        let Some(descriptor) = root.known() else { continue };
        let tag = descriptor.annotations.get(REF_NAME).map_or("", String::as_str);
        let kind =
            descriptor.annotations.get(COSIGN_KIND).and_then(|kind| kind.strip_prefix(COSIGN));
        if let Some(image) = tagged_subject(tag)
            && changed.contains(&image)
        {
            let (digest, what) = (descriptor.digest, tag.to_owned());
            found.add(|| Attached { digest, what, subject: Some(image) });
        } else if let Some(kind @ ("sigs" | "atts" | "sboms")) = kind
            && cosign_image
        {
            let (digest, what) = (descriptor.digest, kind.to_owned());
            found.add(|| Attached { digest, what, subject: None });
        }
    }
    found
}

/// The image that a tag such as cosign's `sha256-<hex>.sig` belongs to.
pub(in crate::commands) fn tagged_subject(tag: &str) -> Option<Digest> {
    Digest::from_hex(tag.strip_prefix("sha256-")?.split_once('.')?.0)
}
