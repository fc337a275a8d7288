//! Entries of `index.json` led back to what they were before their images had SOCI indexes: put back as they stood
//! where that is known, else without what indexing added.

use std::collections::HashSet;

use super::bind::Rewriter;
use super::descriptors::{as_listed, media_type, point_at};
use super::index::ManifestRef;
use super::manifest::{member, remove_annotation};
use super::new_image::NewImage;
use super::originals::{has_soci, images_below};
use super::{ADDED_PLATFORM, IMAGE_MANIFEST_DIGEST};
use crate::error::Error;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Content, Image, Node, REFERENCE_DIGEST};
use crate::oci::digest::Digest;
use crate::oci::json::edit::set_member;
use crate::oci::json::{elements, members};
use crate::oci::media_type::is_index;

impl Rewriter<'_> {
    /// The root as it was before it had SOCI indexes, when none of them is left now and that is known.
    pub(super) fn restored(
        &mut self,
        position: usize,
        root: &Node,
        wanted: &dyn Fn(&Image) -> bool,
    ) -> Result<Option<(String, Digest)>, Error> {
        let (Some(original), Some(descriptor)) = (&self.before.originals[position], root.known())
        else {
            return Ok(None);
        };
        let (Some(text), Some(node)) = (&original.text, &original.node) else { return Ok(None) };
        let Some(target) = node.known().map(as_listed) else { return Ok(None) };
        let loses = match &root.content {
            Content::Attestation { .. } => self.follows_back(descriptor),
            _ => self.loses_all(root, wanted),
        };
        if !loses {
            return Ok(None);
        }
        let text = if original.exact {
            text.clone()
        } else {
            led_back(&descriptor.text, &target, text).map_err(Error::json("index.json"))?
        };
        let is_attestation = |node: &&Node| matches!(node.content, Content::Attestation { .. });
        for attestation in root.nodes().filter(is_attestation).filter_map(Node::known) {
            let earlier = self.before.earlier.get(&attestation.digest);
            self.attestations.extend(earlier.map(|earlier| (attestation.digest, earlier.clone())));
        }
        Ok(Some((text, target.digest)))
    }

    /// Whether an attestation's image becomes what it was.
    fn follows_back(&self, attestation: &Descriptor) -> bool {
        let image = attestation.annotations.get(REFERENCE_DIGEST).and_then(|d| d.parse().ok());
        image.is_some_and(|image| {
            let new = self.new_image(&image).map(|new| &new.manifest);
            new.is_some() && new == self.before.earlier.get(&image)
        })
    }

    /// Whether a root has SOCI indexes and none of them stays.
    fn loses_all(&self, root: &Node, wanted: &dyn Fn(&Image) -> bool) -> bool {
        let (mut images, mut v2) = (HashSet::new(), HashSet::new());
        // The tagged shape leaves the root alone, but for a name that it may have got.
        let undoing = self.binding.is_none();
        let mut loses = has_soci(root) || (undoing && self.rewrites_any(root, wanted));
        for (descriptor, image) in images_below(root) {
            match self.new_image(&descriptor.digest).filter(|_| wanted(image)) {
                Some(new) if new.v2.is_some() || new.nested_v1().is_some() => loses = false,
                Some(_) => {
                    images.insert(descriptor.digest.to_string());
                    v2.extend(image.soci_v2.clone());
                }
                None => loses &= image.soci_v2.is_none(),
            }
        }
        for (descriptor, soci) in root.nodes().filter_map(Node::soci) {
            let subject = soci.subject.map(|subject| subject.to_string());
            loses &= match subject.as_ref().or(descriptor.annotations.get(IMAGE_MANIFEST_DIGEST)) {
                Some(image) => images.contains(image),
                None => v2.contains(&descriptor.digest.to_string()),
            };
        }
        loses
    }

    /// Whether anything becomes of a wanted image at or below a node.
    pub(super) fn rewrites_any(&self, node: &Node, wanted: &dyn Fn(&Image) -> bool) -> bool {
        images_below(node).any(|(descriptor, image)| {
            wanted(image) && self.new_image(&descriptor.digest).is_some()
        })
    }

    /// The root of an index that had SOCI indexes and is now `text`, without them.
    pub(super) fn unindexed_root(
        &mut self,
        position: usize,
        root: &str,
        text: String,
    ) -> Result<(String, Digest), Error> {
        let place = "index.json";
        let original =
            self.before.originals[position].as_ref().and_then(|known| known.text.as_deref());
        let original = original.map(media_type).transpose().map_err(Error::json(place))?;
        // An index of one image may have been there before.
        let was_index = original.flatten().is_some_and(|kind| is_index(&kind));
        if !was_index
            && let Some(unwrapped) = unwrapped(root, &text, &|digest| self.image_now(digest))
                .map_err(Error::json(place))?
        {
            return Ok(unwrapped);
        }
        let target = self.put_index(text);
        Ok((point_at(root, &target).map_err(Error::json(place))?, target.digest))
    }
}

