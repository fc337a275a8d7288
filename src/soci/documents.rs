//! The documents of a layout, written again for what became of their images: `index.json`, indexes, lists,
//! attestations.

use super::bind::{Rewrite, Rewriter, Selected};
use super::descriptors::{index_of, is_bare, point_at, repoint_image};
use super::manifest::{member, set_annotation};
use super::new_image::NewImage;
use super::order::{Listed, is_annotated, tail};
use super::originals::{self, has_soci};
use super::{ADDED_PLATFORM, referrers};
use crate::error::Error;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Content, Image, Node, REF_NAME, REFERENCE_DIGEST};
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, INDEX};
use crate::oci::json::edit::{Edit, edit_array, remove_member, set_member};
use crate::oci::json::string;
use crate::oci::media_type::OCI_INDEX;
use crate::oci::platform::Platform;
use crate::oci::soci_version::V2Platform;

impl Rewriter<'_> {
    /// All documents, now that it is known what becomes of each image.
    pub(super) fn documents(mut self, selected: Selected<'_>) -> Result<Rewrite, Error> {
        let tree = self.tree;
        let mut edits = vec![Edit::Keep; tree.roots.len()];
        let mut roots = Vec::with_capacity(tree.roots.len());
        let is_image_index = tree.is_image_index();
        for (position, root) in tree.roots.iter().enumerate() {
            let wanted = |image: &Image| selected(position, image);
            let mut new = self.restored(position, root, &wanted)?;
            if new.is_none() {
                self.attestations(root)?;
                new = if is_image_index {
                    self.entry_as_child(root, &wanted)?
                } else {
                    self.root(position, root, &wanted)?
                };
            }
            roots.push(match &new {
                Some((_, digest)) => Some(*digest),
                None => root.known().map(|descriptor| descriptor.digest),
            });
            edits[position] = new.map(|(text, _)| text).into();
        }
        let mut appended = referrers::update(&mut self, tree, &mut edits)?;
        if is_image_index {
            appended.extend(self.soci_entries(selected, &mut edits));
        }
        let changed = edits.iter().any(|edit| *edit != Edit::Keep) || !appended.is_empty();
        let index_json = if changed {
            (|| {
                let manifests = member(&tree.index_json, "manifests")?;
                let manifests = manifests.as_deref().unwrap_or("[]");
                let manifests = edit_array(manifests, &edits, &appended)?;
                set_member(&tree.index_json, "manifests", &manifests)
            })()
            .map_err(Error::json("index.json"))?
        } else {
            tree.index_json.clone()
        };
        let keeps = self.binding.is_none_or(|binding| binding.keeps);
        if index_json != tree.index_json
            && let Some(record) = self.before.record(tree, &edits, &appended, keeps)?
        {
            self.put(originals::MEDIA_TYPE, record);
        }
        let Rewriter { images, blobs, .. } = self;
        Ok(Rewrite { index_json, blobs, images, roots })
    }

    /// The new text of an entry that says no more than one of an image's index, and the digest it leads to; `None` when
    /// it stays.
    fn entry_as_child(
        &mut self,
        root: &Node,
        wanted: &dyn Fn(&Image) -> bool,
    ) -> Result<Option<(String, Digest)>, Error> {
        let text = self.child(root, wanted)?;
        let Some(descriptor) = root.known().filter(|_| text != root.text()) else {
            return Ok(None);
        };
        let new = self.new_image(&descriptor.digest).map(|new| new.manifest.digest);
        let moved = self.attestations.get(&descriptor.digest).map(|moved| moved.digest);
        Ok(Some((text, new.or(moved).unwrap_or(descriptor.digest))))
    }

    /// The SOCI entries of an `index.json` that is itself the image's index; those that are there are taken out
    /// by `edits`, unless all stay.
    fn soci_entries(&self, selected: Selected<'_>, edits: &mut [Edit]) -> Vec<String> {
        let roots = &self.tree.roots;
        let listed = self.listed(roots, &|position, image| selected(position, image));
        let tail = tail(&listed, roots, self.v2_platform());
        let from = roots.len().saturating_sub(tail.len());
        let is_soci = |node: &Node| matches!(node.content, Content::Soci(_));
        let stay = roots[from..].iter().map(Node::text).eq(tail.iter().map(String::as_str))
            && !roots[..from].iter().any(is_soci);
        if stay {
            return Vec::new();
        }
        for (_, edit) in roots.iter().zip(edits).filter(|(root, _)| is_soci(root)) {
            *edit = Edit::Remove;
        }
        tail
    }

    /// The images of a list with what becomes of them.
    fn listed<'a>(&'a self, nodes: &'a [Node], wanted: Selected<'_>) -> Vec<Listed<'a>> {
        let image = |(position, node): (usize, &'a Node)| {
            let (descriptor, image) = node.image()?;
            let new = self.new_image(&descriptor.digest).filter(|_| wanted(position, image));
            Some(Listed { descriptor, image, new })
        };
        nodes.iter().enumerate().filter_map(image).collect()
    }

    /// Lets the attestation manifests below `node` follow their image.
    fn attestations(&mut self, node: &Node) -> Result<(), Error> {
        for node in node.nodes() {
            let (Content::Attestation { manifest: Some(manifest) }, Some(descriptor)) =
                (&node.content, node.known())
            else {
                continue;
            };
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
            let blob = self.put(&descriptor.media_type, text);
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
        let named = match self.binding.and_then(|binding| binding.name) {
            Some(name) => set_annotation(&descriptor.text, REF_NAME, name),
            None => Ok(descriptor.text.clone()),
        };
        match &node.content {
            Content::Image(image) if wanted(image) => {
                let Some(new) = self.new_image(&descriptor.digest).cloned() else {
                    return Ok(None);
                };
                let text = named.map_err(Error::json(place))?;
                if new.v2.is_none() && new.nested_v1().is_none() {
                    let digest = new.manifest.digest;
                    let text = if digest == new.before {
                        text
                    } else {
                        point_at(&text, &new.manifest).map_err(Error::json(place))?
                    };
                    return Ok((text != descriptor.text).then_some((text, digest)));
                }
                let index = wrap(node, descriptor, image, &new, self.v2_platform())?;
                let target = self.put(OCI_INDEX, index);
                // The type of an image's configuration, where tools write it, is the child's.
                let text = point_at(&text, &target)
                    .and_then(|text| remove_member(&text, "artifactType"))
                    .and_then(|text| match descriptor.platform {
                        Some(_) => remove_member(&text, "platform"),
                        None => set_annotation(&text, ADDED_PLATFORM, "true"),
                    })
                    .map_err(Error::json(place))?;
                Ok(Some((text, target.digest)))
            }
            Content::Index { text, children } => {
                if !self.rewrites_any(node, wanted) {
                    return Ok(None);
                }
                let root = named.map_err(Error::json(place))?;
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
            Content::Attestation { .. } => self.entry_as_child(node, wanted),
            _ => Ok(None),
        }
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
        manifests.extend(tail(&listed, children, self.v2_platform()));
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
                        let earlier = self.before.earlier.get(&descriptor.digest);
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
                if let Some(target) = self.attestations.get(&descriptor.digest) {
                    text = point_at(&text, target).map_err(Error::json(place))?;
                }
                Ok(text)
            }
            _ => Ok(descriptor.text.clone()),
        }
    }
}

