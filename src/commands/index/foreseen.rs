//! The zTOCs that a run would give the layers, for saying beforehand what it would fetch ahead. What is not there is
//! made in memory; nothing is written.

use super::cached::CacheUse;
use super::layers::{Layers, ReadyZtoc, numbers};
use super::options::Options;
use super::report::{LayerOutcome, LayerReport};
use super::saving;
use crate::error::Error;
use crate::layer::{Scan, ScanObserver, scan};
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::media_type::{Compression, LayerKind, layer_kind};
use crate::progress::steps::Steps;
use crate::soci::find::FoundZtoc;
use crate::ztoc::Ztoc;

/// What [`Layers::planned`] found, and where it looked.
pub(super) struct Foreseen<'a> {
    pub(super) layers: &'a Layers<'a>,
    pub(super) reports: &'a [LayerReport],
    pub(super) layout: &'a Layout,
    pub(super) options: &'a Options,
    pub(super) cache: &'a CacheUse,
    pub(super) steps: &'a Steps<'a>,
}

impl Foreseen<'_> {
    /// The zTOC that a layer would have, with its digest.
    ///
    /// # Errors
    /// A layer that is not what its descriptor says; [`Error::Io`].
    pub(super) fn ztoc(&self, layer: &Descriptor) -> Result<FoundZtoc, Error> {
        let LayerKind::Indexable(compression) = layer_kind(&layer.media_type) else {
            return Ok(None);
        };
        let same = |report: &&LayerReport| {
            report.digest == layer.digest
                && layer_kind(&report.media_type) == LayerKind::Indexable(compression)
        };
        let outcome = self.reports.iter().find(same).map(|report| &report.outcome);
        let ztoc = match outcome {
            Some(LayerOutcome::Pending) => self.scanned(layer, compression)?,
            Some(LayerOutcome::Reused { .. }) => self
                .layers
                .candidates
                .valid(self.layout, layer, compression, self.options)?
                .or_else(|| {
                    let found = self.cache.foretell(layer, compression, self.options);
                    found.map(|(ready, ztoc, _)| (ready, ztoc))
                })
                .map(|(ready, ztoc)| (ready.digest, ztoc)),
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
        let referrer = || "an image manifest".to_owned();
        let missing = || Error::BlobMissing { digest, referrer: referrer() };
        let mut blob = self.layout.open_blob(&digest, size)?.ok_or_else(missing)?;
        let request = self.options.scan_request((digest, size), compression);
        let scanned = scan(&mut blob, &request, &Cancelling(self.steps))
            .map_err(|error| Error::scan(error, self.layout.blob_path(&digest), digest, size))?;
        // What the run would leave eager.
        let Scan::Indexed(ztoc) = scanned else { return Ok(None) };
        let Ok(bytes) = ztoc.encode() else { return Ok(None) };
        let ready = ReadyZtoc::new(Digest::of(&bytes), bytes.len() as u64, &ztoc);
        let reason = saving::why_eager(size, &numbers(&ready, &ztoc), self.options);
        Ok(reason.is_none().then_some((ready.digest, *ztoc)))
    }
}

struct Cancelling<'a>(&'a Steps<'a>);

impl ScanObserver for Cancelling<'_> {
    fn progress(&self, _bytes: u64) {}

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}
