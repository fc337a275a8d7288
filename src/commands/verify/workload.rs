//! What is to be verified: the SOCI indexes of the images, and which layers belong to which zTOCs.
//!
//! Only documents are read here. What needs a zTOC is noted for its [`Job`].

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::Findings;
use super::document::{self, Entry};
use super::finding::Consequence::{LayerEager, Misleading, Rejected, Unpullable};
use super::finding::VerifiedImage;
use super::job::{Claim, Job};
use super::layer::Layer;
use super::prefetch;
use crate::commands::parents::{Stack, StackLayer, ZtocKey};
use crate::commands::share::Share;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::config::ImageConfig;
use crate::layout::descriptor::Descriptor;
use crate::layout::select::{SelectedImage, Selection};
use crate::layout::tree::{Image, Node, SociIndex, Tree};
use crate::limits::{MAX_CONFIG_SIZE, MAX_MANIFEST_SIZE};
use crate::oci::digest::Digest;
use crate::oci::media_type::{
    LayerKind, SOCI_INDEX_V1, SOCI_INDEX_V2, SOCI_PREFETCH, ZTOC, layer_kind,
};
use crate::oci::soci_version::IndexVersion;
use crate::soci::{IMAGE_MANIFEST_DIGEST, LAYER_DIGEST, find};

/// The images and what is to be done for them.
#[derive(Debug, Default)]
pub(super) struct Workload<'a> {
    pub(super) images: Vec<VerifiedImage>,
    /// In the order in which they are found.
    pub(super) jobs: Vec<Job<'a>>,
    /// The images' layers.
    pub(super) stacks: Vec<Stack>,
    /// For each image, the numbers of its layers ([`Layer::at`]).
    pub(super) positions: Vec<Vec<usize>>,
    /// Blobs that were read for it or that the jobs read, and judge.
    pub(super) read: BTreeSet<Digest>,
}

impl<'a> Workload<'a> {
    /// Reads the SOCI indexes and configurations of the selected images.
    pub(super) fn make(
        layout: &'a Layout,
        tree: &'a Tree,
        selection: &'a Selection<'a>,
        findings: &mut Findings,
    ) -> Result<Self, Error> {
        let mut collector = Collector {
            layout,
            tree,
            soci: find::SociIndexes::below(&tree.roots),
            documents: BTreeMap::new(),
            layers: Vec::new(),
            layer_at: BTreeMap::new(),
            named: named(tree),
            ztocs: Vec::new(),
            ztoc_at: BTreeMap::new(),
            workload: Workload::default(),
        };
        for selected in &selection.images {
            let image = collector.image(selected, findings)?;
            collector.workload.images.push(image);
        }
        Ok(collector.finish())
    }
}

/// A zTOC so far.
struct Used<'a> {
    job: Job<'a>,
    /// Positions of its layers.
    layers: BTreeSet<usize>,
}

struct Collector<'a> {
    layout: &'a Layout,
    tree: &'a Tree,
    soci: find::SociIndexes<'a>,
    /// The entries of the SOCI indexes that were read. Several images can have the same one.
    documents: BTreeMap<Digest, Rc<[Entry]>>,
    layers: Vec<Layer<'a>>,
    layer_at: BTreeMap<(Digest, LayerKind), usize>,
    /// The images that the descriptors of a SOCI index name.
    named: BTreeMap<Digest, BTreeSet<String>>,
    ztocs: Vec<Used<'a>>,
    ztoc_at: BTreeMap<ZtocKey, usize>,
    /// What is ready.
    workload: Workload<'a>,
}

