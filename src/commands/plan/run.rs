//! Samples layers and makes an estimate of them.

use std::collections::HashMap;
use std::path::Path;

use super::report::{ESTIMATE_VERSION, Estimate, LayerEstimate, Measured};
use super::stated::stated_size;
use crate::commands::index::index;
use crate::commands::index::options::Options;
use crate::commands::index::report::{LayerOutcome, LayerReport};
use crate::commands::index::startups::startups;
use crate::commands::startup::{LazyLayer, StartupLayer};
use crate::commands::timetable::{self, Work};
use crate::error::Error;
use crate::layer::ScanRequest;
use crate::layer::sample::{Sample, sample};
use crate::layout::Layout;
use crate::layout::opened::OpenBlob;
use crate::oci::digest::Digest;
use crate::oci::media_type::{Compression, LayerKind, layer_kind};
use crate::progress::event::Observer;
use crate::threads;

/// Layers that are looked into, at most.
const MAX_SAMPLES: usize = 8;
/// Bytes that are scanned of all of them, some tenths of a second's work.
const SAMPLE: u64 = 32 << 20;
/// Bytes of a checkpoint with its digest in a zTOC (`soci-formats` 1.3 and 3.1).
const SPAN_COST: u64 = 32_785 + 80;
/// Bytes of a usual file in a zTOC.
const FILE_COST: u64 = 200;
/// Bytes of a plain tar's span: its digest alone.
const TAR_SPAN_COST: u64 = 80;

/// Estimates an indexing run of the layout directory at `path`. Nothing is locked or written.
///
/// # Errors
/// As [`crate::index()`], and when a layer cannot be read.
pub fn estimate(
    path: &Path,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Estimate, Error> {
    let options = Options { dry_run: true, ..options.clone() };
    let mut plan = index(path, &options, observer)?;
    let layout = Layout::open(path)?;
    let reads = |layer: &&LayerReport| match layer.outcome {
        LayerOutcome::Pending => true,
        LayerOutcome::Reused { .. } => !options.trust_blobs,
        _ => false,
    };
    let mut layers: Vec<&LayerReport> = plan.layers.iter().filter(reads).collect();
    // The run's order.
    layers.sort_by_key(|layer| std::cmp::Reverse(layer.size));
    let mut samples: Vec<Option<Sample>> = Vec::with_capacity(layers.len());
    let limit = SAMPLE / layers.len().clamp(1, MAX_SAMPLES) as u64;
    for (position, layer) in layers.iter().enumerate() {
        if observer.cancelled() {
            return Err(Error::Cancelled);
        }
        let measure = position < MAX_SAMPLES;
        samples.push(if measure { Some(measured(&layout, layer, &options, limit)?) } else { None });
    }
    let usual = usual(&samples);
    let mut work = Vec::with_capacity(layers.len());
    let mut estimates = Vec::with_capacity(layers.len());
    for (layer, sample) in layers.iter().zip(&samples) {
        let rates = sample.as_ref().unwrap_or(&usual);
        work.push(self::work(layer, rates));
        estimates.push(one(&layout, layer, rates, sample.is_some(), options.span_size)?);
    }
    let (processors, jobs) = (threads::wanted(None), threads::wanted(options.jobs));
    let two_threads = options.jobs.is_none_or(|jobs| jobs.get() > 1);
    let times = timetable::play(&work, jobs, processors, two_threads);
    for (layer, (start, end)) in estimates.iter_mut().zip(&times) {
        (layer.start, layer.end) = (*start, *end);
    }
    let startup =
        |&LayerEstimate { size, spans, ztoc_size, uncompressed_size, .. }: &_| StartupLayer {
            size,
            content: Some(uncompressed_size),
            files: ztoc_size.saturating_sub(spans * SPAN_COST) / FILE_COST,
            lazy: Some(LazyLayer { ztoc_size, spans, ..LazyLayer::default() }),
        };
    let expected: HashMap<_, _> =
        estimates.iter().map(|layer| (layer.digest, startup(layer))).collect();
    plan.startups = startups(&plan, &options, &expected);
    let pending = estimates.iter().filter(|layer| layer.scanned);
    Ok(Estimate {
        version: ESTIMATE_VERSION,
        jobs: jobs as u64,
        processors: processors as u64,
        seconds: times.iter().map(|(_, end)| *end).fold(0.0, f64::max),
        cpu_seconds: work.iter().map(|work| work.walk + work.hash).sum(),
        layer_bytes: estimates.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size)),
        ztoc_bytes: pending.fold(0, |sum: u64, layer| sum.saturating_add(layer.ztoc_size)),
        measured: Measured {
            layers: samples.iter().flatten().count() as u64,
            bytes: usual.compressed,
            cpu_seconds: (usual.walk + usual.hash).as_secs_f64(),
            wall_seconds: usual.wall.as_secs_f64(),
        },
        layers: estimates,
        plan,
    })
}

