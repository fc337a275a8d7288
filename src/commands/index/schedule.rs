//! Gives the work on layers to threads, largest first, and puts the results together in the order of the images, so that
//! no byte depends on how the work was shared.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::job::Job;
use super::layers::{Layer, LayerKey};
use super::options::Options;
use super::scanned::Scanned;
use super::settle::{Settled, Sources, settle};
use crate::error::Error;
use crate::layout::lock::LockedLayout;
use crate::oci::digest::Digest;
use crate::progress::event::Step;
use crate::progress::steps::Steps;
use crate::threads::{Slots, each, wanted};

/// Does the work on all layers, on up to [`Options::jobs`] threads. New blobs get the mode and owner of
/// `permissions_from`.
///
/// # Errors
/// The first in the order of the layers.
pub(super) fn scan(
    layout: &LockedLayout,
    sources: Sources<'_>,
    options: &Options,
    steps: &Steps<'_>,
    permissions_from: &Path,
) -> Result<Scanned, Error> {
    let layers = &sources.layers.layers;
    let mut jobs = planned(layers, options, steps);
    let digests = jobs.iter().map(|(_, _, step)| step.digest).collect();
    // The largest first, so that none of them is left alone at the end.
    jobs.sort_by_key(|(position, ..)| Reverse(layers[*position].descriptor.size));
    let cancelled = &AtomicBool::new(false);
    let blobs_are_whole = sources.early.blobs_are_whole();
    let threads = wanted(options.jobs);
    let slots = &Slots::new(threads);
    let results = each(threads, jobs.len(), |number| {
        let (position, key, step) = &jobs[number];
        if cancelled.load(Ordering::Relaxed) {
            return None;
        }
        let job = Job {
            layout,
            options,
            steps,
            step,
            cancelled,
            slots,
            permissions_from,
            blobs_are_whole,
        };
        let result =
            slots.run(|| steps.run(step, || settle(&layers[*position], *key, sources, &job)));
        cancelled.fetch_or(result.is_err(), Ordering::Relaxed);
        Some((*position, result))
    });
    let settled = without_failure(results.into_iter().flatten().collect())?;
    collect(layers, settled, options, digests)
}

/// The layers that are to be indexed by their positions, each with its key and its step.
fn planned(
    layers: &[Layer<'_>],
    options: &Options,
    steps: &Steps<'_>,
) -> Vec<(usize, LayerKey, Arc<Step>)> {
    let to_index =
        || layers.iter().enumerate().filter_map(|(at, layer)| Some((at, layer, layer.key()?)));
    let total = to_index().count();
    let step = |(number, (position, layer, key)): (usize, (usize, &Layer<'_>, LayerKey))| {
        let (digest, compression) = key;
        let name = format!("[scan {number}/{total}] {} {digest}", layer.platform);
        let content = format!(
            "scan {digest} {compression:?} {} {:?} {} {}",
            options.span_size,
            options.build_tool_identifier,
            options.min_saving,
            options.accept_unlike_unpacked,
        );
        (position, key, steps.announce(name, &content, &[]))
    };
    (1..).zip(to_index()).map(step).collect()
}

/// The results when none is an error. Jobs that were told to stop are not the cause.
fn without_failure<T>(
    results: BTreeMap<usize, Result<T, Error>>,
) -> Result<BTreeMap<usize, T>, Error> {
    let (mut done, mut stopped) = (BTreeMap::new(), false);
    for (position, result) in results {
        match result {
            Ok(value) => drop(done.insert(position, value)),
            Err(Error::Cancelled) => stopped = true,
            Err(error) => return Err(error),
        }
    }
    if stopped { Err(Error::Cancelled) } else { Ok(done) }
}

fn collect(
    layers: &[Layer<'_>],
    mut settled: BTreeMap<usize, Settled>,
    options: &Options,
    steps: Vec<Digest>,
) -> Result<Scanned, Error> {
    let mut scanned = Scanned { steps, ..Scanned::default() };
    for (position, layer) in layers.iter().enumerate() {
        let outcome = if let Some(key) = layer.key() {
            let Settled { outcome, ztoc, staged } =
                settled.remove(&position).ok_or(Error::Cancelled)?;
            scanned.ztocs.extend(ztoc.map(|ztoc| (key, ztoc)));
            scanned.staged.extend(staged);
            outcome
        } else {
            layer.unread(options)?
        };
        scanned.reports.push(layer.report(outcome));
    }
    Ok(scanned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_and_never_that_others_were_stopped() {
        let failed = |text: &str| Err(Error::NoImage { path: text.into() });
        let told = |results: Vec<Result<u8, Error>>| {
            without_failure(results.into_iter().enumerate().collect())
        };
        let first = told(vec![Ok(1), Err(Error::Cancelled), failed("a"), failed("b")]);
        assert!(matches!(first, Err(Error::NoImage { path }) if path == Path::new("a")));
        assert!(matches!(told(vec![Ok(1), Err(Error::Cancelled)]), Err(Error::Cancelled)));
        assert_eq!(told(vec![Ok(1), Ok(2)]).ok(), Some(BTreeMap::from([(0, 1), (1, 2)])));
    }
}
