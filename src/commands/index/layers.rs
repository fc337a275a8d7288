//! The distinct layers of the wanted images, and what becomes of each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cached::{self, CacheUse};
use super::early::{Early, EarlyScans};
use super::reuse::{self, Candidates};
use super::saving;
use super::skip;
use super::stage;
use crate::commands::index::options::Options;
use crate::commands::index::report::{LayerOutcome, LayerReport, ReusedFrom, ZtocReport};
use crate::commands::parents;
use crate::error::Error;
use crate::layer::eager::{ABSENT, EagerCause, EagerReason};
use crate::layer::{Scan, fidelity, scan};
use crate::layout::Layout;
use crate::layout::commit::StagedBlob;
use crate::layout::descriptor::Descriptor;
use crate::layout::lock::LockedLayout;
use crate::layout::select::Selection;
use crate::layout::tree::Tree;
use crate::limits::MAX_ZTOC_SIZE;
use crate::oci::digest::Digest;
use crate::oci::media_type::{Compression, LayerKind, is_nondistributable, layer_kind};
use crate::progress::event::{Outcome, Step};
use crate::progress::steps::{BlobProgress, Steps};
use crate::soci::find::{FoundZtoc, ZtocProblem};
use crate::threads::{self, each};
use crate::ztoc::Ztoc;

/// What makes two layers one: the same bytes, read in the same way.
pub(crate) type LayerKey = (Digest, Compression);

/// The key of a layer; `None` when it cannot be indexed by its media type.
pub(super) fn key(layer: &Descriptor) -> Option<LayerKey> {
    match layer_kind(&layer.media_type) {
        LayerKind::Indexable(compression) => Some((layer.digest, compression)),
        _ => None,
    }
}

/// A zTOC that is in the layout or staged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyZtoc {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) can_disable_xattrs: bool,
    /// Whether it has names in directories that it has no entry for.
    pub(super) implies_directories: bool,
}

impl ReadyZtoc {
    pub(super) fn new(digest: Digest, size: u64, ztoc: &Ztoc) -> Self {
        let can_disable_xattrs = ztoc.can_disable_xattrs();
        Self { digest, size, can_disable_xattrs, implies_directories: parents::implies(&ztoc.toc) }
    }
}

/// What the scan stage leaves.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) reports: Vec<LayerReport>,
    pub(super) ztocs: BTreeMap<LayerKey, ReadyZtoc>,
    pub(super) staged: Vec<StagedBlob>,
    /// Digests of the steps.
    pub(super) steps: Vec<Digest>,
}

impl Scanned {
    /// The zTOC of a layer with its digest, read from where it is now.
    pub(super) fn ztoc(&self, layout: &Layout, layer: &Descriptor) -> Result<FoundZtoc, Error> {
        let ready = key(layer).and_then(|key| self.ztocs.get(&key));
        let Some(ReadyZtoc { digest, size, .. }) = ready.copied() else { return Ok(None) };
        Ok(Some((digest, self.read(layout, (digest, size))?)))
    }

    /// A zTOC of this digest and size.
    pub(super) fn read(
        &self,
        layout: &Layout,
        (digest, size): (Digest, u64),
    ) -> Result<Result<Ztoc, ZtocProblem>, Error> {
        let bytes = match self.staged.iter().find(|staged| staged.digest() == digest) {
            Some(staged) => staged.read()?,
            None => match layout.read_blob(&digest, size, MAX_ZTOC_SIZE)? {
                Some(bytes) => bytes,
                None => return Ok(Err(ZtocProblem::Missing)),
            },
        };
        Ok(Ztoc::decode(&bytes).map_err(ZtocProblem::from))
    }
}

/// A layer and what is known of it before scanning.
#[derive(Debug)]
struct Layer<'a> {
    descriptor: &'a Descriptor,
    platform: String,
    referrer: Digest,
    plan: Plan,
}

#[derive(Debug)]
enum Plan {
    Scan(Compression),
    Small,
    Eager(EagerReason),
}