/// The root whose index was put around one image: led to the image itself again. `None` when the index
/// `text` says more than one that was made so.
fn unwrapped<'a>(
    root: &str,
    text: &str,
    image_of: &dyn Fn(&Digest) -> Option<&'a NewImage>,
) -> Result<Option<(String, Digest)>, serde_json::Error> {
    let annotations = member(root, "annotations")?.unwrap_or_else(|| "{}".to_owned());
    let made = |member: &str| ["schemaVersion", "mediaType", "manifests"].contains(&member);
    if members(text)?.iter().any(|member| !made(&member.name)) {
        return Ok(None);
    }
    let manifests = member(text, "manifests")?.unwrap_or_else(|| "[]".to_owned());
    let list = elements(&manifests)?;
    let [child] = list.as_slice() else { return Ok(None) };
    if member(child.value, "annotations")?.is_some() {
        return Ok(None);
    }
    let digest: Option<Digest> = member(child.value, "digest")?
        .and_then(|raw| serde_json::from_str::<String>(&raw).ok())
        .and_then(|text| text.parse().ok());
    let image = digest.and_then(|digest| image_of(&digest));
    let (Some(image), Some(platform)) = (image, member(child.value, "platform")?) else {
        return Ok(None);
    };
    let root = point_at(root, &image.manifest)?;
    let without_platform = member(&annotations, ADDED_PLATFORM)?.is_some();
    let root = remove_annotation(&root, ADDED_PLATFORM)?;
    let root = match member(child.value, "artifactType")? {
        Some(kind) => set_member(&root, "artifactType", &kind)?,
        None => root,
    };
    let root = if without_platform { root } else { set_member(&root, "platform", &platform)? };
    Ok(Some((root, image.manifest.digest)))
}

/// The root `text`, led back to what it was, `original`, whose own text has other names or annotations.
fn led_back(text: &str, target: &ManifestRef, original: &str) -> Result<String, serde_json::Error> {
    let text = remove_annotation(&point_at(text, target)?, ADDED_PLATFORM)?;
    match member(original, "platform")? {
        Some(platform) => set_member(&text, "platform", &platform),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> NewImage {
        let digest = Digest::of(b"image");
        let manifest = ManifestRef { media_type: "m".to_owned(), digest, size: 7 };
        NewImage { before: Digest::of(b"before"), manifest, v2: None, v1: None }
    }

    fn root(more: &str) -> String {
        format!("{{\"mediaType\":\"i\",\"digest\":\"d\",\"size\":1{more}}}")
    }

    fn led_to_image(more: &str) -> String {
        let digest = Digest::of(b"image");
        format!("{{\"mediaType\":\"m\",\"digest\":\"{digest}\",\"size\":7{more}}}")
    }

    #[test]
    fn an_index_that_was_put_around_an_image_goes() {
        let digest = Digest::of(b"image");
        let child = |more: &str| {
            format!("{{\"digest\":\"{digest}\",\"platform\":{{\"os\":\"linux\"}}{more}}}")
        };
        let index = |list: &str, more: &str| {
            format!("{{\"schemaVersion\":2,\"mediaType\":\"i\",\"manifests\":[{list}]{more}}}")
        };
        let made = index(&child(""), "");
        let added = ",\"annotations\":{\"soci-layout.added-platform\":\"true\"}";
        let platform = ",\"platform\":{\"os\":\"linux\"}";
        let kind = ",\"artifactType\":\"k\"";
        for (root, text, expected) in [
            (root(""), made.clone(), Some(led_to_image(platform))),
            (root(added), made.clone(), Some(led_to_image(""))),
            (root(added), index(&child(kind), ""), Some(led_to_image(kind))),
            // One that says more than an index that was made so.
            (root(""), index(&child(""), ",\"annotations\":{}"), None),
            (root(""), index(&child(",\"annotations\":{\"a\":\"b\"}"), ""), None),
            (root(""), index(&format!("{0},{0}", child("")), ""), None),
            (root(""), index("", ""), None),
            (root(""), index(&child("").replace("platform", "other"), ""), None),
        ] {
            let image = image();
            let known = |found: &Digest| (*found == digest).then_some(&image);
            let found = unwrapped(&root, &text, &known).expect("JSON");
            assert_eq!(found, expected.map(|text| (text, digest)), "{text}");
        }
        assert_eq!(unwrapped(&root(""), &made, &|_| None).expect("JSON"), None);
    }

    #[test]
    fn names_given_since_stay() {
        let target = image().manifest;
        let added = ",\"annotations\":{\"soci-layout.added-platform\":\"true\",\"name\":\"n\"}";
        let named = ",\"annotations\":{\"name\":\"n\"}";
        for (text, original, expected) in [
            (root(""), "{}", led_to_image("")),
            (root(added), "{}", led_to_image(named)),
            (root(""), "{\"platform\":{}}", led_to_image(",\"platform\":{}")),
        ] {
            assert_eq!(led_back(&text, &target, original).expect("JSON"), expected);
        }
    }
}
