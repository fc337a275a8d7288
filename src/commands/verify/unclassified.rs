//! Entries of unknown kind must not pass silently: a runtime may take them for images.

use super::Findings;
use super::finding::Consequence;
use crate::layout::Layout;
use crate::layout::descriptor::{AnyDescriptor, Descriptor, Object};
use crate::layout::tree::{Content, Node, Tree};
use crate::limits::MAX_MANIFEST_SIZE;
use crate::oci::json::schema;
use crate::oci::media_type::{is_index, is_manifest};

/// Finds manifests and indexes that were not looked into.
pub(super) fn check(layout: &Layout, tree: &Tree, findings: &mut Findings) {
    for root in &tree.roots {
        root.visit(&mut |node| {
            if matches!(node.content, Content::Other) {
                entry(layout, node, findings);
            }
        });
    }
}

fn entry(layout: &Layout, node: &Node, findings: &mut Findings) {
    let unverified = Consequence::Unverified;
    match &node.descriptor {
        AnyDescriptor::Known(descriptor) => {
            let (blob, media_type) = (Some(descriptor.digest), &descriptor.media_type);
            if is_manifest(media_type) {
                let expected = "a configuration, which says what it is";
                findings.add(unverified, blob, "the manifest", None, expected, "none");
            } else if is_like_one(layout, descriptor) {
                let place = "its descriptor's mediaType";
                let expected = "that of a manifest or an index, as its content looks like one";
                findings.add(unverified, blob, place, None, expected, media_type);
            }
        }
        AnyDescriptor::Foreign { text, digest } => {
            let media_type = Object::read(text, "").and_then(|object| object.get("mediaType"));
            let media_type: String = media_type.ok().flatten().unwrap_or_default();
            if is_manifest(&media_type) || is_index(&media_type) {
                findings.add(unverified, None, "an entry", None, "a sha256 digest", digest);
            }
        }
    }
}

/// Whether the blob has the members of a manifest or an index, however they are spelt.
fn is_like_one(layout: &Layout, descriptor: &Descriptor) -> bool {
    let Descriptor { digest, size, .. } = descriptor;
    let Ok(Some(bytes)) = layout.read_blob(digest, *size, MAX_MANIFEST_SIZE) else { return false };
    let Ok(text) = std::str::from_utf8(&bytes) else { return false };
    let names = schema::fields_like(text, &["manifests", "config", "layers"]);
    names.contains(&"manifests") || (names.contains(&"config") && names.contains(&"layers"))
}