/// The distinct layers in the order in which they are found.
#[derive(Debug)]
pub(super) struct Layers<'a> {
    layers: Vec<Layer<'a>>,
    pub(super) candidates: Candidates<'a>,
}

/// How one layer's work ended.
struct Finished {
    outcome: LayerOutcome,
    ztoc: Option<ReadyZtoc>,
    staged: Option<StagedBlob>,
}

impl<'a> Layers<'a> {
    /// Collects the layers of the wanted images.
    pub(super) fn find(
        layout: &Layout,
        tree: &'a Tree,
        selection: &Selection<'a>,
        options: &Options,
    ) -> Result<Self, Error> {
        let mut layers: Vec<Layer<'a>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let excluded = skip::excluded(selection, options)?;
        for selected in &selection.images {
            for descriptor in &selected.image.layers {
                let kind = layer_kind(&descriptor.media_type);
                if !seen.insert((descriptor.digest, kind)) {
                    continue;
                }
                // The order of the reference: size first, then what can be done.
                let plan = match kind {
                    LayerKind::NotALayer => continue,
                    _ if excluded.contains(&descriptor.digest) => {
                        Plan::Eager(EagerReason::new(EagerCause::Excluded, skip::EXCLUDED))
                    }
                    _ if descriptor.size < options.min_layer_size => Plan::Small,
                    // Such layers stay with their owner; a layout need not have them.
                    LayerKind::Indexable(_)
                        if is_nondistributable(&descriptor.media_type)
                            && layout.blob_size(&descriptor.digest)?.is_none() =>
                    {
                        Plan::Eager(EagerReason::new(EagerCause::Absent, ABSENT))
                    }
                    LayerKind::Indexable(compression) => Plan::Scan(compression),
                    LayerKind::Unsupported(reason) => {
                        Plan::Eager(EagerReason::new(EagerCause::MediaType, reason))
                    }
                };
                let platform = selected.image.platform.to_string();
                layers.push(Layer { descriptor, platform, referrer: selected.digest, plan });
            }
        }
        Ok(Self { layers, candidates: Candidates::find(tree) })
    }

