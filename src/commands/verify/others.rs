//! What belongs to no image that is verified must be right all the same: it is pushed and pulled.

use std::collections::BTreeSet;

use super::Findings;
use super::finding::Consequence::{Rejected, Unpullable, Unverified};
use super::workload::Workload;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::{AnyDescriptor, Descriptor, Object};
use crate::layout::reach::Search;
use crate::layout::select::{ImageFilter, Selection};
use crate::layout::tree::{Content, Node, Tree};
use crate::limits::MAX_MANIFEST_SIZE;
use crate::oci::digest::Digest;
use crate::oci::json::schema;
use crate::oci::media_type::{is_index, is_manifest};
use crate::oci::soci_version::IndexVersion;
use crate::soci::IMAGE_MANIFEST_DIGEST;

/// Reports manifests that an index names and the layout does not have, as `docker save` leaves those of other platforms:
/// tools that push or import the whole index fail on them, those that take one platform do not notice. Each is told once
/// per index below the selected roots; of some platforms only where they are meant.
pub(super) fn absent(
    tree: &Tree,
    selection: &Selection<'_>,
    filter: &ImageFilter,
    findings: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    for root in selection.roots().map(|position| &tree.roots[position]) {
        absent_below(root, &mut |index, child| {
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
            let expected = format!("a blob of {} bytes", child.size);
            findings.add(Unpullable, child.digest, place, expected, "no such blob");
        });
    }
}

/// Calls `take` with each absent child and the index that names it.
fn absent_below<'a>(node: &'a Node, take: &mut dyn FnMut(Digest, &'a Descriptor)) {
    let (Content::Index { children, .. }, Some(index)) = (&node.content, node.known()) else {
        return;
    };
    for child in children {
        if let (Content::Missing, Some(descriptor)) = (&child.content, child.known()) {
            take(index.digest, descriptor);
        }
        absent_below(child, take);
    }
}

/// Reports V2 SOCI indexes that no image names, below the selected roots and where they stand in index.json by
/// themselves: no reader finds them, and the image they were made for is eager.
pub(super) fn unnamed(tree: &Tree, selection: &Selection<'_>, findings: &mut Findings) {
    let images = tree.nodes().filter_map(Node::image);
    let mut named: BTreeSet<String> =
        images.filter_map(|(_, image)| image.soci_v2.clone()).collect();
    let selected = selection.roots().map(|position| &tree.roots[position]);
    let alone = tree.roots.iter().filter(|root| matches!(root.content, Content::Soci(_)));
    let indexes = selected.chain(alone).flat_map(Node::nodes).filter_map(Node::soci);
    for (&Descriptor { digest, .. }, _) in
        indexes.filter(|(_, soci)| soci.version == IndexVersion::V2)
    {
        if named.insert(digest.to_string()) {
            let place = "the image that it is for";
            let expected = "a manifest with the annotation com.amazon.soci.index-digest";
            findings.add(Rejected, digest, place, expected, "none");
        }
    }
}

/// Reports manifests and indexes that were not looked into, as their kind is not known: a runtime may take them for
/// images.
pub(super) fn unclassified(layout: &Layout, tree: &Tree, findings: &mut Findings) {
    for node in tree.nodes().filter(|node| matches!(node.content, Content::Other)) {
        match &node.descriptor {
            AnyDescriptor::Known(descriptor) => {
                let (blob, media_type) = (descriptor.digest, &descriptor.media_type);
                if is_manifest(media_type) {
                    let expected = "a configuration, which says what it is";
                    findings.add(Unverified, blob, "the manifest", expected, "none");
                } else if is_like_one(layout, descriptor) {
                    let place = "its descriptor's mediaType";
                    let expected = "that of a manifest or an index, as its content looks like one";
                    findings.add(Unverified, blob, place, expected, media_type);
                }
            }
            AnyDescriptor::Foreign { text, digest } => {
                let media_type = Object::read(text, "").and_then(|object| object.text("mediaType"));
                let media_type = media_type.unwrap_or_default();
                if is_manifest(&media_type) || is_index(&media_type) {
                    findings.add(Unverified, None, "an entry", "a sha256 digest", digest);
                }
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

/// Checks the blobs that `index.json` leads to and that none of the jobs read, nor what gathered them.
pub(super) fn blobs(
    layout: &Layout,
    tree: &Tree,
    workload: &Workload<'_>,
    findings: &mut Findings,
) -> Result<(), Error> {
    for (digest, reached) in Search::layout(&tree.index_json).tree(tree).run(layout)?.sha256 {
        if workload.read.contains(&digest) || findings.has(digest) {
            continue;
        }
        let whole = match reached.whole {
            Some(whole) => whole,
            None => layout.has_sound_blob(&digest, reached.size)?,
        };
        if !whole {
            findings.add(Unpullable, digest, "the blob", digest, "other content");
        }
    }
    Ok(())
}
