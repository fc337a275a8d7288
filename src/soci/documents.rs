//! The documents of a layout, written again for what became of their images: `index.json`, indexes, lists,
//! attestations.

use std::collections::{BTreeMap, HashSet};

use super::bind::{NewImage, Rewrite, Rewriter, as_listed, media_type};
use super::index::ManifestRef;
use super::manifest::{member, remove_annotation, set_annotation};
use super::order::{Listed, is_annotated, tail};
use super::originals::{has_soci, images_below};
use super::{ADDED_PLATFORM, IMAGE_MANIFEST_DIGEST, INDEX_DIGEST, referrers, unbind};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::{AnyDescriptor, Descriptor};
use crate::layout::tree::{self, Content, Image, Node, REF_NAME, REFERENCE_DIGEST, Tree};
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, INDEX};
use crate::oci::json::edit::{edit_array, remove_member, set_member};
use crate::oci::json::string;
use crate::oci::media_type::{DOCKER_CONFIG, OCI_CONFIG, OCI_INDEX, is_index};

/// Whether the image below the root at this place is wanted.
pub(super) type Selected<'a> = &'a dyn Fn(usize, &Image) -> bool;

impl Rewriter<'_> {
    /// All documents, now that it is known what becomes of each image.
    pub(super) fn documents(mut self, selected: Selected<'_>) -> Result<Rewrite, Error> {
        let tree = self.tree;
        let mut replacements = vec![None; tree.roots.len()];
        let mut roots = Vec::with_capacity(tree.roots.len());
        let is_image_index = tree.is_image_index();
        for (position, root) in tree.roots.iter().enumerate() {
            let wanted = |image: &Image| selected(position, image);
            let mut new = self.restored(position, root, &wanted)?;
            if new.is_none() {
                self.attestations(root)?;
                new = if is_image_index {
                    self.image_index_entry(root, &wanted)?
                } else {
                    self.root(position, root, &wanted)?
                };
            }
            roots.push(match &new {
                Some((_, digest)) => Some(*digest),
                None => root.known().map(|descriptor| descriptor.digest),
            });
            replacements[position] = new.map(|(text, _)| text);
        }
        let mut appended = referrers::update(&mut self, tree, &mut replacements)?;
        if is_image_index {
            appended.extend(self.soci_entries(selected, &mut replacements));
        }
        let changed = replacements.iter().any(Option::is_some) || !appended.is_empty();
        let index_json = if changed {
            let place = "index.json";
            let manifests = member(&tree.index_json, "manifests")
                .map_err(Error::json(place))?
                .unwrap_or_else(|| "[]".to_owned());
            let manifests =
                edit_array(&manifests, &replacements, &appended).map_err(Error::json(place))?;
            set_member(&tree.index_json, "manifests", &manifests).map_err(Error::json(place))?
        } else {
            tree.index_json.clone()
        };
        if index_json != tree.index_json {
            self.record(&replacements, &appended)?;
        }
        let Rewriter { layout, images, blobs, .. } = self;
        if index_json != tree.index_json {
            check_readable(layout, tree, &index_json, &blobs)?;
        }
        Ok(Rewrite { index_json, blobs, images, roots })
    }

    /// The new text of an entry of an `index.json` that is itself an image's index, and the digest it leads to;
    /// `None` when it stays.
    fn image_index_entry(
        &mut self,
        root: &Node,
        wanted: &dyn Fn(&Image) -> bool,
    ) -> Result<Option<(String, Digest)>, Error> {
        let text = self.child(root, wanted)?;
        let Some(descriptor) = root.known().filter(|_| text != root.text()) else {
            return Ok(None);
        };
        let new = self.new_image(&descriptor.digest).map(|new| new.manifest.digest);
        let moved = self.attestations.get(&descriptor.digest).map(|(digest, _)| *digest);
        Ok(Some((text, new.or(moved).unwrap_or(descriptor.digest))))
    }

    /// The SOCI entries of an `index.json` that is itself the image's index; those that are there are taken out
    /// of `replacements`, unless all stay.
    fn soci_entries(
        &self,
        selected: Selected<'_>,
        replacements: &mut [Option<String>],
    ) -> Vec<String> {
        let roots = &self.tree.roots;
        let listed = self.listed(roots, &|position, image| selected(position, image));
        let tail = tail(&listed, roots);
        let from = roots.len().saturating_sub(tail.len());
        let is_soci = |node: &Node| matches!(node.content, Content::Soci(_));
        let stay = roots[from..].iter().map(Node::text).eq(tail.iter().map(String::as_str))
            && !roots[..from].iter().any(is_soci);
        if stay {
            return Vec::new();
        }
        for (root, replacement) in roots.iter().zip(replacements) {
            if is_soci(root) {
                *replacement = Some(String::new());
            }
        }
        tail
    }

    /// The images of a list with what becomes of them.
    fn listed<'a>(&'a self, nodes: &'a [Node], wanted: Selected<'_>) -> Vec<Listed<'a>> {
        let image = |(position, node): (usize, &'a Node)| match (&node.content, node.known()) {
            (Content::Image(image), Some(descriptor)) => Some(Listed {
                descriptor,
                image,
                new: self.new_image(&descriptor.digest).filter(|_| wanted(position, image)),
            }),
            _ => None,
        };
        nodes.iter().enumerate().filter_map(image).collect()
    }

    /// The root as it was before it had SOCI indexes, when none of them is left now and that is known.
    fn restored(
        &mut self,
        position: usize,
        root: &Node,
        wanted: &dyn Fn(&Image) -> bool,
    ) -> Result<Option<(String, Digest)>, Error> {
        let (Some(original), Some(descriptor)) = (&self.originals[position], root.known()) else {
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
            unbind::led_back(&descriptor.text, &target, text).map_err(Error::json("index.json"))?
        };
        let mut attestations = Vec::new();
        root.visit(&mut |node| {
            if matches!(node.content, Content::Attestation { .. }) {
                attestations.extend(node.known().map(|descriptor| descriptor.digest));
            }
        });
        for digest in attestations {
            if let Some(earlier) = self.earlier.get(&digest) {
                self.attestations.insert(digest, (earlier.digest, earlier.size));
            }
        }
        Ok(Some((text, target.digest)))
    }

    /// Whether an attestation's image becomes what it was.
    fn follows_back(&self, attestation: &Descriptor) -> bool {
        let image = attestation.annotations.get(REFERENCE_DIGEST).and_then(|d| d.parse().ok());
        image.is_some_and(|image| {
            let new = self.new_image(&image).map(|new| &new.manifest);
            new.is_some() && new == self.earlier.get(&image)
        })
    }

    /// Whether a root has SOCI indexes and none of them stays.
    fn loses_all(&self, root: &Node, wanted: &dyn Fn(&Image) -> bool) -> bool {
        let (mut images, mut v2) = (HashSet::new(), HashSet::new());
        // The tagged shape leaves the root alone, but for a name that it may have got.
        let mut loses = has_soci(root)
            || (self.undoing
                && images_below(root).iter().any(|(node, image)| {
                    wanted(image)
                        && node.known().is_some_and(|d| self.new_image(&d.digest).is_some())
                }));
        root.visit(&mut |node| {
            let (Content::Image(image), Some(descriptor)) = (&node.content, node.known()) else {
                return;
            };
            match self.new_image(&descriptor.digest).filter(|_| wanted(image)) {
                Some(new) if new.v2.is_some() || new.nested_v1().is_some() => loses = false,
                Some(_) => {
                    images.insert(descriptor.digest.to_string());
                    v2.extend(image.soci_v2.clone());
                }
                None => loses &= image.soci_v2.is_none(),
            }
        });
        root.visit(&mut |node| {
            let (Content::Soci(soci), Some(descriptor)) = (&node.content, node.known()) else {
                return;
            };
            let subject = soci.subject.map(|subject| subject.to_string());
            loses &= match subject.as_ref().or(descriptor.annotations.get(IMAGE_MANIFEST_DIGEST)) {
                Some(image) => images.contains(image),
                None => v2.contains(&descriptor.digest.to_string()),
            };
        });
        loses
    }

    /// Lets the attestation manifests below `node` follow their image.
    fn attestations(&mut self, node: &Node) -> Result<(), Error> {
        let mut found = Vec::new();
        node.visit(&mut |node| {
            if let (Content::Attestation { manifest: Some(manifest) }, Some(descriptor)) =
                (&node.content, node.known())
            {
                found.push((descriptor, manifest));
            }
        });
        for (descriptor, manifest) in found {
            let Some(new) = manifest.subject.and_then(|s| self.new_image(&s)) else { continue };
            if new.manifest.digest == new.before {
                continue;
            }
            let new = new.manifest.clone();
            let place = format!("blob {}", descriptor.digest);
            let text = (|| {
                let subject = member(&manifest.text, "subject")?.unwrap_or_default();
                let subject = point_at(&subject, &new)?;
                set_member(&manifest.text, "subject", &subject)
            })()
            .map_err(Error::json(place))?;
            let blob = self.put(text);
            self.attestations.insert(descriptor.digest, blob);
        }
        Ok(())
    }

    /// The new text of a root and the digest it leads to; `None` when it stays.
    fn root(
        &mut self,
        position: usize,
        node: &Node,
        wanted: &dyn Fn(&Image) -> bool,
    ) -> Result<Option<(String, Digest)>, Error> {
        let Some(descriptor) = node.known() else { return Ok(None) };
        let place = "index.json";
        let named = |text: &str, wanted: bool| match self.name {
            Some(name) if wanted => set_annotation(text, REF_NAME, name),
            _ => Ok(text.to_owned()),
        };
        match &node.content {
            Content::Image(image) if wanted(image) => {
                let Some(new) = self.new_image(&descriptor.digest).cloned() else {
                    return Ok(None);
                };
                let text = named(&descriptor.text, true).map_err(Error::json(place))?;
                if new.v2.is_none() && new.nested_v1().is_none() {
                    let digest = new.manifest.digest;
                    let text = if digest == new.before {
                        text
                    } else {
                        point_at(&text, &new.manifest).map_err(Error::json(place))?
                    };
                    return Ok((text != descriptor.text).then_some((text, digest)));
                }
                let index = self.wrap(node, descriptor, image, &new)?;
                let (digest, size) = self.put(index);
                let target = ManifestRef { media_type: OCI_INDEX.to_owned(), digest, size };
                // The type of an image's configuration, where tools write it, is the child's.
                let text = point_at(&text, &target)
                    .and_then(|text| remove_member(&text, "artifactType"))
                    .and_then(|text| match descriptor.platform {
                        Some(_) => remove_member(&text, "platform"),
                        None => set_annotation(&text, ADDED_PLATFORM, "true"),
                    })
                    .map_err(Error::json(place))?;
                Ok(Some((text, digest)))
            }
            Content::Index { text, children } => {
                let mut any = false;
                node.visit(&mut |node| {
                    any |= matches!(&node.content, Content::Image(image) if wanted(image))
                        && node.known().is_some_and(|d| self.new_image(&d.digest).is_some());
                });
                if !any {
                    return Ok(None);
                }
                let root = named(&descriptor.text, any).map_err(Error::json(place))?;
                let (root, digest) = match self.index(descriptor, text, children, wanted)? {
                    Some(text) if children.iter().any(has_soci) && is_bare(&text) => {
                        self.unindexed_root(position, &root, text)?
                    }
                    Some(text) => {
                        let target = self.put_index(text);
                        (point_at(&root, &target).map_err(Error::json(place))?, target.digest)
                    }
                    None => (root, descriptor.digest),
                };
                Ok((root != descriptor.text).then_some((root, digest)))
            }
            Content::Attestation { .. } => {
                let text = self.child(node, wanted)?;
                let digest = self.attestations.get(&descriptor.digest);
                let digest = digest.map_or(descriptor.digest, |(digest, _)| *digest);
                Ok((text != descriptor.text).then_some((text, digest)))
            }
            _ => Ok(None),
        }
    }

    /// The root of an index that had SOCI indexes and is now `text`, without them.
    fn unindexed_root(
        &mut self,
        position: usize,
        root: &str,
        text: String,
    ) -> Result<(String, Digest), Error> {
        let place = "index.json";
        let original = self.originals[position].as_ref().and_then(|known| known.text.as_deref());
        let original = original.map(media_type).transpose().map_err(Error::json(place))?;
        // An index of one image may have been there before.
        let was_index = original.flatten().is_some_and(|kind| is_index(&kind));
        if !was_index
            && let Some(unwrapped) =
                unbind::unwrapped(root, &text, &|digest| self.image_now(digest))
                    .map_err(Error::json(place))?
        {
            return Ok(unwrapped);
        }
        let target = self.put_index(text);
        Ok((point_at(root, &target).map_err(Error::json(place))?, target.digest))
    }

    /// An index around a root that is one image.
    fn wrap(
        &self,
        node: &Node,
        descriptor: &Descriptor,
        image: &Image,
        new: &NewImage,
    ) -> Result<String, Error> {
        let place = "index.json";
        let platform = self.wrapped_platform(descriptor, image)?;
        // Names and annotations stay on the root.
        let child = remove_member(&descriptor.text, "annotations")
            .and_then(|child| repoint_image(&child, new, false))
            .and_then(|child| set_member(&child, "platform", &platform))
            .map_err(Error::json(place))?;
        let image = Image { platform_text: platform, ..image.clone() };
        let listed = [Listed { descriptor, image: &image, new: Some(new) }];
        let mut manifests = vec![child];
        manifests.extend(tail(&listed, std::slice::from_ref(node)));
        index_of(&manifests).map_err(Error::json(place))
    }

    /// The platform by which an image that stood alone is chosen from now on. Until now its configuration said
    /// it to whoever pulled: where the root's descriptor says something else (some tools write their own
    /// machine's platform there), that does not count.
    fn wrapped_platform(&self, descriptor: &Descriptor, image: &Image) -> Result<String, Error> {
        let Some(platform) = &descriptor.platform else { return Ok(image.platform_text.clone()) };
        let place = format!("blob {}", descriptor.digest);
        let config = member(&image.text, "config").map_err(Error::json(&place))?;
        let config = AnyDescriptor::read_known(config.as_deref().unwrap_or("{}"), &place)?;
        let Ok((of_config, text)) = self.layout.config_platform(&config, &place) else {
            return Ok(image.platform_text.clone());
        };
        let features = |text: &str| text.contains("\"os.features\"");
        let more = of_config != *platform || (features(&text) && !features(&image.platform_text));
        Ok(if more && !of_config.is_incomplete() { text } else { image.platform_text.clone() })
    }

    /// The new text of an index; `None` when it stays.
    fn index(
        &mut self,
        descriptor: &Descriptor,
        text: &str,
        children: &[Node],
        wanted: &dyn Fn(&Image) -> bool,
    ) -> Result<Option<String>, Error> {
        let place = format!("blob {}", descriptor.digest);
        let mut manifests = Vec::with_capacity(children.len() + 2);
        for child in children {
            if !matches!(child.content, Content::Soci(_)) {
                manifests.push(self.child(child, wanted)?);
            }
        }
        let listed = self.listed(children, &|_, image| wanted(image));
        let touched = listed.iter().any(|listed| listed.new.is_some());
        manifests.extend(tail(&listed, children));
        let same = manifests.iter().map(String::as_str).eq(children.iter().map(Node::text));
        let child_changed = manifests.iter().zip(children).any(|(new, old)| new != old.text());
        if same || !(touched || child_changed) {
            return Ok(None);
        }
        let text = set_member(text, "manifests", &format!("[{}]", manifests.join(",")))
            .and_then(|text| set_member(&text, "mediaType", &string(OCI_INDEX)))
            .and_then(|text| canonical::encode(&text, &INDEX))
            .map_err(Error::json(place))?;
        Ok(Some(text))
    }

    /// The new text of a child's descriptor.
    fn child(&mut self, node: &Node, wanted: &dyn Fn(&Image) -> bool) -> Result<String, Error> {
        let Some(descriptor) = node.known() else { return Ok(node.text().to_owned()) };
        let place = format!("the descriptor of {}", descriptor.digest);
        match &node.content {
            Content::Image(image) if wanted(image) => match self.new_image(&descriptor.digest) {
                Some(new) => repoint_image(&descriptor.text, new, is_annotated(descriptor))
                    .map_err(Error::json(place)),
                None => Ok(descriptor.text.clone()),
            },
            Content::Index { text, children } => {
                match self.index(descriptor, text, children, wanted)? {
                    Some(text) => {
                        let earlier = self.earlier.get(&descriptor.digest);
                        let earlier = earlier.filter(|_| is_bare(&text)).cloned();
                        let target = earlier.unwrap_or_else(|| self.put_index(text));
                        point_at(&descriptor.text, &target).map_err(Error::json(place))
                    }
                    None => Ok(descriptor.text.clone()),
                }
            }
            Content::Attestation { .. } => {
                let mut text = descriptor.text.clone();
                let image = descriptor.annotations.get(REFERENCE_DIGEST);
                if let Some(new) =
                    image.and_then(|d| d.parse().ok()).and_then(|d| self.new_image(&d))
                {
                    let digest = new.manifest.digest.to_string();
                    text = set_annotation(&text, REFERENCE_DIGEST, &digest)
                        .map_err(Error::json(&place))?;
                }
                if let Some((digest, size)) = self.attestations.get(&descriptor.digest) {
                    let media_type = descriptor.media_type.clone();
                    let target = ManifestRef { media_type, digest: *digest, size: *size };
                    text = point_at(&text, &target).map_err(Error::json(place))?;
                }
                Ok(text)
            }
            _ => Ok(descriptor.text.clone()),
        }
    }
}

