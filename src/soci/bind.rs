//! The documents of a layout rewritten to carry SOCI indexes: a function of what was read and of
//! the zTOCs, which writes nothing.
//!
//! What it keeps (`in-place-editing`): names, annotations, order and unknown members everywhere;
//! documents of images that are not selected, byte for byte; the links of `BuildKit` attestations, which
//! follow the image's new digest. Other artifacts that refer to an image (signatures) stay with the
//! digest they were made for.

use std::collections::{BTreeMap, HashMap};

use super::descriptors::{as_listed, media_type};
use super::index::{self, EMPTY_CONFIG, ManifestRef, ZtocEntry};
use super::manifest::{LayerTypes, annotate, strip};
use super::new_image::{NewImage, V1Index};
use super::prefetch::Prefetch;
use super::superseded::Superseded;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{self, Image, Node, Tree};
use crate::oci::digest::Digest;
use crate::oci::media_type::{OCI_INDEX, OCI_MANIFEST, SOCI_PREFETCH};
use crate::oci::soci_version::{IndexVersion, V1Shape, V2Platform};

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

impl Rewrite {
    /// What becomes of images, by the manifests that they had.
    pub(crate) fn by_before(&self) -> HashMap<Digest, &NewImage> {
        self.images.iter().map(|new| (new.before, new)).collect()
    }
}

/// How images are bound to their SOCI indexes.
#[derive(Debug)]
pub(crate) struct Binding<'a> {
    pub(crate) index_version: IndexVersion,
    pub(crate) v1_shape: V1Shape,
    pub(crate) v2_platform: V2Platform,
    pub(crate) layer_types: LayerTypes,
    /// The tool that is named in what is made.
    pub(crate) tool: &'a str,
    /// Name that the selected root gets.
    pub(crate) name: Option<&'a str>,
    /// Whether the documents that are replaced stay, so that the way back can be written down.
    pub(crate) keeps: bool,
}

/// Whether an image below the root at this place is wanted.
pub(super) type Selected<'a> = &'a dyn Fn(usize, &Image) -> bool;

/// Rewrites the tree with the images that are `selected`; `ztoc` gives a layer's entry, if it has a zTOC; `prefetch` has
/// the spans to be fetched ahead.
pub(crate) fn rewrite(
    layout: &Layout,
    tree: &Tree,
    binding: &Binding<'_>,
    selected: Selected<'_>,
    ztoc: &dyn Fn(&Descriptor) -> Option<ZtocEntry>,
    prefetch: &Prefetch,
) -> Result<Rewrite, Error> {
    let before = Superseded::load(layout, tree)?;
    let mut rewriter = Rewriter::new(tree, &before, Some(binding));
    for (descriptor, image) in images(tree, selected) {
        rewriter.image(descriptor, image, binding, ztoc, prefetch)?;
    }
    readable(layout, tree, rewriter.documents(selected)?)
}

/// What would be written, unless it could not be read again: such a layout could not be repaired either.
pub(super) fn readable(layout: &Layout, before: &Tree, rewrite: Rewrite) -> Result<Rewrite, Error> {
    if rewrite.index_json == before.index_json {
        return Ok(rewrite);
    }
    let images = |tree: &Tree| tree.nodes().filter_map(Node::image).count();
    let unreadable = |problem: String| Error::Unreadable { problem };
    let after = tree::read_as_if(layout, &rewrite.index_json, &rewrite.blobs)
        .map_err(|error| unreadable(error.to_string()))?;
    let (before, after) = (images(before), images(&after));
    if before != after {
        let problem = format!("of the layout's {before} images {after} would be found again");
        return Err(unreadable(problem));
    }
    Ok(rewrite)
}

/// The selected images, in the order in which they are found; one that stands in several places is given for
/// each of them.
pub(super) fn images<'a>(
    tree: &'a Tree,
    selected: Selected<'a>,
) -> impl Iterator<Item = (&'a Descriptor, &'a Image)> {
    tree.roots.iter().enumerate().flat_map(move |(position, root)| {
        let images = root.nodes().filter_map(Node::image);
        images.filter(move |(_, image)| selected(position, image))
    })
}

