//! The run, stage by stage.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::assemble::{assemble, stage_documents};
use super::attached;
use super::cached::CacheUse;
use super::early::EarlyScans;
use super::foreseen::{Foresight, Known};
use super::hiding;
use super::images;
use super::layers::Layers;
use super::options::Options;
use super::prefetch;
use super::prune::prune;
use super::report::Report;
use super::roots;
use super::schedule;
use super::settle::Sources;
use super::startups::startups;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::lock::LockedLayout;
use crate::layout::tree::{self, Node, Tree};
use crate::oci::digest::Digest;
use crate::progress::event::{Observer, Outcome};
use crate::progress::steps::Steps;

/// Indexes the images of the layout directory at `path`. With [`Options::dry_run`] nothing is locked, scanned or
/// written: the report says which images and layers it would be, what is reused, what is skipped and why.
/// Events go to `observer`, from several threads.
///
/// # Errors
/// [`Error`]; the layout is then as before, apart from blobs that nothing refers to.
pub fn index(path: &Path, options: &Options, observer: &dyn Observer) -> Result<Report, Error> {
    let layout = Layout::open(path)?;
    let steps = Steps::new(observer);
    timed(options, || {
        if options.dry_run {
            return dry_run(&layout, layout.path(), options, &steps);
        }
        let layout = LockedLayout::new(layout, &|| observer.cancelled())?;
        layout.remove_leftovers()?;
        let (early, cache) = (EarlyScans::default(), CacheUse::begin(options));
        run_made(&layout, layout.path(), (&early, &cache), options, &steps)
    })
}

/// A run with these options, and how long it takes.
pub(crate) fn timed(
    options: &Options,
    work: impl FnOnce() -> Result<Report, Error>,
) -> Result<Report, Error> {
    if options.span_size == 0 || i64::try_from(options.span_size).is_err() {
        let problem = format!("must be between 1 and {} bytes", i64::MAX);
        return Err(Error::Option { option: "span size", problem });
    }
    let start = Instant::now();
    let mut report = work()?;
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// `shown` is what people know the layout by.
pub(in crate::commands) fn resolve(
    layout: &Layout,
    shown: &Path,
    steps: &Steps<'_>,
) -> Result<Tree, Error> {
    let name = format!("[resolve] {}", shown.display());
    let step = steps.announce(name, "resolve", &[]);
    steps.run(&step, || {
        let tree = tree::read(layout)?;
        for warning in &tree.warnings {
            steps.warn(&step, warning);
        }
        Ok((tree, Outcome::Done))
    })
}

/// Says what [`run_made`] would do. `shown` is what people know the layout by.
pub(super) fn dry_run(
    layout: &Layout,
    shown: &Path,
    options: &Options,
    steps: &Steps<'_>,
) -> Result<Report, Error> {
    let tree = resolve(layout, shown, steps)?;
    let selection = images::select(&tree, options, shown)?;
    let layers = Layers::find(layout, &tree, &selection, options)?;
    layers.check_present(layout)?;
    let cache = CacheUse::begin(options);
    let foresight = Foresight { layers: &layers, layout, options, cache: &cache, steps };
    let mut known = Known::default();
    let reports = foresight.reports(&mut known)?;
    let mut report = roots::report(&tree, &selection, None);
    cache.tell(&mut report);
    let lazy: HashSet<Digest> =
        reports.iter().filter(|layer| layer.outcome.is_lazy()).map(|layer| layer.digest).collect();
    let indexed = |layer: &Digest| lazy.contains(layer);
    attached::tell(attached::foreseen(&tree, &selection, options, &indexed), &mut report);
    let ztoc = |layer: &Descriptor| foresight.ztoc(layer, &reports, &known);
    let prefetch = prefetch::Search { layout, options, steps, ztoc: &ztoc }.run(&selection, &[])?;
    report.prefetch = prefetch.reports;
    report.warnings.extend(prefetch.warnings);
    report.changed = !lazy.is_empty();
    report.dry_run = true;
    report.layers = reports;
    report.startups = startups(&report, options, &HashMap::new());
    Ok(report)
}

/// Indexes a layout that is locked and holds no leftovers. `shown` is what people know it by, `early`
/// the scans that were made already, `cache` what is used of the cache.
pub(crate) fn run_made(
    layout: &LockedLayout,
    shown: &Path,
    (early, cache): (&EarlyScans, &CacheUse),
    options: &Options,
    steps: &Steps<'_>,
) -> Result<Report, Error> {
    if options.prune && !options.external_blobs {
        layout.refuse_external_blobs()?;
    }
    let tree = resolve(layout, shown, steps)?;
    let selection = images::select(&tree, options, shown)?;
    let layers = Layers::find(layout, &tree, &selection, options)?;
    layers.check_present(layout)?;
    let permissions_from = permissions_from(layout, &tree);
    let sources = Sources { layers: &layers, cache, early };
    let mut scanned = schedule::scan(layout, sources, options, steps, &permissions_from)?;
    hiding::leave_eager(layout, &selection, &mut scanned, options, steps)?;
    let ztoc = |layer: &Descriptor| scanned.ztoc(layout, layer);
    let prefetch = prefetch::Search { layout, options, steps, ztoc: &ztoc };
    let prefetch = prefetch.run(&selection, &scanned.steps)?;

    let step = steps.announce(
        "[assemble] SOCI indexes and manifests".to_owned(),
        &format!("assemble {}", options.of_documents()),
        &scanned.steps,
    );
    let (rewritten, mut staged) = steps.run(&step, || {
        let rewritten = assemble(layout, &tree, &selection, options, (&scanned, &prefetch.spans))?;
        let staged = stage_documents(layout, &rewritten, &permissions_from)?;
        let same = staged.is_empty() && rewritten.index_json == tree.index_json;
        Ok(((rewritten, staged), if same { Outcome::Cached } else { Outcome::Done }))
    })?;

    let step =
        steps.announce("[commit] index.json".to_owned(), &rewritten.index_json, &[step.digest]);
    let committed = steps.run(&step, || {
        staged.extend(std::mem::take(&mut scanned.staged));
        let committed = layout.commit(staged, &tree.index_json, &rewritten.index_json)?;
        let same = committed.blobs == 0 && !committed.index_json;
        Ok((committed, if same { Outcome::Cached } else { Outcome::Done }))
    })?;

    let mut report = roots::report(&tree, &selection, Some(&rewritten));
    cache.tell(&mut report);
    if options.prune {
        let pruned = prune(layout, &tree, &[&tree.index_json], &[&rewritten.index_json])?;
        (report.blobs_pruned, report.bytes_pruned) = (pruned.blobs, pruned.bytes);
        report.warnings.extend(pruned.warning);
    }
    attached::tell(attached::orphaned(&tree, &rewritten), &mut report);
    report.changed = committed.index_json;
    report.blobs_written = committed.blobs;
    report.bytes_written = committed.bytes;
    for root in &mut report.roots {
        root.name = options.name.clone().or(root.name.take());
    }
    report.layers = scanned.reports;
    report.prefetch = prefetch.reports;
    report.warnings.extend(prefetch.warnings);
    report.startups = startups(&report, options, &HashMap::new());
    Ok(report)
}

/// The blob whose mode and owner new blobs get: the first root's, as it was written by whoever made
/// the layout.
pub(in crate::commands) fn permissions_from(layout: &Layout, tree: &Tree) -> PathBuf {
    let roots = tree.roots.iter().filter_map(Node::known);
    let mut paths = roots.map(|root| layout.blob_path(&root.digest));
    paths.find(|path| path.exists()).unwrap_or_else(|| layout.index_json())
}
