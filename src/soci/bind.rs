//! The documents of a layout rewritten to carry SOCI indexes: a pure function of what was read and of
//! the zTOCs, which writes nothing.
//!
//! What it keeps (`in-place-editing`): names, annotations, order and unknown members everywhere;
//! documents of images that are not selected, byte for byte; the links of `BuildKit` attestations, which
//! follow the image's new digest. Other artifacts that refer to an image (signatures) stay with the
//! digest they were made for.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use super::index::{self, EMPTY_CONFIG, ManifestRef, ZtocEntry};
use super::manifest::{annotate, member, remove_annotation, set_annotation, strip};
use super::superseded::Superseded;
use super::{ADDED_PLATFORM, IMAGE_MANIFEST_DIGEST, INDEX_DIGEST, unbind};
use crate::commands::index::options::Options;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Content, Image, Node, REF_NAME, REFERENCE_DIGEST, Tree};
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, INDEX};
use crate::oci::json::edit::{edit_array, remove_member, set_member};
use crate::oci::json::string;
use crate::oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use crate::oci::soci_version::V1Shape;
use crate::soci::order::{Listed, is_annotated, tail};
use crate::soci::referrers;

/// A SOCI index manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SociBlob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// The V1 index of an image and where it is put.
#[derive(Clone, Debug)]
pub(crate) struct V1Index {
    pub(crate) blob: SociBlob,
    pub(crate) shape: V1Shape,
    /// The tool that made it, for its entry in a list.
    pub(crate) tool: String,
}

/// What an image becomes.
#[derive(Clone, Debug)]
pub(crate) struct NewImage {
    /// The manifest it had.
    pub(crate) before: Digest,
    /// The manifest it has now.
    pub(crate) manifest: ManifestRef,
    pub(crate) v2: Option<SociBlob>,
    pub(crate) v1: Option<V1Index>,
}

impl NewImage {
    /// The V1 index, when it is a child of the image index.
    pub(super) fn nested_v1(&self) -> Option<&SociBlob> {
        self.v1.as_ref().filter(|v1| v1.shape == V1Shape::Nested).map(|v1| &v1.blob)
    }

    /// The V1 index, when it stands in a list of its own.
    pub(super) fn tagged_v1(&self) -> Option<&V1Index> {
        self.v1.as_ref().filter(|v1| v1.shape == V1Shape::Tagged)
    }
}

/// The result: documents to be written, nothing written yet.
#[derive(Debug)]
pub(crate) struct Rewrite {
    /// The new `index.json`.
    pub(crate) index_json: String,
    /// New documents by digest.
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
    /// Images that have an index now, in the order in which they are found.
    pub(crate) images: Vec<NewImage>,
    /// Digest behind each root, in their order.
    pub(crate) roots: Vec<Option<Digest>>,
}

/// Rewrites the tree. `selected` says for each root and platform whether an image is wanted; `ztoc`
/// gives a layer's entry, if it has a zTOC.
pub(crate) fn rewrite(
    layout: &Layout,
    tree: &Tree,
    options: &Options,
    selected: &dyn Fn(usize, &Image) -> bool,
    ztoc: &dyn Fn(&Descriptor) -> Option<ZtocEntry>,
) -> Result<Rewrite, Error> {
    let mut rewriter = Rewriter::new(layout, options.name.as_deref());
    for (descriptor, image) in images(tree, selected) {
        rewriter.image(descriptor, image, options, ztoc)?;
    }
    rewriter.documents(tree, selected)
}

/// The selected images, in the order in which they are found; one that stands in several places is given for
/// each of them.
pub(super) fn images<'a>(
    tree: &'a Tree,
    selected: &dyn Fn(usize, &Image) -> bool,
) -> Vec<(&'a Descriptor, &'a Image)> {
    let mut found = Vec::new();
    for (position, root) in tree.roots.iter().enumerate() {
        root.visit(&mut |node| {
            if let (Content::Image(image), Some(descriptor)) = (&node.content, node.known())
                && selected(position, image)
            {
                found.push((descriptor, image));
            }
        });
    }
    found
}