/// Reads what would be written: a layout that could not be read any more could not be repaired either.
fn check_readable(
    layout: &Layout,
    before: &Tree,
    index_json: &str,
    blobs: &BTreeMap<Digest, Vec<u8>>,
) -> Result<(), Error> {
    let images = |tree: &Tree| -> usize {
        tree.roots.iter().map(|root| images_below(root).len()).sum::<usize>()
    };
    let unreadable = |problem: String| Error::Unreadable { problem };
    let after = tree::read_as_if(layout, index_json, blobs)
        .map_err(|error| unreadable(error.to_string()))?;
    let (before, after) = (images(before), images(&after));
    if before == after {
        return Ok(());
    }
    Err(unreadable(format!("of the layout's {before} images {after} would be found again")))
}

/// Whether an index names no SOCI index, neither as an entry nor in an annotation.
fn is_bare(text: &str) -> bool {
    !text.contains(INDEX_DIGEST) && !text.contains(IMAGE_MANIFEST_DIGEST)
}

/// The descriptor of an image, led to its new manifest.
fn repoint_image(text: &str, new: &NewImage, annotated: bool) -> Result<String, serde_json::Error> {
    let text = if new.manifest.digest == new.before {
        text.to_owned()
    } else {
        let text = point_at(text, &new.manifest)?;
        // Some tools write the configuration's type there.
        match member(&text, "artifactType")? {
            Some(kind) if new.v2.is_some() && kind == string(DOCKER_CONFIG) => {
                set_member(&text, "artifactType", &string(OCI_CONFIG))?
            }
            _ => text,
        }
    };
    match &new.v2 {
        Some(soci) => set_annotation(&text, INDEX_DIGEST, &soci.digest.to_string()),
        None if annotated => remove_annotation(&text, INDEX_DIGEST),
        None => Ok(text),
    }
}

/// The descriptor `text`, led to another blob. Inline data and other places to get the old blob from
/// go, as they would be wrong.
pub(super) fn point_at(text: &str, target: &ManifestRef) -> Result<String, serde_json::Error> {
    let text = set_member(text, "mediaType", &string(&target.media_type))?;
    let text = set_member(&text, "digest", &string(&target.digest.to_string()))?;
    let text = set_member(&text, "size", &target.size.to_string())?;
    remove_member(&remove_member(&text, "data")?, "urls")
}

/// A new index of these descriptors.
pub(super) fn index_of(manifests: &[String]) -> Result<String, serde_json::Error> {
    let text = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\",\"manifests\":[{}]}}",
        manifests.join(",")
    );
    canonical::encode(&text, &INDEX)
}
