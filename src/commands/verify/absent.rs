//! Manifests that an index names and the layout does not have, as `docker save` leaves those of other platforms.
//!
//! Tools that push or import the whole index fail on them; those that take one platform do not notice.

use super::Findings;
use super::finding::Consequence;
use crate::layout::descriptor::Descriptor;
use crate::layout::select::{ImageFilter, Selection};
use crate::layout::tree::{Content, Node, Tree};
use crate::oci::digest::Digest;
use crate::soci::IMAGE_MANIFEST_DIGEST;

/// Reports the absent manifests below the selected roots, each once per index. Of some platforms only where they are meant.
pub(super) fn check(
    tree: &Tree,
    selection: &Selection<'_>,
    filter: &ImageFilter,
    findings: &mut Findings,
) {
    let mut seen = std::collections::BTreeSet::new();
    for root in selection.roots().map(|position| &tree.roots[position]) {
        below(root, &mut |index, child| {
            let wanted = match &child.platform {
                Some(platform) => filter.wants(platform),
                None => filter.platforms.is_empty(),
            };
            // An image that names an absent SOCI index says so itself.
            let is_soci = child.annotations.contains_key(IMAGE_MANIFEST_DIGEST);
            if !wanted || is_soci || !seen.insert((index, child.digest)) {
                return;
            }
            let what = match &child.platform {
                Some(platform) => format!("the manifest for {platform}"),
                None => "a manifest".to_owned(),
            };
            let place = format!("{what} in index {index}");
            let broken = Consequence::Unpullable;
            let expected = format!("a blob of {} bytes", child.size);
            findings.add(broken, Some(child.digest), &place, None, expected, "no such blob");
        });
    }
}

/// Calls `take` with each absent child and the index that names it.
fn below<'a>(node: &'a Node, take: &mut dyn FnMut(Digest, &'a Descriptor)) {
    let (Content::Index { children, .. }, Some(index)) = (&node.content, node.known()) else {
        return;
    };
    for child in children {
        if let (Content::Missing, Some(descriptor)) = (&child.content, child.known()) {
            take(index.digest, descriptor);
        }
        below(child, take);
    }
}