pub(super) struct Rewriter<'a> {
    pub(super) layout: &'a Layout,
    /// Name that the selected root gets.
    name: Option<&'a str>,
    pub(super) images: Vec<NewImage>,
    /// Their places, by the manifests they had.
    places: HashMap<Digest, usize>,
    /// And by those they have now; the first counts.
    by_manifest: HashMap<Digest, usize>,
    /// Read when the first is wanted.
    superseded: OnceCell<Superseded>,
    /// Rewritten attestation manifests by their old digest.
    pub(super) attestations: BTreeMap<Digest, (Digest, u64)>,
    blobs: BTreeMap<Digest, Vec<u8>>,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(layout: &'a Layout, name: Option<&'a str>) -> Self {
        Self {
            layout,
            name,
            images: Vec::new(),
            places: HashMap::new(),
            by_manifest: HashMap::new(),
            superseded: OnceCell::new(),
            attestations: BTreeMap::new(),
            blobs: BTreeMap::new(),
        }
    }

    /// All documents, now that it is known what becomes of each image.
    pub(super) fn documents(
        mut self,
        tree: &Tree,
        selected: &dyn Fn(usize, &Image) -> bool,
    ) -> Result<Rewrite, Error> {
        let mut replacements = Vec::with_capacity(tree.roots.len());
        let mut roots = Vec::with_capacity(tree.roots.len());
        for (position, root) in tree.roots.iter().enumerate() {
            self.attestations(root)?;
            let wanted = |image: &Image| selected(position, image);
            let new = self.root(root, &wanted)?;
            roots.push(match &new {
                Some((_, digest)) => Some(*digest),
                None => root.known().map(|descriptor| descriptor.digest),
            });
            replacements.push(new.map(|(text, _)| text));
        }
        let appended = referrers::update(&mut self, tree, &mut replacements)?;
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
        let Rewriter { images, blobs, .. } = self;
        Ok(Rewrite { index_json, blobs, images, roots })
    }
}

