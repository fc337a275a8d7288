//! What the work on one layer needs besides the layer.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::options::Options;
use crate::layout::lock::LockedLayout;
use crate::progress::event::Step;
use crate::progress::steps::{BlobProgress, Steps};

pub(super) struct Job<'a> {
    pub(super) layout: &'a LockedLayout,
    pub(super) options: &'a Options,
    pub(super) steps: &'a Steps<'a>,
    pub(super) step: &'a Step,
    /// Whether the work on another layer failed.
    pub(super) cancelled: &'a AtomicBool,
    /// The file whose mode and owner new blobs get.
    pub(super) permissions_from: &'a Path,
    /// Whether all blobs were checked against their digests just before.
    pub(super) blobs_are_whole: bool,
}

impl Job<'_> {
    /// What the work on the layer's blob is told and tells.
    pub(super) fn blob(&self, size: u64) -> BlobProgress<'_> {
        let Self { steps, step, cancelled, .. } = *self;
        BlobProgress { steps, step, size, failed: Some(cancelled) }
    }

    pub(super) fn warn(&self, message: &str) {
        self.steps.warn(self.step, message);
    }
}
