//! The documents of a layout rewritten to carry SOCI indexes: a pure function of what was read and of
//! the zTOCs, which writes nothing.
//!
//! What it keeps (`in-place-editing`): names, annotations, order and unknown members everywhere;
//! documents of images that are not selected, byte for byte; the links of `BuildKit` attestations, which
//! follow the image's new digest. Other artifacts that refer to an image (signatures) stay with the
//! digest they were made for.

use std::collections::{BTreeMap, HashMap};

use super::index::{self, EMPTY_CONFIG, ManifestRef, ZtocEntry};
use super::manifest::{annotate, member, strip};
use super::originals::{Original, Originals, Replaced, has_soci, images_below};
use super::prefetch::Prefetch;
use crate::commands::index::options::Options;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Content, Image, Node, Tree};
use crate::oci::digest::Digest;
use crate::oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use crate::oci::soci_version::V1Shape;

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
/// gives a layer's entry, if it has a zTOC; `prefetch` has the spans to be fetched ahead.
pub(crate) fn rewrite(
    layout: &Layout,
    tree: &Tree,
    options: &Options,
    selected: &dyn Fn(usize, &Image) -> bool,
    ztoc: &dyn Fn(&Descriptor) -> Option<ZtocEntry>,
    prefetch: &Prefetch,
) -> Result<Rewrite, Error> {
    let mut rewriter = Rewriter::new(layout, tree, options.name.as_deref(), !options.prune)?;
    for (descriptor, image) in images(tree, selected) {
        rewriter.image(descriptor, image, options, ztoc, prefetch)?;
    }
    rewriter.documents(selected)
}