/// An index around a root that is one image.
fn wrap(
    node: &Node,
    descriptor: &Descriptor,
    image: &Image,
    new: &NewImage,
    v2_platform: V2Platform,
) -> Result<String, Error> {
    let place = "index.json";
    let platform = wrapped_platform(descriptor.platform.as_ref(), image).to_owned();
    // Names and annotations stay on the root.
    let child = remove_member(&descriptor.text, "annotations")
        .and_then(|child| repoint_image(&child, new, false))
        .and_then(|child| set_member(&child, "platform", &platform))
        .map_err(Error::json(place))?;
    let image = Image { platform_text: platform, ..image.clone() };
    let listed = [Listed { descriptor, image: &image, new: Some(new) }];
    let mut manifests = vec![child];
    manifests.extend(tail(&listed, std::slice::from_ref(node), v2_platform));
    index_of(&manifests).map_err(Error::json(place))
}

/// The platform by which an image that stood alone is chosen from now on. Until now its configuration said
/// it to clients: where the root's descriptor says something else (some tools write their own
/// machine's platform there), that does not count.
fn wrapped_platform<'a>(listed: Option<&Platform>, image: &'a Image) -> &'a str {
    let (Some(listed), Some((configured, text))) = (listed, &image.configured) else {
        return &image.platform_text;
    };
    let features = |text: &str| text.contains("\"os.features\"");
    let more = configured != listed || (features(text) && !features(&image.platform_text));
    if more && !configured.is_incomplete() { text } else { &image.platform_text }
}
