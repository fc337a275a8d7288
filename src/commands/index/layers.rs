//! The distinct layers of the selected images, and what their descriptors decide.

#[cfg(feature = "registry")]
use std::collections::BTreeMap;
use std::collections::{BTreeSet, HashSet};

use super::decide::{self, Decision};
use super::options::Options;
use super::report::{LayerOutcome, LayerReport};
use super::reuse::Candidates;
use crate::error::Error;
#[cfg(feature = "registry")]
use crate::layer::eager::EagerReason;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::select::Selection;
use crate::layout::tree::Tree;
use crate::oci::digest::Digest;
use crate::oci::media_type::{Compression, LayerKind, is_nondistributable, layer_kind};

/// What makes two layers one: the same bytes, read in the same way.
pub(crate) type LayerKey = (Digest, Compression);

/// Layers that stay eager, and why.
#[cfg(feature = "registry")]
pub(super) type EagerLayers = BTreeMap<LayerKey, EagerReason>;

/// The key of a layer; `None` when it cannot be indexed by its media type.
pub(super) fn key(layer: &Descriptor) -> Option<LayerKey> {
    match layer_kind(&layer.media_type) {
        LayerKind::Indexable(compression) => Some((layer.digest, compression)),
        _ => None,
    }
}

/// A layer and what is known of it before it is read.
#[derive(Debug)]
pub(super) struct Layer<'a> {
    pub(super) descriptor: &'a Descriptor,
    pub(super) platform: String,
    pub(super) referrer: Digest,
    pub(super) decision: Decision,
}

impl Layer<'_> {
    /// Its key, when it is to be indexed.
    pub(super) fn key(&self) -> Option<LayerKey> {
        match self.decision {
            Decision::Index(compression) => Some((self.descriptor.digest, compression)),
            _ => None,
        }
    }

    /// What is known of its outcome before it is read.
    ///
    /// # Errors
    /// [`Error::UnsupportedLayer`] under [`Options::strict`].
    pub(super) fn unread(&self, options: &Options) -> Result<LayerOutcome, Error> {
        match &self.decision {
            Decision::Index(_) => Ok(LayerOutcome::Pending),
            Decision::Small => Ok(LayerOutcome::Small),
            Decision::Eager(reason) => {
                decide::eager(self.descriptor.digest, reason.clone(), options)
            }
        }
    }

    pub(super) fn report(&self, outcome: LayerOutcome) -> LayerReport {
        let Descriptor { digest, size, ref media_type, .. } = *self.descriptor;
        LayerReport { digest, media_type: media_type.clone(), size, outcome }
    }
}

/// The distinct layers in the order in which they are found.
#[derive(Debug)]
pub(super) struct Layers<'a> {
    pub(super) layers: Vec<Layer<'a>>,
    pub(super) candidates: Candidates<'a>,
}

impl<'a> Layers<'a> {
    /// Collects the layers of the selected images.
    pub(super) fn find(
        layout: &Layout,
        tree: &'a Tree,
        selection: &Selection<'a>,
        options: &Options,
    ) -> Result<Self, Error> {
        let (mut layers, mut seen) = (Vec::new(), HashSet::new());
        let excluded = excluded(selection, options)?;
        for selected in &selection.images {
            for descriptor in &selected.image.layers {
                if !seen.insert((descriptor.digest, layer_kind(&descriptor.media_type))) {
                    continue;
                }
                // Such layers stay with their owner; a layout need not have them.
                let absent = is_nondistributable(&descriptor.media_type)
                    && layout.blob_size(&descriptor.digest)?.is_none();
                let decision = decide::by_descriptor(descriptor, &excluded, absent, options);
                let Some(decision) = decision else { continue };
                let platform = selected.image.platform.to_string();
                layers.push(Layer { descriptor, platform, referrer: selected.digest, decision });
            }
        }
        Ok(Self { layers, candidates: Candidates::find(tree) })
    }

    /// Checks that every layer that is to be scanned is there with its size, before any work is done.
    pub(super) fn check_present(&self, layout: &Layout) -> Result<(), Error> {
        for layer in self.layers.iter().filter(|layer| layer.key().is_some()) {
            let Descriptor { digest, size: expected, .. } = *layer.descriptor;
            match layout.blob_size(&digest)? {
                None => {
                    let referrer =
                        format!("image manifest {} ({})", layer.referrer, layer.platform);
                    return Err(Error::BlobMissing { digest, referrer });
                }
                Some(found) if found != expected => {
                    return Err(Error::BlobSize { digest, expected, found });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// The layers that [`Options::skip_layers`] names, in any of the selected images.
fn excluded(selection: &Selection<'_>, options: &Options) -> Result<HashSet<Digest>, Error> {
    let mut excluded = HashSet::new();
    let images = || selection.images.iter().map(|selected| &selected.image.layers);
    for choice in &options.skip_layers {
        let found = images().filter_map(|layers| Some(layers[choice.find(layers)?].digest));
        let found: Vec<Digest> = found.collect();
        if found.is_empty() && !selection.images.is_empty() {
            let numbered = images().flat_map(|layers| (1..).zip(layers.iter()));
            let list: BTreeSet<(usize, Digest)> =
                numbered.map(|(number, layer)| (number, layer.digest)).collect();
            let found = list.into_iter().map(|(number, digest)| format!("{number} {digest}"));
            return Err(Error::NoSuchLayer { layer: choice.to_string(), found: found.collect() });
        }
        excluded.extend(found);
    }
    Ok(excluded)
}
