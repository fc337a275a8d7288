//! What the work on one layer needs besides the layer.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::options::Options;
use crate::layout::lock::LockedLayout;
use crate::progress::event::Step;
use crate::progress::steps::{BlobProgress, Steps};
use crate::threads::Slots;

pub(super) struct Job<'a> {
    pub(super) layout: &'a LockedLayout,
    pub(super) options: &'a Options,
    pub(super) steps: &'a Steps<'a>,
    pub(super) step: &'a Step,
    /// Whether the work on another layer failed.
    pub(super) cancelled: &'a AtomicBool,
    pub(super) slots: &'a Slots,
    /// The file whose mode and owner new blobs get.
    pub(super) permissions_from: &'a Path,
    /// Whether all blobs were checked against their digests just before.
    pub(super) blobs_are_whole: bool,
}

impl Job<'_> {
    /// What the work on the layer's blob is told and tells.
    pub(super) fn blob(&self, size: u64) -> BlobProgress<'_> {
        let Self { steps, step, cancelled, slots, .. } = *self;
        BlobProgress { steps, step, size, failed: Some(cancelled), slots: Some(slots) }
    }

    pub(super) fn warn(&self, message: &str) {
        self.steps.warn(self.step, message);
    }
}