/// What becomes of a tree's documents: what is known so far, and the documents that are made.
pub(super) struct Rewriter<'a> {
    pub(super) tree: &'a Tree,
    pub(super) before: &'a Superseded,
    /// How SOCI indexes are made; `None` when they are taken away.
    pub(super) binding: Option<&'a Binding<'a>>,
    pub(super) images: Vec<NewImage>,
    /// Their places in `images`, by the manifest they had.
    places: HashMap<Digest, usize>,
    /// And by the manifest they have now; the first counts.
    places_now: HashMap<Digest, usize>,
    /// Rewritten attestation manifests by their old digest.
    pub(super) attestations: BTreeMap<Digest, ManifestRef>,
    pub(super) blobs: BTreeMap<Digest, Vec<u8>>,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        tree: &'a Tree,
        before: &'a Superseded,
        binding: Option<&'a Binding<'a>>,
    ) -> Self {
        Self {
            tree,
            before,
            binding,
            images: Vec::new(),
            places: HashMap::new(),
            places_now: HashMap::new(),
            attestations: BTreeMap::new(),
            blobs: BTreeMap::new(),
        }
    }

    /// The platform of the V2 indexes in an image index.
    pub(super) fn v2_platform(&self) -> V2Platform {
        self.binding.map(|binding| binding.v2_platform).unwrap_or_default()
    }

    pub(super) fn put(&mut self, media_type: &str, text: String) -> ManifestRef {
        let bytes = text.into_bytes();
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.blobs.insert(digest, bytes);
        ManifestRef { media_type: media_type.to_owned(), digest, size }
    }

    pub(super) fn put_index(&mut self, text: String) -> ManifestRef {
        let media_type = media_type(&text).ok().flatten().unwrap_or_else(|| OCI_INDEX.to_owned());
        self.put(&media_type, text)
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
        binding: &Binding<'_>,
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
            self.put(SOCI_PREFETCH, artifact);
        }
        // Every SOCI index refers to it.
        self.blobs.insert(Digest::of(EMPTY_CONFIG), EMPTY_CONFIG.to_vec());
        let tool = binding.tool;
        let place = format!("blob {}", descriptor.digest);
        let mut manifest = as_listed(descriptor);
        let mut v2 = None;
        if binding.index_version.has_v2() {
            let layers = binding.layer_types;
            for entry in &mut entries {
                entry.layer_media_type = layers.of(&entry.layer_media_type).to_owned();
            }
            let soci = index::encode_with(&entries, &prefetch, None, tool);
            let soci = self.put(OCI_MANIFEST, soci);
            let text = annotate(&image.text, &soci.digest, layers).map_err(Error::json(&place))?;
            manifest = self.put(OCI_MANIFEST, text);
            v2 = Some(soci);
        } else if image.soci_v2.is_some() {
            manifest = self.unannotated(descriptor, image)?;
            if let Some(types) = self.before.layer_types.get(&descriptor.digest) {
                for (entry, place) in entries.iter_mut().zip(places) {
                    entry.layer_media_type.clone_from(&types[place]);
                }
            }
        }
        let v1 = binding.index_version.has_v1().then(|| {
            let soci = index::encode_with(&entries, &prefetch, Some(&manifest), tool);
            let blob = self.put(OCI_MANIFEST, soci);
            V1Index { blob, shape: binding.v1_shape, tool: tool.to_owned() }
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
        if let Some(earlier) = self.before.earlier.get(&descriptor.digest) {
            return Ok(earlier.clone());
        }
        let place = format!("blob {}", descriptor.digest);
        let text = strip(&image.text).map_err(Error::json(&place))?;
        let media_type = media_type(&text).map_err(Error::json(&place))?;
        let media_type = media_type.unwrap_or_else(|| descriptor.media_type.clone());
        Ok(self.put(&media_type, text))
    }
}
