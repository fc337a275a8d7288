//! Layers scanned while their archive is still arriving, before the run proper begins.
//!
//! A scan depends on the blob's digest, on how it is read, and on the span size and identifier of the
//! options. The latter are the run's own, so the first two are the key.

#![cfg_attr(
    not(any(feature = "archives", feature = "registry")),
    expect(dead_code, reason = "archives scan early, and blobs of registries are whole")
)]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "registry")]
use super::layers::EagerLayers;
use super::layers::LayerKey;
use super::make::Made;

/// All scans of an archive; each is taken once.
#[derive(Debug, Default)]
pub(crate) struct EarlyScans {
    scans: Mutex<BTreeMap<LayerKey, Made>>,
    /// Whether every blob of the layout was checked against its digest while it was written.
    whole: bool,
}

impl EarlyScans {
    /// The scans of a layout whose blobs were all checked when they were written.
    pub(crate) fn new(scans: BTreeMap<LayerKey, Made>) -> Self {
        Self { scans: Mutex::new(scans), whole: true }
    }

    /// Layers of a registry that are known to stay eager.
    #[cfg(feature = "registry")]
    pub(super) fn of_eager(layers: EagerLayers) -> Self {
        Self::new(layers.into_iter().map(|(key, reason)| (key, Made::Eager(reason))).collect())
    }

    pub(super) fn blobs_are_whole(&self) -> bool {
        self.whole
    }

    /// The scan of a layer, if there was one.
    pub(super) fn take(&self, key: LayerKey) -> Option<Made> {
        self.scans.lock().unwrap_or_else(PoisonError::into_inner).remove(&key)
    }
}
