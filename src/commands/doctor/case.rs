//! What is known of a layout before it is examined.

use std::collections::{HashMap, HashSet};

use super::remedy::Commands;
use crate::commands::index::report::{LayerOutcome, LayerReport};
use crate::commands::inspect::{Inspection, Layer};
use crate::commands::plan::{Estimate, LayerEstimate};
use crate::layer::eager::EagerReason;
use crate::oci::digest::Digest;

/// What is known before the examination.
pub(super) struct Case<'a> {
    pub(super) inspection: &'a Inspection,
    /// None when the layout cannot be indexed.
    pub(super) planned: Option<Planned<'a>>,
    /// The images whose manifests are Docker's.
    pub(super) docker: HashSet<Digest>,
    pub(super) min_layer_size: u64,
    pub(super) commands: Commands,
}

/// What an indexing run would do.
pub(super) struct Planned<'a> {
    pub(super) estimate: &'a Estimate,
    layers: HashMap<Digest, &'a LayerReport>,
    doubts: HashMap<Digest, EagerReason>,
}

impl<'a> Planned<'a> {
    pub(super) fn new(estimate: &'a Estimate) -> Self {
        // Of two reports on one blob (two media types) the first counts.
        let layers = estimate.plan.layers.iter().rev().map(|layer| (layer.digest, layer)).collect();
        let doubt = |layer: &LayerEstimate| {
            let (text, cause) = (layer.doubt.clone()?, layer.doubt_cause?);
            Some((layer.digest, EagerReason { cause, text }))
        };
        Self { estimate, layers, doubts: estimate.layers.iter().filter_map(doubt).collect() }
    }

    pub(super) fn layer(&self, digest: &Digest) -> Option<&'a LayerReport> {
        self.layers.get(digest).copied()
    }

    /// Why no zTOC will come of a layer that would be scanned.
    pub(super) fn doubt(&self, digest: &Digest) -> Option<&EagerReason> {
        self.doubts.get(digest)
    }
}

/// What would become of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prospect {
    /// It is lazy.
    Lazy,
    /// It would be, after an indexing run.
    Possible,
    /// It is left out for its size.
    Small,
    /// It would stay eager.
    Eager,
}

impl Prospect {
    pub(super) fn of(case: &Case<'_>, layer: &Layer) -> Self {
        if layer.lazy {
            return Self::Lazy;
        }
        let Some(planned) = &case.planned else { return Self::Eager };
        match planned.layer(&layer.digest).map(|report| &report.outcome) {
            Some(LayerOutcome::Small) => Self::Small,
            Some(LayerOutcome::Skipped(_)) | None => Self::Eager,
            Some(_) if planned.doubt(&layer.digest).is_some() => Self::Eager,
            Some(_) => Self::Possible,
        }
    }
}