/// The selected images, in the order in which they are found; one that stands in several places is given for
/// each of them.
pub(super) fn images<'a>(
    tree: &'a Tree,
    selected: &dyn Fn(usize, &Image) -> bool,
) -> Vec<(&'a Descriptor, &'a Image)> {
    let mut found: Vec<(&Descriptor, &Image)> = Vec::new();
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
    pub(super) tree: &'a Tree,
    /// Name that the selected root gets.
    pub(super) name: Option<&'a str>,
    /// Whether the documents that are replaced stay, so that the way back can be written down.
    keeps: bool,
    /// Whether SOCI indexes are taken away, and not made.
    pub(super) undoing: bool,
    pub(super) images: Vec<NewImage>,
    /// Their places in `images`, by the manifest they had.
    places: HashMap<Digest, usize>,
    /// And by the manifest they have now; the first counts.
    places_now: HashMap<Digest, usize>,
    /// Rewritten attestation manifests by their old digest.
    pub(super) attestations: BTreeMap<Digest, (Digest, u64)>,
    pub(super) blobs: BTreeMap<Digest, Vec<u8>>,
    /// By root, what it was before it had SOCI indexes.
    pub(super) originals: Vec<Option<Original>>,
    /// Read when the first is wanted: every blob has to be looked at.
    records: Option<Originals>,
    /// By digest, manifests and nested indexes as they were before they had SOCI indexes.
    pub(super) earlier: HashMap<Digest, ManifestRef>,
    /// By the digest of a manifest, the types that its layers had then.
    earlier_types: HashMap<Digest, Vec<String>>,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        layout: &'a Layout,
        tree: &'a Tree,
        name: Option<&'a str>,
        keeps: bool,
    ) -> Result<Self, Error> {
        let indexed = tree.roots.iter().any(has_soci);
        let records = indexed.then(|| Originals::read(layout)).transpose()?;
        let originals = match &records {
            Some(records) => records.of_roots(layout, tree),
            None => tree.roots.iter().map(|_| None).collect(),
        };
        let (mut earlier, mut earlier_types) = (HashMap::new(), HashMap::new());
        for (root, original) in tree.roots.iter().zip(&originals) {
            if let Some(node) = original.as_ref().and_then(|original| original.node.as_ref()) {
                earlier.extend(pairs(root, node));
                for ((now, image), (_, before)) in images_below(root).iter().zip(images_below(node))
                {
                    let types: Vec<String> =
                        before.layers.iter().map(|layer| layer.media_type.clone()).collect();
                    if types.len() == image.layers.len() {
                        earlier_types.extend(now.known().map(|now| (now.digest, types)));
                    }
                }
            }
        }
        Ok(Self {
            layout,
            tree,
            name,
            keeps,
            undoing: false,
            images: Vec::new(),
            places: HashMap::new(),
            places_now: HashMap::new(),
            attestations: BTreeMap::new(),
            blobs: BTreeMap::new(),
            originals,
            records,
            earlier,
            earlier_types,
        })
    }

    pub(super) fn put(&mut self, text: String) -> (Digest, u64) {
        let bytes = text.into_bytes();
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.blobs.insert(digest, bytes);
        (digest, size)
    }

    pub(super) fn put_index(&mut self, text: String) -> ManifestRef {
        let media_type = media_type(&text).ok().flatten().unwrap_or_else(|| OCI_INDEX.to_owned());
        let (digest, size) = self.put(text);
        ManifestRef { media_type, digest, size }
    }

    pub(super) fn new_image(&self, before: &Digest) -> Option<&NewImage> {
        self.places.get(before).map(|place| &self.images[*place])
    }

    pub(super) fn add(&mut self, image: NewImage) {
        self.places.insert(image.before, self.images.len());
        self.places_now.entry(image.manifest.digest).or_insert(self.images.len());
        self.images.push(image);
    }

    /// The image that is now this manifest.
    pub(super) fn image_now(&self, manifest: &Digest) -> Option<&NewImage> {
        self.places_now.get(manifest).map(|place| &self.images[*place])
    }

    /// Makes an image's SOCI indexes and its new manifest.
    fn image(
        &mut self,
        descriptor: &Descriptor,
        image: &Image,
        options: &Options,
        ztoc: &dyn Fn(&Descriptor) -> Option<ZtocEntry>,
        prefetch: &Prefetch,
    ) -> Result<(), Error> {
        if self.new_image(&descriptor.digest).is_some() {
            return Ok(());
        }
        let of_layer = |(at, layer): (usize, &Descriptor)| Some((at, ztoc(layer)?));
        let (places, mut entries): (Vec<usize>, Vec<ZtocEntry>) =
            image.layers.iter().enumerate().filter_map(of_layer).unzip();
        if entries.is_empty() {
            return Ok(());
        }
        let layers = image.layers.iter().map(|layer| &layer.digest);
        let (prefetch, artifacts) = prefetch.of_image(&descriptor.digest, layers);
        for artifact in artifacts {
            self.put(artifact);
        }
        // Every SOCI index refers to it.
        self.blobs.insert(Digest::of(EMPTY_CONFIG), EMPTY_CONFIG.to_vec());
        let tool = &options.build_tool_identifier;
        let place = format!("blob {}", descriptor.digest);
        let mut manifest = as_listed(descriptor);
        let mut v2 = None;
        if options.index_version.has_v2() {
            let layers = options.layer_types;
            for entry in &mut entries {
                entry.layer_media_type = layers.of(&entry.layer_media_type).to_owned();
            }
            let (digest, size) = self.put(index::encode(&entries, &prefetch, None, tool));
            v2 = Some(SociBlob { digest, size });
            let text = annotate(&image.text, &digest, layers).map_err(Error::json(&place))?;
            let (digest, size) = self.put(text);
            manifest = ManifestRef { media_type: OCI_MANIFEST.to_owned(), digest, size };
        } else if image.soci_v2.is_some() {
            manifest = self.unannotated(descriptor, image)?;
            if let Some(types) = self.earlier_types.get(&descriptor.digest) {
                for (entry, place) in entries.iter_mut().zip(places) {
                    entry.layer_media_type.clone_from(&types[place]);
                }
            }
        }
        let v1 = options.index_version.has_v1().then(|| {
            let (digest, size) =
                self.put(index::encode(&entries, &prefetch, Some(&manifest), tool));
            let blob = SociBlob { digest, size };
            V1Index { blob, shape: options.v1_shape, tool: tool.clone() }
        });
        self.add(NewImage { before: descriptor.digest, manifest, v2, v1 });
        Ok(())
    }

    /// The image's manifest without its annotation: the very one that it was, where that is known.
    pub(super) fn unannotated(
        &mut self,
        descriptor: &Descriptor,
        image: &Image,
    ) -> Result<ManifestRef, Error> {
        if let Some(earlier) = self.earlier.get(&descriptor.digest) {
            return Ok(earlier.clone());
        }
        let place = format!("blob {}", descriptor.digest);
        let text = strip(&image.text).map_err(Error::json(&place))?;
        let media_type = media_type(&text).map_err(Error::json(&place))?;
        let media_type = media_type.unwrap_or_else(|| descriptor.media_type.clone());
        let (digest, size) = self.put(text);
        Ok(ManifestRef { media_type, digest, size })
    }

    /// The record of the entries that this run replaces, for the way back; nothing when there is none.
    pub(super) fn record(
        &mut self,
        replacements: &[Option<String>],
        appended: &[String],
    ) -> Result<(), Error> {
        let mut entries = Vec::new();
        for ((root, original), now) in self.tree.roots.iter().zip(&self.originals).zip(replacements)
        {
            let Some(now) = now.as_ref().filter(|now| !now.is_empty()) else { continue };
            let before = match original {
                Some(original) => original.text.clone(),
                None if has_soci(root) || !self.keeps => continue,
                None => Some(root.text().to_owned()),
            };
            // One that is put back needs no way back, and what is pruned has none.
            if before.as_ref() != Some(now) && (before.is_some() || self.keeps) {
                entries.push(Replaced { now: now.clone(), before });
            }
        }
        if self.keeps || !entries.is_empty() {
            let added = appended.iter().map(|now| Replaced { now: now.clone(), before: None });
            entries.extend(added);
        }
        if entries.is_empty() {
            return Ok(());
        }
        let records = match self.records.take() {
            Some(records) => records,
            None => Originals::read(self.layout)?,
        };
        if let Some(record) = records.record(entries)? {
            self.put(record);
        }
        Ok(())
    }
}

/// A manifest as its descriptor has it.
pub(super) fn as_listed(descriptor: &Descriptor) -> ManifestRef {
    ManifestRef {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest,
        size: descriptor.size,
    }
}

/// What the manifests and nested indexes below a root were, by what stands in the same place below `original`.
fn pairs(root: &Node, original: &Node) -> Vec<(Digest, ManifestRef)> {
    let mut found = Vec::new();
    let kinds: [fn(&Content) -> bool; 3] = [
        |content| matches!(content, Content::Image(_)),
        |content| matches!(content, Content::Index { .. }),
        |content| matches!(content, Content::Attestation { .. }),
    ];
    for kind in kinds {
        let of = |node: &Node| -> Vec<ManifestRef> {
            let mut list = Vec::new();
            node.visit(&mut |node| {
                if kind(&node.content) {
                    list.extend(node.known().map(as_listed));
                }
            });
            list
        };
        let (now, before) = (of(root), of(original));
        if now.len() == before.len() {
            let digests = now.into_iter().map(|now| now.digest);
            found.extend(digests.zip(before));
        }
    }
    found
}

/// The media type that a document gives itself.
pub(super) fn media_type(text: &str) -> Result<Option<String>, serde_json::Error> {
    member(text, "mediaType")?.map(|raw| serde_json::from_str(&raw)).transpose()
}
