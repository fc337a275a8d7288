//! Removes SOCI indexes from a layout: resolve → rewrite → commit, without a scan.
//!
//! Layers and zTOCs are not read. As for indexing, `index.json` is replaced in one step at the
//! end, and what nothing refers to any more stays in the layout unless [`RemoveOptions::prune`] is set.

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::commands::index::assemble::stage_documents;
use crate::commands::index::prune::{Pruned, prune};
use crate::commands::index::report::RootReport;
use crate::commands::index::roots::root_reports;
use crate::commands::index::run::{permissions_from, resolve};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::lock::LockedLayout;
use crate::layout::select::{ImageFilter, select_any};
use crate::layout::tree::Tree;
use crate::oci::digest::Digest;
use crate::oci::soci_version::IndexVersion;
use crate::progress::event::{Observer, Outcome};
use crate::progress::steps::Steps;
use crate::soci::bind::Rewrite;
use crate::soci::originals::Originals;
use crate::soci::unbind::undo;

/// Version of the JSON form of a [`RemoveReport`].
pub const REMOVE_REPORT_VERSION: u32 = 1;

/// What to remove.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RemoveOptions {
    /// The images that lose them.
    pub images: ImageFilter,
    /// Versions of SOCI index that go.
    pub index_version: IndexVersion,
    /// Remove the blobs that only the removed indexes and replaced manifests referred to.
    pub prune: bool,
    /// Prune also where the blobs are in a directory outside of the layout, which others may use.
    pub external_blobs: bool,
    /// Decide, but lock and write nothing.
    pub dry_run: bool,
}

impl Default for RemoveOptions {
    fn default() -> Self {
        Self {
            images: ImageFilter::default(),
            index_version: IndexVersion::Both,
            prune: false,
            external_blobs: false,
            dry_run: false,
        }
    }
}

/// What [`remove`] did (or, dry, would do).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemoveReport {
    /// [`REMOVE_REPORT_VERSION`].
    pub version: u32,
    /// Whether this only says what would be done.
    pub dry_run: bool,
    /// Whether `index.json` was (or would be) replaced.
    pub changed: bool,
    /// Entries of `index.json` that were selected, in their order.
    pub roots: Vec<RootReport>,
    /// The selected images, in the order in which they are found.
    pub images: Vec<RemovedImage>,
    /// Things the user should know although the run succeeded.
    pub warnings: Vec<String>,
    /// Blobs written: documents that were not in the layout any more.
    pub blobs_written: u64,
    /// Bytes written, blobs and `index.json` together.
    pub bytes_written: u64,
    /// Blobs removed ([`RemoveOptions::prune`]).
    pub blobs_pruned: u64,
    /// Bytes removed.
    pub bytes_pruned: u64,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// One image.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemovedImage {
    /// Names of the `index.json` entries that lead to it.
    pub names: Vec<String>,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Digest before the run.
    pub before: Digest,
    /// Digest after it.
    pub after: Digest,
    /// The SOCI indexes that were taken away, V2 first.
    pub removed: Vec<Digest>,
}

