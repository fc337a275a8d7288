//! The work: one zTOC at a time with the layers that it is for, or a layer without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Findings;
use super::document::{self, Entry};
use super::finding::Consequence::{
    self, IoError, LayerEager, Misleading, Rejected, Unpullable, WrongBytes,
};
use super::layer::{self, Compared, Layer, Work};
use super::prefetch;
use crate::error::Error;
use crate::layer::eager::{ABSENT, EagerCause};
use crate::layer::unpack::Codec;
use crate::layer::{ScanError, list};
use crate::layout::descriptor::Descriptor;
use crate::limits::MAX_ZTOC_SIZE;
use crate::oci::digest::Digest;
use crate::oci::media_type::{
    Compression, LayerKind, is_encrypted, is_nondistributable, is_zstd, layer_kind,
};
use crate::progress::event::{Outcome, Step};
use crate::progress::steps::{BlobProgress, Steps};
use crate::soci::find::disables_xattrs;
use crate::soci::prefetched::Range;
use crate::soci::{DISABLE_XATTRS, SPAN_SIZE};
use crate::threads::{Slots, each};
use crate::ztoc::{self, DecodeError, ZTOC_VERSION, Ztoc};

/// One piece of work.
#[derive(Debug, Default)]
pub(super) struct Job<'a> {
    /// Digest and size of the zTOC.
    pub(super) ztoc: Option<(Digest, u64)>,
    pub(super) layers: Vec<Layer<'a>>,
    pub(super) claims: Vec<Claim>,
    /// Prefetch artifacts for its layers.
    pub(super) prefetch: Vec<(Digest, Vec<Range>)>,
}

/// What a SOCI index says of a zTOC.
#[derive(Debug)]
pub(super) struct Claim {
    index: Digest,
    entry: Entry,
}

impl Claim {
    pub(super) fn new(index: Digest, entry: &Entry) -> Self {
        Self { index, entry: entry.clone() }
    }

    fn check(&self, ztoc: &Ztoc, findings: &mut Findings) {
        let (index, entry) = (self.index, &self.entry);
        let right = ztoc.zinfo.span_size().to_string();
        let (place, found) = entry.annotation(SPAN_SIZE);
        if entry.descriptor.annotations.contains_key(SPAN_SIZE) && found != right {
            findings.add(Misleading, index, place, right, found);
        }
        let (place, found) = entry.annotation(DISABLE_XATTRS);
        match disables_xattrs(&entry.descriptor) {
            None => findings.add(Misleading, index, place, "true or none", found),
            Some(true) if !ztoc.can_disable_xattrs() => {
                let right = "none: the layer has extended attributes or opaque directories";
                findings.add(WrongBytes, index, place, right, found);
            }
            Some(_) => {}
        }
    }
}

/// Does all jobs, each on a thread that has a second one to read and hash. As many zTOCs are
/// in memory at a time as there are threads.
///
/// # Errors
/// As [`layer::verify`]; the first in the order of the jobs.
pub(super) fn run(
    work: &Work<'_>,
    jobs: &[Job<'_>],
    findings: &mut Findings,
) -> Result<Compared, Error> {
    let &Work { steps, threads, .. } = work;
    let planned: Vec<Arc<Step>> = jobs.iter().map(|job| job.announce(steps)).collect();
    // The largest first, so that none of them is left alone at the end.
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|number| std::cmp::Reverse(jobs[*number].size()));
    let (failed, slots) = (AtomicBool::new(false), Slots::new(threads));
    let mut results = each(threads, jobs.len(), |position| {
        let number = order[position];
        let (step, failed) = (&planned[number], &failed);
        let worker = Worker { work, step, failed, slots: &slots };
        let result = if failed.load(Ordering::Relaxed) || steps.cancelled() {
            Err(Error::Cancelled)
        } else {
            let work = || Ok((worker.job(&jobs[number])?, Outcome::Done));
            slots.run(|| steps.run(step, work))
        };
        failed.fetch_or(result.is_err(), Ordering::Relaxed);
        (number, result)
    });
    results.sort_by_key(|(number, _)| *number);
    let mut all = Compared::default();
    let mut cancelled = None;
    for (_, result) in results {
        match result {
            Ok((compared, found)) => {
                all.add(compared);
                findings.extend(found);
            }
            // Jobs that were told to stop are not the cause.
            Err(Error::Cancelled) => cancelled = Some(Error::Cancelled),
            Err(error) => return Err(error),
        }
    }
    cancelled.map_or(Ok(all), Err)
}

