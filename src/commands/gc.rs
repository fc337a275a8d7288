//! Removes blobs that nothing in a layout refers to, and what interrupted runs left.
//!
//! First a plan, then its execution: [`GcReport`] is the same for both. What is reachable is decided
//! generously ([`crate::layout::reach`]): every digest in every reachable document counts, whatever it
//! stands for and however it is written. Where a document cannot be read, nothing is removed at all.
//!
//! An export writes its blobs before `index.json` and locks only the latter, so blobs that are younger
//! than [`GcOptions::min_age`] stay: they may belong to one that is under way.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize, Serializer};

use crate::error::Error;
use crate::layout::Layout;
use crate::layout::lock::LockedLayout;
use crate::layout::reach::Search;
use crate::layout::tree;
use crate::oci::digest::Digest;
use crate::progress::event::Observer;
use crate::progress::steps::proceed;

/// Version of the JSON form of a [`GcReport`].
pub const GC_REPORT_VERSION: u32 = 1;
/// Default of [`GcOptions::min_age`]: longer than writing an export takes.
pub const DEFAULT_MIN_AGE: Duration = Duration::from_secs(3600);

/// What to remove.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GcOptions {
    /// Blobs that were written or put in their place within this time stay.
    pub min_age: Duration,
    /// Remove blobs also where they are in a directory outside of the layout, which others may use.
    pub external_blobs: bool,
    /// Only make the plan; lock and remove nothing.
    pub dry_run: bool,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self { min_age: DEFAULT_MIN_AGE, external_blobs: false, dry_run: false }
    }
}

/// What was (or, dry, would be) removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GcReport {
    /// [`GC_REPORT_VERSION`].
    pub version: u32,
    /// Whether this is only the plan.
    pub dry_run: bool,
    /// Blobs that go, in the order of their digests.
    pub removed: Vec<UnreferencedBlob>,
    /// Blobs that nothing refers to, but that are too young.
    pub young: Vec<UnreferencedBlob>,
    /// Temporary files of interrupted runs that go.
    #[serde(serialize_with = "as_shown")]
    pub leftovers: Vec<PathBuf>,
    /// Files in `blobs` that are no sha256 blobs. They stay, as their owner is not known.
    #[serde(serialize_with = "as_shown")]
    pub strangers: Vec<PathBuf>,
    /// Blobs that something refers to.
    pub kept: u64,
    /// Their bytes.
    pub bytes_kept: u64,
    /// Bytes of the blobs that go.
    pub bytes_removed: u64,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// JSON is UTF-8, and names of files need not be.
fn as_shown<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// A blob that nothing refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreferencedBlob {
    /// Its digest, by its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Removes unreferenced blobs from the layout directory at `path`.
///
/// # Errors
/// [`Error`] when a document that is referred to cannot be read or is damaged (nothing is removed then),
/// [`Error::ExternalBlobs`] without [`GcOptions::external_blobs`],
/// [`Error::Changed`] when somebody replaces `index.json` meanwhile, [`Error::Io`] when a file cannot be
/// removed (those before it are gone; everything that is referred to stays).
pub fn gc(path: &Path, options: &GcOptions, observer: &dyn Observer) -> Result<GcReport, Error> {
    let start = Instant::now();
    let layout = Layout::open(path)?;
    if !options.external_blobs {
        layout.refuse_external_blobs()?;
    }
    let mut report = if options.dry_run {
        find_unreferenced(&layout, options)?.0
    } else {
        let layout = LockedLayout::new(layout, &|| observer.cancelled())?;
        let (report, index_json) = find_unreferenced(&layout, options)?;
        execute(&layout, &report, &index_json, observer)?;
        report
    };
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// The plan, and the `index.json` it is made from.
fn find_unreferenced(layout: &Layout, options: &GcOptions) -> Result<(GcReport, String), Error> {
    // Listed first: a blob that comes while the documents are read is not in the list.
    let now = SystemTime::now();
    let files = layout.stored_files()?;
    // Reads everything strictly: limits, digests, sizes.
    let tree = tree::read(layout)?;
    let stays = Search::layout(&tree.index_json).tree(&tree).careful().run(layout)?;
    if let Some(doubt) = stays.doubt {
        return Err(doubt);
    }
    let mut report = GcReport {
        version: GC_REPORT_VERSION,
        dry_run: options.dry_run,
        leftovers: layout.leftovers()?,
        ..GcReport::default()
    };
    for file in files {
        let Some(digest) = file.digest else {
            report.strangers.push(file.path);
            continue;
        };
        if stays.sha256.contains_key(&digest) {
            report.kept += 1;
            report.bytes_kept += file.size;
            continue;
        }
        let blob = UnreferencedBlob { digest, size: file.size };
        // A time in the future has no age: such a blob stays.
        let age = now.duration_since(file.since).ok();
        if options.min_age.is_zero() || age.is_some_and(|age| age >= options.min_age) {
            report.bytes_removed += file.size;
            report.removed.push(blob);
        } else {
            report.young.push(blob);
        }
    }
    report.removed.sort_by_key(|blob| blob.digest);
    report.young.sort_by_key(|blob| blob.digest);
    Ok((report, tree.index_json))
}

fn execute(
    layout: &LockedLayout,
    report: &GcReport,
    index_json: &str,
    observer: &dyn Observer,
) -> Result<(), Error> {
    layout.remove_leftovers()?;
    proceed(observer)?;
    if report.removed.is_empty() {
        return Ok(());
    }
    // Another tool may have replaced it without a sync: a loss of power would bring back an older one, which
    // may lead to what is removed here.
    layout.sync_index_json()?;
    // A program that takes no lock may have led to one of them since.
    if layout.read_index_json()? != index_json {
        return Err(Error::Changed { path: layout.index_json() });
    }
    for blob in &report.removed {
        proceed(observer)?;
        layout.remove_blob(&blob.digest)?;
    }
    Ok(())
}
