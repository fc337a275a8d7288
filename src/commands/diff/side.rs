//! One side of a comparison.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::report::{ImageSide, SociRef};
use crate::commands::inspect::{Image, Inspection, Layer, look};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::config::ImageConfig;
use crate::layout::reach::Search;
use crate::layout::select::ImageFilter;
use crate::layout::tree::{self, Node, Tree};
use crate::limits::{MAX_CONFIG_SIZE, MAX_ZTOC_SIZE};
use crate::oci::digest::Digest;
use crate::oci::platform::Platform;
use crate::progress::event::Observer;
use crate::ztoc::Ztoc;

/// One layout.
pub(super) struct Side {
    pub(super) layout: Layout,
    pub(super) tree: Tree,
    pub(super) found: Inspection,
    /// Positions of the images.
    images: HashMap<String, usize>,
    /// And of the SOCI indexes.
    pub(super) soci_indexes: HashMap<Digest, usize>,
    /// Digest and size of each image's configuration.
    configs: HashMap<Digest, (Digest, u64)>,
}

impl Side {
    /// Opens and reads; the error beside it is for a platform that this side does not have.
    pub(super) fn open(
        path: &Path,
        name: Option<&String>,
        platforms: &[Platform],
        observer: &dyn Observer,
    ) -> Result<(Self, Option<Error>), Error> {
        let layout = Layout::open(path)?;
        let tree = tree::read_all(&layout)?;
        let mut filter = ImageFilter {
            refs: name.into_iter().cloned().collect(),
            platforms: platforms.to_vec(),
        };
        let (found, missing) = match look(&layout, &tree, &filter, observer) {
            Err(error @ Error::NoSuchPlatform { .. }) => {
                // What the other side has of it is then added or removed.
                let refs = &filter.refs;
                filter.platforms.retain(|wanted| {
                    let one = ImageFilter { refs: refs.clone(), platforms: vec![wanted.clone()] };
                    look(&layout, &tree, &one, observer).is_ok()
                });
                let none = filter.platforms.is_empty();
                let mut found = look(&layout, &tree, &filter, observer)?;
                if none {
                    (found.images, found.soci_indexes) = Default::default();
                }
                (found, Some(error))
            }
            found => (found?, None),
        };
        let places = found.images.iter().enumerate();
        let images = places.map(|(place, image)| (image.digest.to_string(), place)).collect();
        let found_images = tree.nodes().filter_map(Node::image);
        let configs = found_images
            .map(|(manifest, image)| (manifest.digest, (image.config.digest, image.config.size)))
            .collect();
        let places = found.soci_indexes.iter().enumerate();
        let soci_indexes = places.map(|(place, soci)| (soci.digest, place)).collect();
        Ok((Self { layout, tree, found, images, soci_indexes, configs }, missing))
    }

    pub(super) fn image(&self, digest: &str) -> Option<&Image> {
        Some(&self.found.images[*self.images.get(digest)?])
    }

    pub(super) fn side(&self, image: &Image) -> ImageSide {
        let soci = |digest: &Digest| {
            let soci = &self.found.soci_indexes[*self.soci_indexes.get(digest)?];
            Some(SociRef { soci_version: soci.soci_version, digest: soci.digest })
        };
        ImageSide {
            digest: image.digest,
            soci_indexes: image.soci_indexes.iter().filter_map(soci).collect(),
            lazy: image.lazy,
        }
    }

    /// The diff ID of each layer, if there are as many of them as layers.
    pub(super) fn diff_ids(&self, image: &Image) -> Vec<Option<String>> {
        let none = vec![None; image.layers.len()];
        let Some((digest, size)) = self.configs.get(&image.digest).copied() else { return none };
        let Ok(Some(bytes)) = self.layout.read_blob(&digest, size, MAX_CONFIG_SIZE) else {
            return none;
        };
        let Ok(config) = ImageConfig::parse(&bytes, digest) else { return none };
        let ids: Vec<_> = config.diff_ids.into_iter().map(Some).collect();
        if ids.len() == none.len() { ids } else { none }
    }

    pub(super) fn ztoc(&self, layer: &Layer) -> Result<Ztoc, String> {
        let Some(ztoc) = &layer.ztoc else { return Err("none".to_owned()) };
        let bytes = match self.layout.read_blob(&ztoc.digest, ztoc.size, MAX_ZTOC_SIZE) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err("missing".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        Ztoc::decode(&bytes).map_err(|error| format!("no reader takes it: {error}"))
    }

    /// The spans of the artifact that a reader takes: the first one in the first SOCI index.
    pub(super) fn prefetched(&self, image: &Image, layer: Digest) -> String {
        let index = image.soci_indexes.first().and_then(|digest| self.soci_indexes.get(digest));
        let mut artifacts = index.into_iter().flat_map(|at| &self.found.soci_indexes[*at].prefetch);
        let Some(artifact) = artifacts.find(|artifact| artifact.layer == Some(layer)) else {
            return "nothing".to_owned();
        };
        if artifact.problem.is_some() {
            return format!("{} (cannot be used)", artifact.digest);
        }
        let range = |(first, last): &(u64, u64)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        let ranges: Vec<String> = artifact.spans.iter().map(range).collect();
        format!("spans {}", ranges.join(", "))
    }

    /// All blobs that what was compared leads to.
    pub(super) fn blobs(
        &self,
        name: Option<&String>,
        platforms: bool,
    ) -> Result<BTreeMap<Digest, u64>, Error> {
        if name.is_none() && !platforms {
            return self.sizes(Search::layout(&self.tree.index_json).tree(&self.tree));
        }
        // An index would lead to the platforms that were not asked for.
        let roots = self.found.roots.iter().filter(|_| !platforms);
        let roots = roots.filter_map(|root| root.digest.parse().ok());
        let images =
            self.found.images.iter().flat_map(|image| {
                [image.digest].into_iter().chain(image.attestations.iter().copied())
            });
        let soci = self.found.soci_indexes.iter().map(|soci| soci.digest);
        self.sizes(Search::digests(roots.chain(images).chain(soci).collect()))
    }

    fn sizes(&self, search: Search<'_>) -> Result<BTreeMap<Digest, u64>, Error> {
        let found = search.run(&self.layout)?.sha256.into_iter();
        Ok(found.map(|(digest, reached)| (digest, reached.size)).collect())
    }
}