impl Job<'_> {
    /// Whether the layer's type does not fit the zTOC and that of the same blob elsewhere does. A reader looks for
    /// the zTOC by the blob's digest and does not ask for the type.
    fn reads_otherwise(&self, layer: &Layer<'_>, compression: Compression) -> bool {
        let fits = |layer: &Layer<'_>| {
            layer_kind(&layer.descriptor.media_type) == LayerKind::Indexable(compression)
        };
        let same = |other: &&Layer<'_>| other.descriptor.digest == layer.descriptor.digest;
        !fits(layer) && self.layers.iter().filter(same).any(fits)
    }

    fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.descriptor.size).sum()
    }

    fn announce(&self, steps: &Steps<'_>) -> Arc<Step> {
        let layers: Vec<String> =
            self.layers.iter().map(|layer| layer.descriptor.digest.to_string()).collect();
        let name = match (layers.as_slice(), self.ztoc) {
            ([], Some((ztoc, _))) => ztoc.to_string(),
            (layers, _) => layers.join(" "),
        };
        let content = format!("verify {layers:?} {:?}", self.ztoc);
        steps.announce(format!("[verify] {name}"), &content, &[])
    }
}

/// What one thread works with.
struct Worker<'a> {
    work: &'a Work<'a>,
    step: &'a Step,
    /// Whether another job has failed.
    failed: &'a AtomicBool,
    slots: &'a Slots,
}