/// Removes the SOCI indexes of the images of the layout directory at `path`. An image without one is
/// left alone.
///
/// When the documents that indexing replaced are still in the layout, `index.json` and all that it leads to are
/// those from before it, byte for byte; otherwise documents are written that say the same.
///
/// # Errors
/// [`Error`]; the layout is then as before.
pub fn remove(
    path: &Path,
    options: &RemoveOptions,
    observer: &dyn Observer,
) -> Result<RemoveReport, Error> {
    let start = Instant::now();
    let layout = Layout::open(path)?;
    let steps = Steps::new(observer);
    let mut report = if options.dry_run {
        let tree = resolve(&layout, layout.path(), &steps)?;
        decide(&layout, &tree, options)?.1
    } else {
        let layout = LockedLayout::new(layout, &|| observer.cancelled())?;
        layout.remove_leftovers()?;
        commit(&layout, options, &steps)?
    };
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// The documents without these SOCI indexes, and what is known of the removal before they are written.
fn decide(
    layout: &Layout,
    tree: &Tree,
    options: &RemoveOptions,
) -> Result<(Rewrite, RemoveReport), Error> {
    let selection = select_any(tree, &options.images)?;
    let wanted = |position, image: &_| selection.wants(position, image);
    let (rewritten, removals) = undo(layout, tree, options.index_version, &wanted)?;
    let news = rewritten.by_before();
    let images = selection.images.iter().map(|selected| {
        let before = selected.digest;
        RemovedImage {
            names: selected.names.clone(),
            platform: selected.image.platform.to_string(),
            before,
            after: news.get(&before).map_or(before, |new| new.manifest.digest),
            removed: removals.get(&before).cloned().unwrap_or_default(),
        }
    });
    let report = RemoveReport {
        version: REMOVE_REPORT_VERSION,
        dry_run: options.dry_run,
        changed: rewritten.index_json != tree.index_json,
        roots: root_reports(tree, &selection, Some(&rewritten)),
        images: images.collect(),
        warnings: tree.warnings.iter().chain(&selection.warnings).cloned().collect(),
        ..RemoveReport::default()
    };
    Ok((rewritten, report))
}

fn commit(
    layout: &LockedLayout,
    options: &RemoveOptions,
    steps: &Steps<'_>,
) -> Result<RemoveReport, Error> {
    if options.prune && !options.external_blobs {
        layout.refuse_external_blobs()?;
    }
    let tree = resolve(layout, layout.path(), steps)?;
    let permissions_from = permissions_from(layout, &tree);
    let RemoveOptions { images, index_version, .. } = options;
    let content = format!("undo {images:?} {index_version:?}");
    let step = steps.announce("[undo] manifests".to_owned(), &content, &[]);
    let (rewritten, mut report, staged) = steps.run(&step, || {
        let (rewritten, report) = decide(layout, &tree, options)?;
        // A layout without any SOCI index stays untouched, whatever documents were read.
        if !report.changed {
            return Ok(((rewritten, report, Vec::new()), Outcome::Cached));
        }
        let staged = stage_documents(layout, &rewritten, &permissions_from)?;
        Ok(((rewritten, report, staged), Outcome::Done))
    })?;
    let after = &rewritten.index_json;
    let step = steps.announce("[commit] index.json".to_owned(), after, &[step.digest]);
    let committed = steps.run(&step, || {
        let committed = layout.commit(staged, &tree.index_json, after)?;
        let outcome = if committed.index_json { Outcome::Done } else { Outcome::Cached };
        Ok((committed, outcome))
    })?;
    let pruned = if options.prune { prune_all(layout, &tree, after)? } else { Pruned::default() };
    report.blobs_written = committed.blobs;
    report.bytes_written = committed.bytes;
    (report.blobs_pruned, report.bytes_pruned) = (pruned.blobs, pruned.bytes);
    report.warnings.extend(pruned.warning);
    Ok(report)
}

/// Removes what only the SOCI indexes that are gone led to: those of `tree`, and of all runs whose record is
/// there, together with the records.
fn prune_all(layout: &LockedLayout, tree: &Tree, after: &str) -> Result<Pruned, Error> {
    let originals = Originals::read(layout)?;
    let (written, replaced) = originals.entries();
    let stand = |entries: Vec<&str>| format!("{{\"manifests\":[{}]}}", entries.join(","));
    let (written, replaced) = (stand(written), stand(replaced));
    let mut pruned = prune(layout, tree, &[&tree.index_json, &written], &[after, &replaced])?;
    if pruned.warning.is_some() || originals.is_of_any_entry(after) {
        return Ok(pruned);
    }
    for digest in originals.blobs() {
        let size = layout.blob_size(digest)?.unwrap_or(0);
        layout.remove_blob(digest)?;
        pruned.blobs += 1;
        pruned.bytes += size;
    }
    Ok(pruned)
}