    /// Checks that every layer that is to be scanned is there with its size, before any work is done.
    pub(super) fn check_present(&self, layout: &Layout) -> Result<(), Error> {
        for layer in &self.layers {
            let Descriptor { digest, size, .. } = *layer.descriptor;
            if !matches!(layer.plan, Plan::Scan(_)) {
                continue;
            }
            match layout.blob_size(&digest)? {
                None => {
                    let referrer =
                        format!("image manifest {} ({})", layer.referrer, layer.platform);
                    return Err(Error::BlobMissing { digest, referrer });
                }
                Some(found) if found != size => {
                    return Err(Error::BlobSize { digest, expected: size, found });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// What would become of each layer.
    pub(super) fn planned(
        &self,
        layout: &Layout,
        options: &Options,
        cache: &CacheUse,
    ) -> Result<Vec<LayerReport>, Error> {
        self.layers
            .iter()
            .map(|layer| {
                let outcome = match &layer.plan {
                    Plan::Scan(compression) => {
                        let Layer { descriptor, .. } = *layer;
                        let found =
                            self.candidates.valid(layout, descriptor, *compression, options)?;
                        let outcome = if let Some((ready, ztoc)) = found {
                            reused(&ready, &ztoc, ReusedFrom::Layout)
                        } else if let Some((ready, ztoc, from)) =
                            cache.foretell(descriptor, *compression, options)
                        {
                            reused(&ready, &ztoc, from)
                        } else {
                            LayerOutcome::Pending
                        };
                        match outcome.better_eager(descriptor.size, options) {
                            Some(reason) => eager(layer, options, reason)?,
                            None => outcome,
                        }
                    }
                    Plan::Small => LayerOutcome::Small,
                    Plan::Eager(reason) => eager(layer, options, reason.clone())?,
                };
                Ok(report(layer, outcome))
            })
            .collect()
    }

    /// Scans what is to be scanned, on up to `options.jobs` threads.
    pub(super) fn scan(
        &self,
        layout: &LockedLayout,
        options: &Options,
        steps: &Steps<'_>,
        like: &Path,
        cache: &CacheUse,
        early: &EarlyScans,
    ) -> Result<Scanned, Error> {
        let total = self.layers.iter().filter(|l| matches!(l.plan, Plan::Scan(_))).count();
        let mut jobs: Vec<(usize, Arc<Step>)> = Vec::with_capacity(total);
        for (position, layer) in self.layers.iter().enumerate() {
            if let Plan::Scan(compression) = &layer.plan {
                let digest = layer.descriptor.digest;
                let number = jobs.len() + 1;
                let name = format!("[scan {number}/{total}] {} {digest}", layer.platform);
                let content = format!(
                    "scan {digest} {compression:?} {} {:?} {} {}",
                    options.span_size,
                    options.build_tool_identifier,
                    options.min_saving,
                    options.accept_unlike_unpacked,
                );
                jobs.push((position, steps.plan(name, &content, &[])));
            }
        }
        let step_digests = jobs.iter().map(|(_, step)| step.digest).collect();
        // The largest first, so that none of them is left alone at the end.
        jobs.sort_by_key(|(position, _)| std::cmp::Reverse(self.layers[*position].descriptor.size));
        let cancelled = AtomicBool::new(false);
        let results = each(threads::wanted(options.jobs), jobs.len(), |number| {
            let (position, step) = &jobs[number];
            if cancelled.load(Ordering::Relaxed) {
                return None;
            }
            let layer = &self.layers[*position];
            let cancelled = &cancelled;
            let job = Job { layout, options, steps, step, cancelled, like, cache, early };
            let result = steps.run(step, || job.unless_eager(layer, self.scan_one(layer, &job)?));
            cancelled.fetch_or(result.is_err(), Ordering::Relaxed);
            Some((*position, result))
        });
        let results = results.into_iter().flatten().collect();
        self.collect(results, step_digests, options)
    }

    /// Takes the zTOC of a layer away again.
    ///
    /// # Errors
    /// [`Error::UnsupportedLayer`] when all layers are to be indexed.
    pub(super) fn leave_eager(
        &self,
        digest: Digest,
        reason: &EagerReason,
        scanned: &mut Scanned,
        options: &Options,
    ) -> Result<(), Error> {
        scanned.ztocs.retain(|(layer, _), _| *layer != digest);
        let left: BTreeSet<Digest> = scanned.ztocs.values().map(|ready| ready.digest).collect();
        scanned.staged.retain(|blob| left.contains(&blob.digest()));
        for (layer, report) in self.layers.iter().zip(&mut scanned.reports) {
            let lazy = matches!(
                report.outcome,
                LayerOutcome::Indexed { .. } | LayerOutcome::Reused { .. }
            );
            if layer.descriptor.digest == digest && lazy {
                report.outcome = eager(layer, options, reason.clone())?;
            }
        }
        Ok(())
    }

    fn collect(
        &self,
        mut results: BTreeMap<usize, Result<Finished, Error>>,
        steps: Vec<Digest>,
        options: &Options,
    ) -> Result<Scanned, Error> {
        // Jobs that were told to stop are not the cause.
        let cause = results
            .iter()
            .find(|(_, result)| matches!(result, Err(error) if !matches!(error, Error::Cancelled)))
            .or_else(|| results.iter().find(|(_, result)| result.is_err()))
            .map(|(position, _)| *position);
        if let Some(Err(error)) = cause.and_then(|position| results.remove(&position)) {
            return Err(error);
        }
        let (mut reports, mut ztocs, mut staged) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (position, layer) in self.layers.iter().enumerate() {
            let outcome = match (&layer.plan, results.remove(&position)) {
                (Plan::Scan(compression), Some(Ok(finished))) => {
                    if let Some(ztoc) = finished.ztoc {
                        ztocs.insert((layer.descriptor.digest, *compression), ztoc);
                    }
                    staged.extend(finished.staged);
                    finished.outcome
                }
                (Plan::Eager(reason), _) => eager(layer, options, reason.clone())?,
                (Plan::Small, _) => LayerOutcome::Small,
                (Plan::Scan(_), _) => return Err(Error::Cancelled),
            };
            reports.push(report(layer, outcome));
        }
        Ok(Scanned { reports, ztocs, staged, steps })
    }

    fn scan_one(&self, layer: &Layer<'_>, job: &Job<'_>) -> Result<(Finished, Outcome), Error> {
        let Plan::Scan(compression) = layer.plan else { unreachable!("only these are jobs") };
        let Descriptor { digest, size, .. } = *layer.descriptor;
        if let Some(scan) = job.early.take((digest, compression)) {
            return self.scanned_early(layer, job, scan);
        }
        let found =
            self.candidates.valid(job.layout, layer.descriptor, compression, job.options)?;
        if let Some((ready, ztoc)) = found {
            if reuse::belongs(layer.descriptor, &ztoc, job)? {
                let outcome = reused(&ready, &ztoc, ReusedFrom::Layout);
                let finished = Finished { outcome, ztoc: Some(ready), staged: None };
                return Ok((finished, Outcome::Cached));
            }
            job.steps.warn(
                job.step,
                &format!("zTOC {} does not belong to this layer; making a new one", ready.digest),
            );
        }
        if let Some(taken) = job.cache.take(layer.descriptor, compression, job)? {
            let outcome = reused(&taken.ready, &taken.ztoc, taken.from);
            let (ztoc, staged) = (Some(taken.ready), taken.staged);
            return Ok((Finished { outcome, ztoc, staged }, Outcome::Cached));
        }
        let mut blob = job
            .layout
            .open_blob(&digest, size)?
            .ok_or_else(|| Error::BlobMissing { digest, referrer: layer.referrer.to_string() })?;
        let request = job.options.scan_request((digest, size), compression);
        let scanned = scan(&mut blob, &request, &job.blob(size))
            .map_err(|error| Error::scan(error, job.layout.blob_path(&digest), digest, size))?;
        let ztoc = match scanned {
            Scan::Indexed(ztoc) => ztoc,
            Scan::Eager(reason) => return left_eager(layer, job, reason),
        };
        let encoding = match ztoc.encoding() {
            Ok(encoding) => encoding,
            Err(full) => {
                return left_eager(layer, job, EagerReason::new(EagerCause::TooLarge, full));
            }
        };
        let (ztoc_digest, staged) =
            stage::ztoc(job.layout, &encoding, job.like, request.second_thread)?;
        let ready = ReadyZtoc::new(ztoc_digest, encoding.size(), &ztoc);
        let key = cached::key((digest, size), compression, job.options);
        job.cache.keep(&key, ready.digest, &encoding, &|message| job.warn(message));
        drop(encoding);
        let numbers = numbers(&ready, &ztoc);
        job.steps.log(
            job.step,
            format!("zTOC {}: {} spans, {} files", ready.digest, numbers.spans, numbers.files),
        );
        let outcome = LayerOutcome::Indexed { ztoc: numbers };
        Ok((Finished { outcome, ztoc: Some(ready), staged }, Outcome::Done))
    }
}

impl Layers<'_> {
    /// A layer that was scanned, and held to its digest, before the pipeline began.
    fn scanned_early(
        &self,
        layer: &Layer<'_>,
        job: &Job<'_>,
        scan: Early,
    ) -> Result<(Finished, Outcome), Error> {
        let (ready, ztoc, mut staged) = match scan {
            Early::Indexed { ready, numbers, staged } => (ready, numbers, staged),
            Early::Eager(reason) => return left_eager(layer, job, reason),
        };
        job.cache.missed();
        let named = self.candidates.name(layer.descriptor.digest, ready.digest);
        // When it was staged, the blob that is there may not have been.
        if staged.is_some() && job.layout.has_sound_blob(&ready.digest, ready.size)? {
            staged = None;
        }
        let outcome = if named && staged.is_none() {
            LayerOutcome::Reused { ztoc, from: ReusedFrom::Layout }
        } else {
            LayerOutcome::Indexed { ztoc }
        };
        Ok((Finished { outcome, ztoc: Some(ready), staged }, Outcome::Cached))
    }
}

/// The end of a job that found its layer eager.
fn left_eager(
    layer: &Layer<'_>,
    job: &Job<'_>,
    reason: EagerReason,
) -> Result<(Finished, Outcome), Error> {
    let step = Outcome::Skipped { reason: reason.text.clone() };
    let outcome = eager(layer, job.options, reason)?;
    Ok((Finished { outcome, ztoc: None, staged: None }, step))
}

/// What a layer's work needs besides the layer.
pub(super) struct Job<'a> {
    pub(super) layout: &'a LockedLayout,
    pub(super) options: &'a Options,
    steps: &'a Steps<'a>,
    step: &'a Step,
    cancelled: &'a AtomicBool,
    pub(super) like: &'a Path,
    cache: &'a CacheUse,
    early: &'a EarlyScans,
}

impl Job<'_> {
    /// The end of a job, unless its layer is better left eager: then the zTOC is dropped.
    fn unless_eager(
        &self,
        layer: &Layer<'_>,
        (finished, step): (Finished, Outcome),
    ) -> Result<(Finished, Outcome), Error> {
        match finished.outcome.better_eager(layer.descriptor.size, self.options) {
            Some(reason) => left_eager(layer, self, reason),
            None => Ok((finished, step)),
        }
    }

    /// What the work on the layer's blob is told and tells.
    pub(super) fn blob(&self, size: u64) -> BlobProgress<'_> {
        let Self { steps, step, cancelled, .. } = *self;
        BlobProgress { steps, step, size, failed: Some(cancelled) }
    }