impl Rewriter<'_> {
    pub(super) fn put(&mut self, text: String) -> (Digest, u64) {
        let bytes = text.into_bytes();
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.blobs.insert(digest, bytes);
        (digest, size)
    }

    fn put_index(&mut self, text: String) -> ManifestRef {
        let media_type = media_type(&text).ok().flatten().unwrap_or_else(|| OCI_INDEX.to_owned());
        let (digest, size) = self.put(text);
        ManifestRef { media_type, digest, size }
    }

    /// The index that had SOCI indexes and is now `text`, in its first form, if its blob is there.
    pub(super) fn superseded_index(&self, text: &str) -> Result<Option<String>, Error> {
        Ok(self.superseded()?.index(self.layout, text))
    }

    fn superseded(&self) -> Result<&Superseded, Error> {
        if let Some(known) = self.superseded.get() {
            return Ok(known);
        }
        let found = Superseded::find(self.layout)?;
        Ok(self.superseded.get_or_init(|| found))
    }

    /// The root of an index that had SOCI indexes and is now `text`, without them.
    fn unindexed_root(&mut self, root: &str, text: String) -> Result<(String, Digest), Error> {
        let place = "index.json";
        let earlier = self.superseded_index(&text)?;
        if (earlier.is_none() || root.contains(ADDED_PLATFORM))
            && let Some(unwrapped) = unbind::unwrapped(root, &text, &|digest| {
                self.by_manifest.get(digest).map(|place| &self.images[*place])
            })
            .map_err(Error::json(place))?
        {
            return Ok(unwrapped);
        }
        let target = self.put_index(earlier.unwrap_or(text));
        Ok((point_at(root, &target).map_err(Error::json(place))?, target.digest))
    }

    pub(super) fn new_image(&self, before: &Digest) -> Option<&NewImage> {
        self.places.get(before).map(|place| &self.images[*place])
    }

    pub(super) fn add(&mut self, image: NewImage) {
        self.places.entry(image.before).or_insert(self.images.len());
        self.by_manifest.entry(image.manifest.digest).or_insert(self.images.len());
        self.images.push(image);
    }

    /// Makes an image's SOCI indexes and its new manifest.
    fn image(
        &mut self,
        descriptor: &Descriptor,
        image: &Image,
        options: &Options,
        ztoc: &dyn Fn(&Descriptor) -> Option<ZtocEntry>,
    ) -> Result<(), Error> {
        if self.new_image(&descriptor.digest).is_some() {
            return Ok(());
        }
        let entries: Vec<ZtocEntry> = image.layers.iter().filter_map(ztoc).collect();
        if entries.is_empty() {
            return Ok(());
        }
        // Every SOCI index refers to it.
        self.blobs.insert(Digest::of(EMPTY_CONFIG), EMPTY_CONFIG.to_vec());
        let tool = &options.build_tool_identifier;
        let place = format!("blob {}", descriptor.digest);
        let mut manifest = ManifestRef {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest,
            size: descriptor.size,
        };
        let mut v2 = None;
        if options.index_version.has_v2() {
            let (digest, size) = self.put(index::encode(&entries, None, tool));
            v2 = Some(SociBlob { digest, size });
            let text = annotate(&image.text, &digest).map_err(Error::json(&place))?;
            let (digest, size) = self.put(text);
            manifest = ManifestRef { media_type: OCI_MANIFEST.to_owned(), digest, size };
        } else if image.soci_v2.is_some() {
            manifest = self.unannotated(descriptor, image)?;
        }
        let v1 = options.index_version.has_v1().then(|| {
            let (digest, size) = self.put(index::encode(&entries, Some(&manifest), tool));
            let blob = SociBlob { digest, size };
            V1Index { blob, shape: options.v1_shape, tool: tool.clone() }
        });
        self.add(NewImage { before: descriptor.digest, manifest, v2, v1 });
        Ok(())
    }

    /// The image's manifest without its annotation: the very one that it superseded, if its blob is
    /// still there.
    pub(super) fn unannotated(
        &mut self,
        descriptor: &Descriptor,
        image: &Image,
    ) -> Result<ManifestRef, Error> {
        let place = format!("blob {}", descriptor.digest);
        let named = image.soci_v2.as_ref().and_then(|text| text.parse().ok());
        let original = match named {
            Some(soci) => self.superseded()?.manifest(self.layout, &image.text, &soci),
            None => None,
        };
        let text = match original {
            Some(text) => text,
            None => strip(&image.text).map_err(Error::json(&place))?,
        };
        let media_type = media_type(&text).map_err(Error::json(&place))?;
        let media_type = media_type.unwrap_or_else(|| descriptor.media_type.clone());
        let (digest, size) = self.put(text);
        Ok(ManifestRef { media_type, digest, size })
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
                let index = Self::wrap(node, descriptor, image, &new)?;
                let (digest, size) = self.put(index);
                let target = ManifestRef { media_type: OCI_INDEX.to_owned(), digest, size };
                let text = point_at(&text, &target)
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
                    Some(text) if has_soci(children) && is_bare(&text) => {
                        self.unindexed_root(&root, text)?
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

    /// An index around a root that is one image.
    fn wrap(
        node: &Node,
        descriptor: &Descriptor,
        image: &Image,
        new: &NewImage,
    ) -> Result<String, Error> {
        let place = "index.json";
        // Names and annotations stay on the root.
        let child = remove_member(&descriptor.text, "annotations").map_err(Error::json(place))?;
        let child = repoint_image(&child, new, false).map_err(Error::json(place))?;
        let child = if descriptor.platform.is_some() {
            child
        } else {
            set_member(&child, "platform", &image.platform_text).map_err(Error::json(place))?
        };
        let listed = [Listed { descriptor, image, new: Some(new) }];
        let mut manifests = vec![child];
        manifests.extend(tail(&listed, std::slice::from_ref(node)));
        index_of(&manifests).map_err(Error::json(place))
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
        let listed: Vec<Listed<'_>> = children
            .iter()
            .filter_map(|child| match (&child.content, child.known()) {
                (Content::Image(image), Some(descriptor)) => Some(Listed {
                    descriptor,
                    image,
                    new: self.new_image(&descriptor.digest).filter(|_| wanted(image)),
                }),
                _ => None,
            })
            .collect();
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
                        let superseded = if has_soci(children) && is_bare(&text) {
                            self.superseded_index(&text)?
                        } else {
                            None
                        };
                        let text = superseded.unwrap_or(text);
                        let target = self.put_index(text);
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

/// Whether SOCI indexes stand among these nodes or below them.
fn has_soci(children: &[Node]) -> bool {
    let mut any = false;
    for child in children {
        child.visit(&mut |node| any |= matches!(node.content, Content::Soci(_)));
    }
    any
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
        point_at(text, &new.manifest)?
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

/// The media type that a document gives itself.
pub(super) fn media_type(text: &str) -> Result<Option<String>, serde_json::Error> {
    member(text, "mediaType")?.map(|raw| serde_json::from_str(&raw)).transpose()
}
