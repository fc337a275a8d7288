//! V2 SOCI indexes that no image names: no reader finds them, and the image they were made for is eager.

use std::collections::BTreeSet;

use super::Findings;
use super::finding::Consequence;
use crate::layout::select::Selection;
use crate::layout::tree::{Content, Tree};
use crate::oci::soci_version::IndexVersion;

/// Reports such indexes below the selected roots, and those that stand in index.json by themselves.
pub(super) fn check(tree: &Tree, selection: &Selection<'_>, findings: &mut Findings) {
    let mut named = BTreeSet::new();
    for root in &tree.roots {
        root.visit(&mut |node| {
            if let Content::Image(image) = &node.content {
                named.extend(image.soci_v2.clone());
            }
        });
    }
    let selected = selection.roots().map(|position| &tree.roots[position]);
    let alone = tree.roots.iter().filter(|root| matches!(root.content, Content::Soci(_)));
    for root in selected.chain(alone) {
        root.visit(&mut |node| {
            if let (Content::Soci(soci), Some(descriptor)) = (&node.content, node.known())
                && soci.version == IndexVersion::V2
                && named.insert(descriptor.digest.to_string())
            {
                let place = "the image that it is for";
                let expected = "a manifest with the annotation com.amazon.soci.index-digest";
                let rejected = Consequence::Rejected;
                findings.add(rejected, Some(descriptor.digest), place, None, expected, "none");
            }
        });
    }
}
