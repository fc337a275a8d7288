//! The SOCI descriptors at the end of an image index.
//!
//! They carry the image's platform, unless it is to be unknown, so a tool that takes the first match must meet the images first:
//! they always stand last (`push-interop` 2). Their order follows the images', V2 before V1, whatever
//! the order in which platforms were added, so equal content gives equal bytes.

use std::collections::BTreeMap;

use super::index::{ManifestRef, artifact_type, descriptor_text, strings};
use super::{IMAGE_MANIFEST_DIGEST, INDEX_DIGEST};
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Image, Node, SociIndex};
use crate::oci::digest::Digest;
use crate::oci::json::string;
use crate::oci::soci_version::{IndexVersion, V2Platform};
use crate::soci::new_image::NewImage;

/// `BuildKit`'s mark of what is not an image, for V1 (a V1 index is found by its subject alone) and, where that is
/// wanted, for V2 (which is found by the annotation of its image).
const UNKNOWN_PLATFORM: &str = r#"{"architecture":"unknown","os":"unknown"}"#;

/// One image of an index with what becomes of it.
pub(super) struct Listed<'a> {
    pub(super) descriptor: &'a Descriptor,
    pub(super) image: &'a Image,
    /// `None` when it is left alone.
    pub(super) new: Option<&'a NewImage>,
}

/// The texts of the SOCI descriptors of an index that lists `images` and now has `children`.
pub(super) fn tail(
    images: &[Listed<'_>],
    children: &[Node],
    v2_platform: V2Platform,
) -> Vec<String> {
    let owners = Owners::of(images);
    // What belongs to no image here stays in front.
    let mut out = Vec::new();
    let mut kept: BTreeMap<(usize, bool), Vec<&str>> = BTreeMap::new();
    let is_v1 = |version: IndexVersion| version == IndexVersion::V1;
    for (descriptor, soci) in children.iter().filter_map(Node::soci) {
        let text = descriptor.text.as_str();
        match owners.find(descriptor, soci) {
            None => out.push(text.to_owned()),
            Some(owner) => kept.entry((owner, is_v1(soci.version))).or_default().push(text),
        }
    }
    // Two manifests can become the same one, and one V1 index is enough for it.
    let mut firsts: BTreeMap<Digest, usize> = BTreeMap::new();
    for (position, new) in images.iter().enumerate().filter_map(|(at, i)| Some((at, i.new?))) {
        firsts.entry(new.manifest.digest).or_insert(position);
    }
    for version in [IndexVersion::V2, IndexVersion::V1] {
        for (position, listed) in images.iter().enumerate() {
            let Some(new) = listed.new else {
                let kept = kept.get(&(position, is_v1(version))).into_iter().flatten();
                out.extend(kept.map(|text| (*text).to_owned()));
                continue;
            };
            match version {
                IndexVersion::V2 => out.extend(new.v2.as_ref().map(|soci| {
                    let platform = match v2_platform {
                        V2Platform::Image => &listed.image.platform_text,
                        V2Platform::Unknown => UNKNOWN_PLATFORM,
                    };
                    descriptor(version, soci, &new.manifest.digest, platform)
                })),
                _ if firsts.get(&new.manifest.digest) == Some(&position) => {
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

/// Positions of the first images with these manifests and these V2 indexes.
struct Owners<'a> {
    by_digest: BTreeMap<Digest, usize>,
    by_soci_v2: BTreeMap<&'a str, usize>,
}

impl<'a> Owners<'a> {
    fn of(images: &[Listed<'a>]) -> Self {
        let mut owners = Self { by_digest: BTreeMap::new(), by_soci_v2: BTreeMap::new() };
        for (position, listed) in images.iter().enumerate() {
            owners.by_digest.entry(listed.descriptor.digest).or_insert(position);
            if let Some(soci) = &listed.image.soci_v2 {
                owners.by_soci_v2.entry(soci).or_insert(position);
            }
        }
        owners
    }

    /// The first image that a SOCI index belongs to.
    fn find(&self, descriptor: &Descriptor, soci: &SociIndex) -> Option<usize> {
        let subject = soci.subject.and_then(|subject| self.by_digest.get(&subject));
        let other = match descriptor.annotations.get(IMAGE_MANIFEST_DIGEST) {
            Some(named) => named.parse().ok().and_then(|named: Digest| self.by_digest.get(&named)),
            None if soci.version == IndexVersion::V2 => {
                self.by_soci_v2.get(descriptor.digest.to_string().as_str())
            }
            None => None,
        };
        subject.into_iter().chain(other).min().copied()
    }
}

fn descriptor(version: IndexVersion, soci: &ManifestRef, image: &Digest, platform: &str) -> String {
    let annotations = strings([(IMAGE_MANIFEST_DIGEST, image)]);
    let kind = string(artifact_type(version));
    let more = [("annotations", &*annotations), ("platform", platform), ("artifactType", &kind)];
    descriptor_text(soci, &more)
}

/// Whether a descriptor's annotations name a V2 index.
pub(super) fn is_annotated(descriptor: &Descriptor) -> bool {
    descriptor.annotations.contains_key(INDEX_DIGEST)
}