impl Worker<'_> {
    fn job(&self, job: &Job<'_>) -> Result<(Compared, Findings), Error> {
        let (mut compared, mut findings) = (Compared::default(), Findings::default());
        let ztoc = match job.ztoc {
            Some((digest, size)) => self.ztoc(digest, size, &mut findings)?.map(|z| (digest, z)),
            None => None,
        };
        if let Some((_, ztoc)) = &ztoc {
            for claim in &job.claims {
                claim.check(ztoc, &mut findings);
            }
            for (artifact, ranges) in &job.prefetch {
                prefetch::check(*artifact, ranges, ztoc.zinfo.span_count(), &mut findings);
            }
        }
        for layer in &job.layers {
            let ztoc = ztoc.as_ref().map(|(digest, ztoc)| (*digest, ztoc));
            let ztoc =
                ztoc.filter(|(_, ztoc)| !job.reads_otherwise(layer, ztoc.zinfo.compression()));
            compared.add(self.layer(layer, ztoc, &mut findings)?);
        }
        if let Some((digest, _)) = job.ztoc {
            findings.settle(digest);
        }
        Ok((compared, findings))
    }

    fn ztoc(
        &self,
        digest: Digest,
        size: u64,
        findings: &mut Findings,
    ) -> Result<Option<Ztoc>, Error> {
        let place = "the zTOC blob";
        let bytes = match document::read(self.work.layout, digest, size, MAX_ZTOC_SIZE)? {
            Ok(bytes) => bytes,
            Err((expected, found)) => {
                findings.add(Rejected, digest, place, expected, found);
                return Ok(None);
            }
        };
        if let Ok(version) = ztoc::version(&bytes)
            && version != ZTOC_VERSION.as_bytes()
        {
            let found = version.escape_ascii();
            findings.add(Misleading, digest, "its version", ZTOC_VERSION, found);
        }
        let decoded = Ztoc::decode(&bytes).inspect_err(|error| {
            let expected = "a zTOC that the reference's reader takes";
            findings.add(refused(error), digest, place, expected, error);
        });
        Ok(decoded.ok())
    }

    fn layer(
        &self,
        layer: &Layer<'_>,
        ztoc: Option<(Digest, &Ztoc)>,
        findings: &mut Findings,
    ) -> Result<Compared, Error> {
        let Descriptor { digest, size, ref media_type, .. } = *layer.descriptor;
        let &Work { layout, steps, .. } = self.work;
        let (step, failed) = (self.step, Some(self.failed));
        let progress = BlobProgress { steps, step, size, failed, slots: Some(self.slots) };
        let mut compared = Compared::default();
        // Such layers stay with their owner; a layout need not have them.
        if is_nondistributable(media_type) && layout.blob_size(&digest)?.is_none() {
            compared.eager(layer.at, EagerCause::Absent, ABSENT);
            return Ok(compared);
        }
        let compression = match layer_kind(media_type) {
            LayerKind::Indexable(compression) => compression,
            LayerKind::Unsupported(reason) => {
                compared.eager(layer.at, EagerCause::MediaType, reason);
                return self.unsupported(layer, compared, &progress, findings);
            }
            // Such an entry is not among an image's layers.
            LayerKind::NotALayer => return Ok(compared),
        };
        layer::verify(self.work, (layer, compression), ztoc, &progress, findings)
    }

    /// A layer that has no zTOC by its type must be whole, and what it holds that of its diff ID. It can be below
    /// a layer that has a zTOC.
    fn unsupported(
        &self,
        layer: &Layer<'_>,
        mut compared: Compared,
        progress: &BlobProgress<'_>,
        findings: &mut Findings,
    ) -> Result<Compared, Error> {
        let &Work { layout, watched, .. } = self.work;
        let Descriptor { digest, size, ref media_type, .. } = *layer.descriptor;
        if !layout.has_sound_blob(&digest, size)? {
            findings.add(Unpullable, digest, "the layer's blob", "its content", "another one");
            return Ok(compared);
        }
        if is_encrypted(media_type) {
            return Ok(compared);
        }
        layer::unpacked_diff_ids(layout, layer, progress, findings)?;
        if watched.is_empty() || !is_zstd(media_type) {
            return Ok(compared);
        }
        let Some(mut blob) = layout.open_blob(&digest, size)? else { return Ok(compared) };
        match list::list(&mut blob, Codec::Zstd, (digest, size), progress) {
            Ok(Ok(listing)) => drop(compared.seen.insert(digest, watched.look(&listing.toc))),
            Err(ScanError::Cancelled) => return Err(Error::Cancelled),
            // Nothing was ever said about its content.
            Ok(Err(_)) | Err(_) => {}
        }
        Ok(compared)
    }
}

/// What the reference makes of a zTOC that cannot be read (`soci-formats` 7.3). When the mount fails, the
/// snapshotter has the layer unpacked (`snapshot/snapshot.go`: `Prepare`).
fn refused(error: &DecodeError) -> Consequence {
    match error {
        // Taken for a regular file.
        DecodeError::FileType { .. } => WrongBytes,
        // A span size of 0 is divided by, which ends the snapshotter; sizes that are negative are read. Others
        // are taken for no time or no digest, which nothing is equal to.
        DecodeError::Number { .. }
        | DecodeError::ModTime { .. }
        | DecodeError::SpanDigest { .. } => IoError,
        DecodeError::Identifier | DecodeError::Shared | DecodeError::Full(_) => Misleading,
        DecodeError::OutOfBounds { .. }
        | DecodeError::Missing(_)
        | DecodeError::Algorithm(_)
        | DecodeError::Overlap { .. }
        | DecodeError::Zinfo(_)
        | DecodeError::SpanCount { .. }
        | DecodeError::SpanOrder(_) => LayerEager,
    }
}