impl<'a> Collector<'a> {
    fn image(
        &mut self,
        selected: &'a SelectedImage<'a>,
        findings: &mut Findings,
    ) -> Result<VerifiedImage, Error> {
        let image = selected.image;
        self.choosable(selected, findings);
        let found = self.indexes(selected.digest, image, findings);
        let positions: Vec<usize> = image.layers.iter().map(|layer| self.layer(layer)).collect();
        let own: BTreeSet<usize> = positions.iter().copied().collect();
        let mut lazy: BTreeMap<usize, ZtocKey> = BTreeMap::new();
        for (digest, _) in &found {
            for (layer, ztoc) in self.index(*digest, (image, &own), findings)? {
                lazy.entry(layer).or_insert(ztoc);
            }
        }
        let stacked = |(layer, at): (&Descriptor, &usize)| StackLayer {
            digest: layer.digest,
            size: layer.size,
            ztoc: lazy.get(at).copied(),
        };
        let layers = image.layers.iter().zip(&positions).map(stacked).collect();
        self.workload.stacks.push(Stack { image: selected.digest, layers });
        self.workload.positions.push(positions.clone());
        for (position, diff_id) in positions.iter().zip(self.diff_ids(image, findings)?) {
            self.layers[*position].diff_ids.extend(diff_id);
        }
        Ok(VerifiedImage {
            names: selected.names.clone(),
            platform: image.platform.to_string(),
            digest: selected.digest,
            soci_indexes: found.iter().map(|(digest, _)| *digest).collect(),
            lazy_layers: positions.iter().filter(|at| lazy.contains_key(at)).count() as u64,
            layers: positions.len() as u64,
            eager: Vec::new(),
            lazy: Share::default(),
            largest_span: None,
        })
    }

    /// Whether somebody who wants the image can choose it, where it stands in an image index.
    fn choosable(&self, selected: &SelectedImage<'_>, findings: &mut Findings) {
        if !selected.image.platform.is_incomplete() {
            return;
        }
        let mut descriptors = self.tree.nodes().filter_map(Node::known);
        let listed = descriptors.any(|descriptor| {
            descriptor.digest == selected.digest && descriptor.platform.is_some()
        });
        if listed {
            let what = "platform in the image index";
            let expected = "an operating system and an architecture";
            findings.add(Unpullable, selected.digest, what, expected, "none");
        }
    }

    /// The SOCI indexes of an image, V2 first.
    fn indexes(
        &self,
        digest: Digest,
        image: &Image,
        findings: &mut Findings,
    ) -> Vec<(Digest, &'a SociIndex)> {
        for place in self.soci.places(digest, image) {
            if place.found_as == IndexVersion::V2 {
                self.back_reference(place.descriptor, digest, findings);
                if place.soci.version == IndexVersion::V1 {
                    let what = "config.mediaType of an index that an annotation names";
                    let blob = place.descriptor.digest;
                    findings.add(Misleading, blob, what, SOCI_INDEX_V2, SOCI_INDEX_V1);
                }
            }
        }
        let found = self.soci.distinct(digest, image);
        let named = found.iter().any(|index| index.found_as == IndexVersion::V2);
        if let Some(text) = &image.soci_v2
            && !named
        {
            let expected = "a SOCI index that index.json leads to, so that it is pushed";
            let place = "the manifest's annotation com.amazon.soci.index-digest";
            findings.add(Rejected, digest, place, expected, text);
        }
        found.iter().map(|index| (index.descriptor.digest, index.soci)).collect()
    }

    /// Some descriptor of a V2 index names the manifest that names the index.
    fn back_reference(&self, descriptor: &Descriptor, image: Digest, findings: &mut Findings) {
        let Some(text) = descriptor.annotations.get(IMAGE_MANIFEST_DIGEST) else { return };
        let named = self.named.get(&descriptor.digest);
        if named.is_none_or(|images| !images.contains(&image.to_string())) {
            let place = format!("its descriptor's annotation {IMAGE_MANIFEST_DIGEST}");
            findings.add(Misleading, descriptor.digest, place, image, text);
        }
    }