fn compression(layer: &LayerReport) -> Compression {
    match layer_kind(&layer.media_type) {
        LayerKind::Indexable(compression) => compression,
        _ => Compression::None,
    }
}

fn measured(
    layout: &Layout,
    layer: &LayerReport,
    options: &Options,
    limit: u64,
) -> Result<Sample, Error> {
    let request = ScanRequest {
        second_thread: false,
        ..options.scan_request((layer.digest, layer.size), compression(layer))
    };
    let mut blob = open(layout, &layer.digest, layer.size)?;
    sample(&mut blob, &request, limit).map_err(|error| Error::CorruptLayer {
        digest: layer.digest,
        offset: None,
        uncompressed_offset: None,
        problem: error.to_string(),
    })
}

fn open(layout: &Layout, digest: &Digest, size: u64) -> Result<OpenBlob, Error> {
    let referrer = "an image manifest".to_owned();
    layout.open_blob(digest, size)?.ok_or(Error::BlobMissing { digest: *digest, referrer })
}

/// All samples as one, for layers of which none was taken.
fn usual(samples: &[Option<Sample>]) -> Sample {
    let mut usual = Sample::default();
    for sample in samples.iter().flatten() {
        usual.compressed += sample.compressed;
        usual.uncompressed += sample.uncompressed;
        usual.spans += sample.spans;
        usual.toc_bytes += sample.toc_bytes;
        usual.walk += sample.walk;
        usual.hash += sample.hash;
        usual.wall += sample.wall;
    }
    usual
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn parts(layer: &LayerReport, rates: &Sample) -> f64 {
    layer.size as f64 / (rates.compressed.max(1)) as f64
}

fn work(layer: &LayerReport, rates: &Sample) -> Work {
    let parts = parts(layer, rates);
    let scanned = matches!(layer.outcome, LayerOutcome::Pending);
    Work {
        walk: if scanned { rates.walk.as_secs_f64() * parts } else { 0.0 },
        hash: rates.hash.as_secs_f64() * parts,
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an estimate, never negative"
)]
fn one(
    layout: &Layout,
    layer: &LayerReport,
    rates: &Sample,
    measured: bool,
    span_size: u64,
) -> Result<LayerEstimate, Error> {
    let mut estimate = LayerEstimate {
        digest: layer.digest,
        size: layer.size,
        scanned: true,
        measured,
        uncompressed_size: 0,
        uncompressed_size_stated: true,
        spans: 0,
        ztoc_size: 0,
        start: 0.0,
        end: 0.0,
        doubt: rates.halt.as_ref().map(|reason| reason.text.clone()),
        doubt_cause: rates.halt.as_ref().map(|reason| reason.cause),
    };
    if let LayerOutcome::Reused { ztoc, .. } = &layer.outcome {
        estimate.scanned = false;
        estimate.uncompressed_size = ztoc.uncompressed_size;
        (estimate.spans, estimate.ztoc_size) = (ztoc.spans, ztoc.ztoc_size);
        return Ok(estimate);
    }
    let compression = compression(layer);
    let guess = (rates.uncompressed as f64 * parts(layer, rates)) as u64;
    let whole = measured && rates.compressed == layer.size;
    let stated = match compression {
        Compression::None => Some(layer.size),
        Compression::Gzip if whole => Some(rates.uncompressed),
        Compression::Gzip => {
            let file = open(layout, &layer.digest, layer.size)?;
            stated_size((&file, &layout.blob_path(&layer.digest)), layer.size, guess)?
        }
    };
    let content = stated.unwrap_or(guess);
    (estimate.uncompressed_size, estimate.uncompressed_size_stated) = (content, stated.is_some());
    let (spans, cost) = match compression {
        Compression::Gzip if whole => (rates.spans, SPAN_COST),
        Compression::Gzip if rates.spans >= ENOUGH_SPANS => {
            let parts = content as f64 / rates.uncompressed.max(1) as f64;
            ((rates.spans as f64 * parts).ceil() as u64, SPAN_COST)
        }
        Compression::Gzip => (content / span_size.saturating_add(HALF_BLOCK) + 1, SPAN_COST),
        Compression::None => (content.div_ceil(span_size), TAR_SPAN_COST),
    };
    let entries = rates.toc_bytes as f64 * content as f64 / rates.uncompressed.max(1) as f64;
    estimate.spans = spans;
    estimate.ztoc_size = spans.saturating_mul(cost).saturating_add(entries as u64);
    Ok(estimate)
}

/// Spans in a sample from which on their usual length can be told.
const ENOUGH_SPANS: u64 = 8;
/// A checkpoint waits for the end of a deflate block; blocks are some ten thousand bytes long.
const HALF_BLOCK: u64 = 16 << 10;
