//! Archives in: a tar file or a pipe becomes an indexed layout, its layers scanned as they pass by.
//!
//! ```text
//! source ► feed ► decode ► members ──┬──► disk      one file per member, hashed, synced
//! (thread, (async)  gzip    policy   └──► side      scans of what looks like a layer
//!  zstd)                                   │
//!                                     pipeline ► place (rename) or pack (archive)
//! ```
//!
//! The only room that knows tokio; a test (`tests/it/tidy.rs`) holds that. Everything between source,
//! disk and scans goes through bounded channels: the slowest sets the pace, memory stays the same. All
//! is made in a directory of our own beside the result ([`place`]), which comes to its place at the very
//! end: whatever happens before, it does not exist.

mod bounded;
mod decode;
mod disk;
mod feed;
mod members;
mod pack;
mod pieces;
mod place;
mod policy;
mod side;
mod strangers;
mod zstd;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::commands::index::cached::CacheUse;
use crate::commands::index::early::EarlyScans;
use crate::commands::index::options::Options;
use crate::commands::index::report::Report;
use crate::commands::index::{run_made, timed};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::commit::sync_path;
use crate::layout::lock::LockedLayout;
use crate::progress::event::{Observer, Outcome, Step};
use crate::progress::steps::Steps;
use bounded::Position;
use feed::{Feed, Watch};
use members::{Ended, Walk};
use place::{Form, Place, Workplace};
use side::Side;

/// Bytes that a pipe is asked to hold; what every user may have.
const PIPE_SIZE: usize = 1 << 20;

/// An archive of a layout: tar, as it is or compressed with gzip or zstd.
pub struct Input {
    name: String,
    source: Box<dyn Read + Send>,
    size: Option<u64>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Input {
    /// Something to read from, to its end. `name` is what errors call it.
    ///
    /// It is read on a thread of its own, which may stay in a read when the run ends before.
    #[must_use]
    pub fn new(name: String, source: Box<dyn Read + Send>) -> Self {
        Self { name, source, size: None }
    }

    /// Standard input.
    ///
    /// # Errors
    /// When it is closed.
    pub fn stdin() -> std::io::Result<Self> {
        let stdin = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        // Fewer and larger reads; other kinds of input have no such size.
        let _ = rustix::pipe::fcntl_setpipe_size(&stdin, PIPE_SIZE);
        let size = stdin.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
        Ok(Self { name: "standard input".to_owned(), source: Box::new(stdin), size })
    }

    /// A file, or a pipe that has a name.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::NotALayout`] for a directory.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let metadata = file.metadata().map_err(Error::io("read", path))?;
        if metadata.is_dir() {
            return Err(Error::NotALayout {
                path: path.to_owned(),
                problem: "it is a directory, not an archive".to_owned(),
                hint: "a directory is indexed in place, without --output".to_owned(),
            });
        }
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self { name: path.display().to_string(), source: Box::new(file), size })
    }
}

/// Where the result goes.
pub enum Output<'a> {
    /// A new directory. With `force` it replaces a layout (or an empty directory).
    Directory {
        /// Its path.
        path: PathBuf,
        /// Whether it may replace something.
        force: bool,
    },
    /// An archive, in a form that depends on its content alone. With `force` it replaces a file.
    Archive {
        /// Its path.
        path: PathBuf,
        /// Whether it may replace something.
        force: bool,
    },
    /// An archive, written when all else is done. Until then everything is in the directory for
    /// temporary files.
    Stream {
        /// What errors call it.
        name: String,
        /// Gets the archive.
        writer: &'a mut dyn Write,
    },
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Output").field(&self.name()).finish()
    }
}