    /// Checks a SOCI index of an image, whose layers are `own`, and gives those that have a zTOC in it, with that.
    fn index(
        &mut self,
        digest: Digest,
        (image, own): (&Image, &BTreeSet<usize>),
        findings: &mut Findings,
    ) -> Result<BTreeMap<usize, ZtocKey>, Error> {
        let first = self.workload.read.insert(digest);
        let entries = self.entries(digest, findings)?;
        let by_digest = |at: &usize| (self.layers[*at].descriptor.digest, *at);
        // An image can have one blob under two media types.
        let mut own_layers: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
        for (layer, at) in own.iter().map(by_digest) {
            own_layers.entry(layer).or_default().push(at);
        }
        let layers_of = |entry: &Entry| -> &[usize] {
            entry.layer().and_then(|layer| own_layers.get(&layer)).map_or(&[], Vec::as_slice)
        };
        // The reader takes the last zTOC of a layer.
        let mut used: BTreeMap<usize, ZtocKey> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.descriptor.media_type == ZTOC) {
            for layer in layers_of(entry) {
                used.insert(*layer, (entry.descriptor.digest, entry.descriptor.size));
            }
        }
        for (layer, ztoc) in &used {
            self.ztoc(*ztoc).layers.insert(*layer);
        }
        // Of several prefetch artifacts for a layer the reader takes the first.
        let mut prefetched: BTreeMap<Option<Digest>, Digest> = BTreeMap::new();
        for entry in entries.iter() {
            let layers = layers_of(entry);
            let blob = &entry.descriptor;
            match blob.media_type.as_str() {
                ZTOC => {
                    // By their types in this image: others may have the same blobs under other types.
                    let named = |layer: &&Descriptor| entry.layer() == Some(layer.digest);
                    let descriptors: Vec<&Descriptor> = image.layers.iter().filter(named).collect();
                    document::layer_entry(digest, entry, &descriptors, findings);
                    self.workload.read.insert(blob.digest);
                    let ztoc = self.ztoc((blob.digest, blob.size));
                    if first {
                        ztoc.job.claims.push(Claim::new(digest, entry));
                    }
                }
                SOCI_PREFETCH if first => {
                    self.workload.read.insert(blob.digest);
                    let spans = prefetch::read(self.layout, blob, findings)?;
                    let taken = *prefetched.entry(entry.layer()).or_insert(blob.digest);
                    if taken != blob.digest {
                        let place = format!("layers[{}].digest", entry.number);
                        let expected = format!("{taken}, which readers take");
                        findings.add(Misleading, digest, place, expected, blob.digest);
                    }
                    if let Some(ztoc) = layers.iter().find_map(|layer| used.get(layer)) {
                        self.ztoc(*ztoc).job.prefetch.push((blob.digest, spans));
                    } else {
                        let (place, found) = entry.annotation(LAYER_DIGEST);
                        let expected = "a layer of the image that has a zTOC";
                        findings.add(Misleading, digest, place, expected, found);
                    }
                }
                SOCI_PREFETCH => {}
                _ => {
                    let without = layers.iter().any(|layer| !used.contains_key(layer));
                    self.unknown(digest, entry, without, findings)?;
                }
            }
        }
        Ok(used)
    }

    /// The entries of a SOCI index, which is checked when it is met for the first time.
    fn entries(&mut self, digest: Digest, findings: &mut Findings) -> Result<Rc<[Entry]>, Error> {
        if let Some(known) = self.documents.get(&digest) {
            return Ok(Rc::clone(known));
        }
        let layout = self.layout;
        let size = layout.blob_size(&digest)?.unwrap_or_default();
        let mut entries = Vec::new();
        match document::read(layout, digest, size, MAX_MANIFEST_SIZE)? {
            Ok(bytes) => {
                entries = document::text(digest, &bytes, findings, &mut |config| {
                    Ok(layout.blob_size(config)?.is_some())
                })?;
            }
            Err((expected, found)) => {
                findings.add(Unpullable, digest, "a SOCI index", expected, found);
            }
        }
        let entries: Rc<[Entry]> = entries.into();
        self.documents.insert(digest, Rc::clone(&entries));
        Ok(entries)
    }

    /// An entry that no reader knows is fetched all the same. `without`: its layer has no zTOC.
    fn unknown(
        &mut self,
        index: Digest,
        entry: &Entry,
        without: bool,
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let Descriptor { digest, size, .. } = entry.descriptor;
        if self.workload.read.insert(digest) && !self.layout.has_sound_blob(&digest, size)? {
            let place = "a blob that the SOCI index lists";
            findings.add(Rejected, digest, place, "its content", "none or another one");
        }
        let consequence = if without { LayerEager } else { Misleading };
        let place = format!("layers[{}].mediaType", entry.number);
        findings.add(consequence, index, place, ZTOC, &entry.descriptor.media_type);
        Ok(())
    }

    /// The position of a layer.
    fn layer(&mut self, descriptor: &'a Descriptor) -> usize {
        self.workload.read.insert(descriptor.digest);
        let key = (descriptor.digest, layer_kind(&descriptor.media_type));
        *self.layer_at.entry(key).or_insert_with(|| {
            let at = self.layers.len();
            self.layers.push(Layer { at, descriptor, diff_ids: BTreeSet::new() });
            self.layers.len() - 1
        })
    }

    fn ztoc(&mut self, key: ZtocKey) -> &mut Used<'a> {
        let at = *self.ztoc_at.entry(key).or_insert_with(|| {
            let job = Job { ztoc: Some(key), ..Job::default() };
            self.ztocs.push(Used { job, layers: BTreeSet::new() });
            self.ztocs.len() - 1
        });
        &mut self.ztocs[at]
    }

    /// The diff ID of each layer of the image, where its configuration has one.
    fn diff_ids(
        &mut self,
        image: &Image,
        findings: &mut Findings,
    ) -> Result<Vec<Option<Digest>>, Error> {
        let Descriptor { digest, size, .. } = image.config;
        let first = self.workload.read.insert(digest);
        let read = document::read(self.layout, digest, size, MAX_CONFIG_SIZE)?;
        let bytes = match read {
            Ok(bytes) => bytes,
            Err((expected, found)) => {
                if first {
                    let place = "the image's configuration";
                    findings.add(Unpullable, digest, place, expected, found);
                }
                return Ok(Vec::new());
            }
        };
        let ImageConfig { platform, diff_ids, .. } = ImageConfig::parse(&bytes, digest)?;
        if (&platform.os, &platform.architecture)
            != (&image.platform.os, &image.platform.architecture)
            && !platform.os.is_empty()
        {
            let place = "its platform in the image index";
            findings.add(Misleading, digest, place, platform, &image.platform);
        }
        let ids: Vec<Option<Digest>> = diff_ids.iter().map(|id| id.parse().ok()).collect();
        let entries = image.entries.len();
        if first && ids.len() != entries {
            findings.add(Unpullable, digest, "the number of its diff IDs", entries, ids.len());
        }
        for (at, (id, text)) in ids.iter().zip(&diff_ids).enumerate() {
            if first && id.is_none() {
                let (place, expected) = (format!("rootfs.diff_ids[{at}]"), "a digest of sha256");
                findings.add(Unpullable, digest, place, expected, format!("{text:?}"));
            }
        }
        Ok(by_position(&image.entries, &image.layers, ids))
    }

    fn finish(mut self) -> Workload<'a> {
        let jobs = &mut self.workload.jobs;
        let mut covered = BTreeSet::new();
        for Used { mut job, layers } in self.ztocs {
            job.layers = layers.iter().map(|position| self.layers[*position].clone()).collect();
            covered.extend(layers);
            jobs.push(job);
        }
        let bare = self.layers.into_iter().enumerate().filter(|(at, _)| !covered.contains(at));
        jobs.extend(bare.map(|(_, layer)| Job { layers: vec![layer], ..Job::default() }));
        self.workload
    }
}

/// The diff ID of each of an image's `layers`. A runtime pairs the entries of the manifest with the diff IDs by
/// their positions, whatever the types of the entries are; containerd leaves out those that are no layers.
/// Where neither gives one diff ID for each, they cannot be assigned.
fn by_position(
    entries: &[bool],
    layers: &[Descriptor],
    ids: Vec<Option<Digest>>,
) -> Vec<Option<Digest>> {
    if ids.len() == entries.len() {
        let paired = entries.iter().zip(ids).filter(|(is_layer, _)| **is_layer);
        paired.map(|(_, id)| id).collect()
    } else if ids.len() == layers.len() {
        ids
    } else {
        Vec::new()
    }
}

/// The images that the descriptors of each SOCI index name: images with the same layers share their index, which
/// is then listed once for each of them.
fn named(tree: &Tree) -> BTreeMap<Digest, BTreeSet<String>> {
    let mut named: BTreeMap<Digest, BTreeSet<String>> = BTreeMap::new();
    for (descriptor, _) in tree.nodes().filter_map(Node::soci) {
        if let Some(image) = descriptor.annotations.get(IMAGE_MANIFEST_DIGEST) {
            named.entry(descriptor.digest).or_default().insert(image.clone());
        }
    }
    named
}
