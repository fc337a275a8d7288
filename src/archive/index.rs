//! The run from an archive to its result: take in, index, deliver.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bounded::Position;
use super::failure::Failure;
use super::feed::Feed;
use super::input::Input;
use super::members::{Ended, Walk};
use super::output::Output;
use super::place::{Destination, Form};
use super::side::Side;
use super::{decode, disk, pack};
use crate::commands::index::cached::CacheUse;
use crate::commands::index::early::EarlyScans;
use crate::commands::index::options::Options;
use crate::commands::index::report::Report;
use crate::commands::index::run::{run_made, timed};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::lock::LockedLayout;
use crate::layout::sync::sync_path;
use crate::layout::workplace::Workplace;
use crate::progress::event::{Observer, Outcome, Step};
use crate::progress::steps::{BlobProgress, Steps};

/// Takes an archive in, indexes it, and puts the result where it is wanted.
///
/// # Errors
/// [`Error`]; the result does not exist then, or what was in its place is still there.
pub fn index(
    input: Input,
    output: Output<'_>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    if options.dry_run {
        return Err(Error::Option {
            option: "dry run",
            problem: "an archive has to be unpacked to know what is in it; unpack it yourself, or index it"
                .to_owned(),
        });
    }
    timed(options, || {
        let place = match &output {
            Output::Directory { path, force } => {
                Some(Destination { path: path.clone(), form: Form::Directory, force: *force })
            }
            Output::Archive { path, force } => {
                Some(Destination { path: path.clone(), form: Form::File, force: *force })
            }
            Output::Stream { .. } => None,
        };
        if let Some(place) = &place {
            place.check()?;
        }
        let temporary = std::env::temp_dir();
        let work = Workplace::new(place.as_ref().map_or(&*temporary, Destination::parent))?;
        let path = work.join("layout");
        let durable = matches!(output, Output::Directory { .. });
        let name = PathBuf::from(&input.name);
        let steps = Steps::new(observer);
        let report = make(input, &path, durable, options, &steps)
            .map_err(|error| as_archive(error, &path, &name))?;
        if steps.cancelled() {
            return Err(Error::Cancelled);
        }
        deliver(&path, output, place.as_ref(), &work, &steps)?;
        Ok(report)
    })
}

/// Makes the indexed layout at `path`.
fn make(
    input: Input,
    path: &Path,
    durable: bool,
    options: &Options,
    steps: &Steps<'_>,
) -> Result<Report, Error> {
    let name = PathBuf::from(&input.name);
    let layout = Layout::create(path)?;
    let blobs = layout.blobs();
    let layout = LockedLayout::new(layout, &|| steps.cancelled())?;
    let step = steps.announce(format!("[ingest] {}", input.name), "ingest", &[]);
    let cache = CacheUse::begin(options);
    let early = steps.run(&step, || {
        Ok((take_in(input, &layout, durable, options, &cache, steps, &step)?, Outcome::Done))
    })?;
    // Says what is wrong with the version.
    Layout::open(path)?;
    let report = run_made(&layout, &name, (&early, &cache), options, steps)?;
    if durable {
        for directory in [&blobs, &path.join("blobs/sha512"), &path.join("blobs")] {
            if directory.exists() {
                sync_path(directory)?;
            }
        }
        sync_path(path)?;
    }
    Ok(report)
}

/// Reads the archive into the layout.
fn take_in(
    input: Input,
    layout: &LockedLayout,
    durable: bool,
    options: &Options,
    cache: &CacheUse,
    steps: &Steps<'_>,
    step: &Step,
) -> Result<EarlyScans, Error> {
    let archive: Arc<str> = input.name.into();
    let shown = Path::new(&*archive);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(Error::io("read", shown))?;
    let side = Side::new(layout, options, steps, cache);
    let size = input.size.unwrap_or(0);
    let watch = BlobProgress { steps, step, size, failed: None, slots: None };
    let cancelled = || steps.cancelled();
    let (walked, written) = std::thread::scope(|scope| {
        let (disk, writing) = disk::start(scope, durable, &cancelled)
            .map_err(Error::io("start a thread for", shown))?;
        let walked = runtime.block_on(async {
            let feed = Feed::start(input.source, &watch);
            let feed = feed.map_err(Error::io("start a thread for", shown));
            let decoded = decode::decode(feed.map_err(|error| Failure::new(0, error))?).await;
            let position = Arc::<Position>::default();
            let archive = Arc::clone(&archive);
            let walk =
                Walk { archive, layout, side: &side, scope, disk, position, seen: Vec::new() };
            match decoded {
                Ok(Ok(tar)) => walk.run(tar).await,
                Ok(Err(trouble)) => {
                    let error = Error::NotALayout { path: shown.to_owned(), trouble };
                    Err(Failure::new(0, error).into())
                }
                Err(error) => Err(walk.stopped(error)),
            }
        });
        let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, Error>((walked, written))
    })?;
    let walked = match walked {
        Ok(()) | Err(Ended::Disk) => None,
        Err(Ended::Failed(failure)) => Some(failure),
    };
    if steps.cancelled() {
        return Err(Error::Cancelled);
    }
    // Of several failures the first in the order of the archive counts, whichever thread noticed it first.
    let failures = [side.failure(), written.err(), walked].into_iter().flatten();
    let first = failures.min_by_key(|failure| failure.offset);
    first.map_or_else(|| Ok(side.finish()), |failure| Err(*failure.error))
}

/// Brings what was made to its place.
fn deliver(
    made: &Path,
    output: Output<'_>,
    place: Option<&Destination>,
    work: &Workplace,
    steps: &Steps<'_>,
) -> Result<(), Error> {
    let step = steps.announce(format!("[write] {}", output.name()), "write", &[]);
    steps.run(&step, || {
        match (output, place) {
            (Output::Stream { name, writer }, _) => {
                pack::pack(&Layout::open(made)?, writer, Path::new(&name), steps, &step)?;
            }
            (Output::Archive { .. }, Some(place)) => {
                let path = work.join("archive.tar");
                let mut file = File::create_new(&path).map_err(Error::io("create", &path))?;
                pack::pack(&Layout::open(made)?, &mut file, &place.path, steps, &step)?;
                file.sync_all().map_err(Error::io("sync", &place.path))?;
                place.take(&path, work)?;
            }
            (_, Some(place)) => place.take(made, work)?,
            (_, None) => unreachable!("only a stream has no place"),
        }
        Ok(((), Outcome::Done))
    })
}

/// Errors of the layout that is being made name the archive, which is what the user knows.
fn as_archive(mut error: Error, made: &Path, archive: &Path) -> Error {
    let (made_text, archive_text) = (made.display().to_string(), archive.display().to_string());
    match &mut error {
        Error::NotALayout { path, .. }
        | Error::LayoutVersion { path, .. }
        | Error::NoImage { path } => {
            if let Ok(inner) = path.strip_prefix(made) {
                *path = archive.components().chain(inner.components()).collect();
            }
        }
        Error::Document { place, .. }
        | Error::Json { place, .. }
        | Error::InvalidDigest { place, .. }
        | Error::Limit { place, .. } => *place = place.replace(&made_text, &archive_text),
        _ => {}
    }
    error
}