impl Output<'_> {
    /// What people know it by.
    fn name(&self) -> String {
        match self {
            Self::Directory { path, .. } | Self::Archive { path, .. } => path.display().to_string(),
            Self::Stream { name, .. } => name.clone(),
        }
    }
}

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
                Some(Place { path: path.clone(), form: Form::Directory, force: *force })
            }
            Output::Archive { path, force } => {
                Some(Place { path: path.clone(), form: Form::File, force: *force })
            }
            Output::Stream { .. } => None,
        };
        if let Some(place) = &place {
            place.check()?;
        }
        let temporary = std::env::temp_dir();
        let work = Workplace::new(place.as_ref().map_or(&*temporary, Place::parent))?;
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
    let step = steps.plan(format!("[ingest] {}", input.name), "ingest", &[]);
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
    let watch = Reading { steps, step, total: input.size.unwrap_or(0) };
    let cancelled = || steps.cancelled();
    let (walked, written) = std::thread::scope(|scope| {
        let (disk, writing) = disk::start(scope, durable, &cancelled)
            .map_err(Error::io("start a thread for", shown))?;
        let walked = runtime.block_on(async {
            let feed = Feed::start(input.source, &watch);
            let feed = feed.map_err(Error::io("start a thread for", shown));
            let decoded = decode::decode(feed.map_err(Failure::at_once)?).await;
            let position = Arc::<Position>::default();
            let archive = Arc::clone(&archive);
            let seen = Vec::new();
            let walk = Walk { archive, layout, side: &side, scope, disk, position, seen };
            match decoded {
                Ok(Ok(tar)) => walk.run(tar).await,
                Ok(Err((problem, hint))) => Err(Failure::at_once(Error::NotALayout {
                    path: shown.to_owned(),
                    problem: problem.to_owned(),
                    hint: hint.to_owned(),
                })
                .into()),
                Err(error) => Err(walk.stopped(error)),
            }
        });
        let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, Error>((walked, written))
    })?;
    // Of several failures the first in the order of the archive counts, whoever noticed it first.
    let mut failure = None;
    for found in [side.failure(), written.err()].into_iter().flatten() {
        Failure::first(&mut failure, found);
    }
    match walked {
        Ok(()) | Err(Ended::Disk) => {}
        Err(Ended::Failed(found)) => Failure::first(&mut failure, found),
    }
    if steps.cancelled() {
        return Err(Error::Cancelled);
    }
    failure.map_or_else(|| Ok(side.finish()), |failure| Err(*failure.error))
}

/// Brings what was made to its place.
fn deliver(
    made: &Path,
    output: Output<'_>,
    place: Option<&Place>,
    work: &Workplace,
    steps: &Steps<'_>,
) -> Result<(), Error> {
    let step = steps.plan(format!("[write] {}", output.name()), "write", &[]);
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

struct Reading<'a> {
    steps: &'a Steps<'a>,
    step: &'a Step,
    total: u64,
}

impl Watch for Reading<'_> {
    fn progress(&self, bytes: u64) {
        self.steps.progress(self.step, bytes, self.total);
    }

    fn cancelled(&self) -> bool {
        self.steps.cancelled()
    }
}

/// A member, for errors.
#[derive(Clone, Debug)]
struct At {
    archive: Arc<str>,
    member: String,
    /// Of its header in the tar archive, in bytes.
    offset: u64,
}

impl At {
    fn failure(&self, error: Error) -> Failure {
        Failure { offset: self.offset, error: Box::new(error) }
    }

    fn refuse(&self, problem: String, hint: Option<&'static str>) -> Failure {
        let (archive, member) = (self.archive.to_string(), self.member.clone());
        let offset = self.offset;
        let error = Error::Member { archive, member, offset, problem, hint };
        Failure { offset, error: Box::new(error) }
    }

    fn corrupt(&self, found: &str) -> Failure {
        let hint = "the archive is damaged or was not written completely; export the image again";
        self.refuse(format!("it is corrupt: its content has the digest {found}"), Some(hint))
    }
}

/// An error and where in the archive it belongs.
#[derive(Debug)]
struct Failure {
    /// In bytes of the tar archive.
    offset: u64,
    error: Box<Error>,
}

impl Failure {
    /// Before anything was read.
    fn at_once(error: Error) -> Self {
        Self { offset: 0, error: Box::new(error) }
    }

    /// Keeps the one that comes first in the archive.
    fn first(kept: &mut Option<Self>, new: Self) {
        if kept.as_ref().is_none_or(|kept| new.offset < kept.offset) {
            *kept = Some(new);
        }
    }
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
