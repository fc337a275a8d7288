//! The work on one layer: its zTOC from a scan that was made early, from the layout, from the cache, or made anew.

use super::cached::{self, CacheUse};
use super::decide;
use super::early::EarlyScans;
use super::job::Job;
use super::layers::{Layer, LayerKey, Layers};
use super::make::{Made, Target, make};
use super::ready::ReadyZtoc;
use super::report::{LayerOutcome, ReusedFrom, ZtocReport};
use super::reuse::{Taken, Wanted};
use crate::error::Error;
use crate::layout::commit::StagedBlob;
use crate::progress::event::Outcome;

/// How one layer's work ended.
pub(super) struct Settled {
    pub(super) outcome: LayerOutcome,
    pub(super) ztoc: Option<ReadyZtoc>,
    pub(super) staged: Option<StagedBlob>,
}

/// Where zTOCs may be already.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) layers: &'a Layers<'a>,
    pub(super) cache: &'a CacheUse,
    pub(super) early: &'a EarlyScans,
}

/// Does the work on a layer that is to be indexed, by its key.
///
/// # Errors
/// A blob that is not what its descriptor says; [`Error::UnsupportedLayer`] under `strict`; those of writing.
pub(super) fn settle(
    layer: &Layer<'_>,
    key: LayerKey,
    sources: Sources<'_>,
    job: &Job<'_>,
) -> Result<(Settled, Outcome), Error> {
    let (mut settled, mut step) = by_source(layer, key, sources, job)?;
    settled.outcome = decide::by_ztoc(layer.descriptor, settled.outcome, job.options)?;
    if let LayerOutcome::Skipped(reason) = &settled.outcome {
        step = Outcome::Skipped { reason: reason.text.clone() };
        (settled.ztoc, settled.staged) = (None, None);
    }
    Ok((settled, step))
}

fn by_source(
    layer: &Layer<'_>,
    key: LayerKey,
    Sources { layers, cache, early }: Sources<'_>,
    job: &Job<'_>,
) -> Result<(Settled, Outcome), Error> {
    if let Some(made) = early.take(key) {
        cache.missed();
        return Ok((made_early(layer, layers, job, made)?, Outcome::Cached));
    }
    let wanted = Wanted {
        layer: layer.descriptor,
        compression: key.1,
        layout: job.layout,
        options: job.options,
        job: Some(job),
    };
    if let Some(Taken { ready, staged, from, .. }) = cache.find(&layers.candidates, &wanted)? {
        let outcome = LayerOutcome::Reused { ztoc: ready.report.clone(), from };
        return Ok((Settled { outcome, ztoc: Some(ready), staged }, Outcome::Cached));
    }
    let made = made_now(layer, key, cache, job)?;
    if let Made::Ztoc { .. } = &made {
        job.steps.log(job.step, made.to_string());
    }
    Ok((settled(layer, made, job, false)?, Outcome::Done))
}

/// `there` tells whether a zTOC that was made is in the layout already, as that of this layer.
fn settled(layer: &Layer<'_>, made: Made, job: &Job<'_>, there: bool) -> Result<Settled, Error> {
    Ok(match made {
        Made::Ztoc { ready, staged } => {
            let ztoc = ready.report.clone();
            let outcome = if there {
                LayerOutcome::Reused { ztoc, from: ReusedFrom::Layout }
            } else {
                LayerOutcome::Indexed { ztoc }
            };
            Settled { outcome, ztoc: Some(ready), staged }
        }
        Made::Eager(reason) => {
            let outcome = decide::eager(layer.descriptor.digest, reason, job.options)?;
            Settled { outcome, ztoc: None, staged: None }
        }
    })
}

/// A layer that was scanned, and checked against its digest, before the run began.
fn made_early(
    layer: &Layer<'_>,
    layers: &Layers<'_>,
    job: &Job<'_>,
    mut made: Made,
) -> Result<Settled, Error> {
    let mut there = false;
    if let Made::Ztoc { ready, staged } = &mut made {
        let ZtocReport { ztoc, ztoc_size, .. } = ready.report;
        // When it was staged, the blob that is there may not have been.
        if staged.is_some() && job.layout.has_sound_file(&ztoc, ztoc_size)? {
            *staged = None;
        }
        let named = layers.candidates.name(layer.descriptor.digest, ztoc);
        there = named && staged.is_none();
    }
    settled(layer, made, job, there)
}

fn made_now(
    layer: &Layer<'_>,
    (digest, compression): LayerKey,
    cache: &CacheUse,
    job: &Job<'_>,
) -> Result<Made, Error> {
    let Job { layout, options, permissions_from, .. } = *job;
    let size = layer.descriptor.size;
    let missing = || Error::BlobMissing { digest, referrer: layer.referrer.to_string() };
    let mut blob = layout.open_blob(&digest, size)?.ok_or_else(missing)?;
    let request = options.scan_request((digest, size), compression);
    let key = &cached::key((digest, size), compression, options);
    let target = Target { layout, permissions_from, cache, key, warn: &|text| job.warn(text) };
    make(&mut blob, &request, &job.blob(size), &target)?
        .map_err(|error| Error::scan(error, layout.blob_path(&digest), digest, size))
}