    pub(super) fn warn(&self, message: &str) {
        self.steps.warn(self.step, message);
    }

    /// Whether the zTOCs that are there are taken without a look at their layers.
    pub(super) fn trusts_blobs(&self) -> bool {
        self.options.trust_blobs
    }

    /// Whether all blobs were held to their digests just before.
    pub(super) fn blobs_are_whole(&self) -> bool {
        self.early.blobs_are_whole()
    }
}

/// What becomes of a layer that is left eager: under `--strict` that is an error.
fn eager(layer: &Layer<'_>, options: &Options, reason: EagerReason) -> Result<LayerOutcome, Error> {
    if options.strict && reason.cause != EagerCause::Excluded {
        let (digest, reason) = (layer.descriptor.digest, reason.text);
        return Err(Error::UnsupportedLayer { digest, reason });
    }
    Ok(LayerOutcome::Skipped(reason))
}

fn report(layer: &Layer<'_>, outcome: LayerOutcome) -> LayerReport {
    let Descriptor { digest, size, ref media_type, .. } = *layer.descriptor;
    LayerReport { digest, media_type: media_type.clone(), size, outcome }
}

fn reused(ready: &ReadyZtoc, ztoc: &Ztoc, from: ReusedFrom) -> LayerOutcome {
    LayerOutcome::Reused { ztoc: numbers(ready, ztoc), from }
}

impl LayerOutcome {
    /// Why a layer with this outcome is left eager all the same.
    fn better_eager(&self, size: u64, options: &Options) -> Option<EagerReason> {
        let (Self::Indexed { ztoc } | Self::Reused { ztoc, .. }) = self else { return None };
        saving::why_eager(size, ztoc, options)
    }
}

pub(super) fn numbers(ready: &ReadyZtoc, ztoc: &Ztoc) -> ZtocReport {
    ZtocReport {
        ztoc: ready.digest,
        ztoc_size: ready.size,
        spans: ztoc.zinfo.span_count(),
        files: ztoc.toc.len() as u64,
        uncompressed_size: ztoc.uncompressed_archive_size,
        largest_span: ztoc.largest_span(),
        unlike_unpacked: fidelity::difference(&ztoc.toc).map(|found| found.to_string()),
    }
}
