//! The SOCI descriptors at the end of an image index.
//!
//! They carry the image's platform, so a tool that takes the first match must meet the images first:
//! they always stand last (`push-interop` 2). Their order follows the images', V2 before V1, whatever
//! the order in which platforms were added, so equal content gives equal bytes.

use super::index::{artifact_type, write_head, write_pair};
use super::{IMAGE_MANIFEST_DIGEST, INDEX_DIGEST};
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Content, Image, Node, SociIndex};
use crate::oci::digest::Digest;
use crate::oci::json::write_string;
use crate::oci::media_type::OCI_MANIFEST;
use crate::oci::soci_version::IndexVersion;
use crate::soci::bind::{NewImage, SociBlob};

/// `BuildKit`'s mark of what is not an image, for V1 (a V1 index is found by its subject alone).
const UNKNOWN_PLATFORM: &str = r#"{"architecture":"unknown","os":"unknown"}"#;

/// One image of an index with what becomes of it.
pub(super) struct Listed<'a> {
    pub(super) descriptor: &'a Descriptor,
    pub(super) image: &'a Image,
    /// `None` when it is left alone.
    pub(super) new: Option<&'a NewImage>,
}

/// The texts of the SOCI descriptors of an index that lists `images` and now has `children`.
pub(super) fn tail(images: &[Listed<'_>], children: &[Node]) -> Vec<String> {
    let existing: Vec<(&Node, &Descriptor, &SociIndex)> = children
        .iter()
        .filter_map(|node| match (&node.content, node.known()) {
            (Content::Soci(soci), Some(descriptor)) => Some((node, descriptor, soci)),
            _ => None,
        })
        .collect();
    let owners: Vec<Option<usize>> = existing
        .iter()
        .map(|(_, descriptor, soci)| images.iter().position(|i| belongs(i, descriptor, soci)))
        .collect();
    let kept = |owner: Option<usize>, version: IndexVersion| {
        existing
            .iter()
            .zip(&owners)
            .filter(move |((_, _, soci), o)| **o == owner && soci.version == version)
            .map(|((node, _, _), _)| node.text().to_owned())
    };
    // What belongs to no image here stays in front.
    let mut out: Vec<String> = existing
        .iter()
        .zip(&owners)
        .filter(|(_, owner)| owner.is_none())
        .map(|((node, _, _), _)| node.text().to_owned())
        .collect();
    for version in [IndexVersion::V2, IndexVersion::V1] {
        for (position, listed) in images.iter().enumerate() {
            let Some(new) = listed.new else {
                out.extend(kept(Some(position), version));
                continue;
            };
            // Two manifests can become the same one, and one V1 index is enough for it.
            let same =
                |i: &Listed<'_>| i.new.is_some_and(|i| i.manifest.digest == new.manifest.digest);
            let first = images.iter().position(same);
            match version {
                IndexVersion::V2 => out.extend(new.v2.as_ref().map(|soci| {
                    descriptor(version, soci, &new.manifest.digest, &listed.image.platform_text)
                })),
                _ if first == Some(position) => {
                    out.extend(new.nested_v1().map(|soci| {
                        descriptor(version, soci, &new.manifest.digest, UNKNOWN_PLATFORM)
                    }));
                }
                _ => {}
            }
        }
    }
    out
}

fn belongs(listed: &Listed<'_>, descriptor: &Descriptor, soci: &SociIndex) -> bool {
    let digest = listed.descriptor.digest;
    if soci.subject == Some(digest) {
        return true;
    }
    match descriptor.annotations.get(IMAGE_MANIFEST_DIGEST) {
        Some(named) => *named == digest.to_string(),
        None => {
            soci.version == IndexVersion::V2
                && listed.image.soci_v2.as_ref() == Some(&descriptor.digest.to_string())
        }
    }
}

fn descriptor(version: IndexVersion, soci: &SociBlob, image: &Digest, platform: &str) -> String {
    let mut out = String::new();
    write_head(&mut out, OCI_MANIFEST, &soci.digest, soci.size);
    out.push_str(",\"annotations\":{");
    write_pair(&mut out, IMAGE_MANIFEST_DIGEST, &image.to_string());
    out.push_str("},\"platform\":");
    out.push_str(platform);
    out.push_str(",\"artifactType\":");
    write_string(&mut out, artifact_type(version));
    out.push('}');
    out
}

/// Whether a descriptor's annotations name a V2 index.
pub(super) fn is_annotated(descriptor: &Descriptor) -> bool {
    descriptor.annotations.contains_key(INDEX_DIGEST)
}
