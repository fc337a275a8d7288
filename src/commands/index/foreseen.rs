//! What a run would do with each layer, and the zTOCs that it would make. What is not there is made in memory; nothing is
//! written.

use std::collections::HashMap;

use super::cached::CacheUse;
use super::decide;
use super::layers::{Layer, LayerKey, Layers, key};
use super::options::Options;
use super::ready::ReadyZtoc;
use super::report::{LayerOutcome, LayerReport};
use super::reuse::{Taken, Wanted};
use super::saving;
use crate::error::Error;
use crate::layer::{Scan, ScanObserver, scan};
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;
use crate::progress::steps::Steps;
use crate::soci::find::FoundZtoc;
use crate::ztoc::Ztoc;

/// Where a dry run finds what there is.
#[derive(Clone, Copy)]
pub(super) struct Foresight<'a> {
    pub(super) layers: &'a Layers<'a>,
    pub(super) layout: &'a Layout,
    pub(super) options: &'a Options,
    pub(super) cache: &'a CacheUse,
    pub(super) steps: &'a Steps<'a>,
}

/// zTOCs that are there, for the search of prefetched files: looking one up again would ask a registry again.
pub(super) type Known = HashMap<LayerKey, (Digest, Ztoc)>;

impl Foresight<'_> {
    /// What would become of each layer.
    ///
    /// # Errors
    /// [`Error::UnsupportedLayer`] under [`Options::strict`]; [`Error::Io`].
    pub(super) fn reports(&self, known: &mut Known) -> Result<Vec<LayerReport>, Error> {
        let report = |layer: &Layer<'_>| {
            let outcome = match layer.key() {
                Some(key) => self.outcome(layer.descriptor, key, known)?,
                None => layer.unread(self.options)?,
            };
            Ok(layer.report(outcome))
        };
        self.layers.layers.iter().map(report).collect()
    }

    fn outcome(
        &self,
        layer: &Descriptor,
        key: LayerKey,
        known: &mut Known,
    ) -> Result<LayerOutcome, Error> {
        let Self { layers, layout, options, cache, .. } = *self;
        let wanted = Wanted { layer, compression: key.1, layout, options, job: None };
        let mut outcome = LayerOutcome::Pending;
        if let Some(Taken { ready, ztoc, from, .. }) = cache.find(&layers.candidates, &wanted)? {
            if !options.prefetch.is_empty() {
                known.insert(key, (ready.report.ztoc, ztoc));
            }
            outcome = LayerOutcome::Reused { ztoc: ready.report, from };
        }
        decide::by_ztoc(layer, outcome, options)
    }

    /// The zTOC that a layer would have by `reports`, with its digest.
    ///
    /// # Errors
    /// A layer that is not what its descriptor says; [`Error::Io`].
    pub(super) fn ztoc(
        &self,
        layer: &Descriptor,
        reports: &[LayerReport],
        known: &Known,
    ) -> Result<FoundZtoc, Error> {
        let Some(wanted) = key(layer) else { return Ok(None) };
        let mut layers = self.layers.layers.iter().zip(reports);
        let outcome = layers.find(|(layer, _)| layer.key() == Some(wanted));
        let ztoc = match outcome.map(|(_, report)| &report.outcome) {
            Some(LayerOutcome::Pending) => self.scanned(layer, wanted.1)?,
            Some(LayerOutcome::Reused { .. }) => known.get(&wanted).cloned(),
            _ => None,
        };
        Ok(ztoc.map(|(digest, ztoc)| (digest, Ok(ztoc))))
    }

    fn scanned(
        &self,
        layer: &Descriptor,
        compression: Compression,
    ) -> Result<Option<(Digest, Ztoc)>, Error> {
        let Descriptor { digest, size, .. } = *layer;
        let missing = || Error::BlobMissing { digest, referrer: "an image manifest".to_owned() };
        let mut blob = self.layout.open_blob(&digest, size)?.ok_or_else(missing)?;
        let request = self.options.scan_request((digest, size), compression);
        let scanned = scan(&mut blob, &request, &Cancelling(self.steps))
            .map_err(|error| Error::scan(error, self.layout.blob_path(&digest), digest, size))?;
        // What the run would leave eager.
        let Scan::Indexed(ztoc) = scanned else { return Ok(None) };
        let Ok(bytes) = ztoc.encode() else { return Ok(None) };
        let ready = ReadyZtoc::new(Digest::of(&bytes), bytes.len() as u64, &ztoc);
        let reason = saving::why_eager(size, &ready.report, self.options);
        Ok(reason.is_none().then_some((ready.report.ztoc, *ztoc)))
    }
}

struct Cancelling<'a>(&'a Steps<'a>);

impl ScanObserver for Cancelling<'_> {
    fn progress(&self, _bytes: u64) {}

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}
