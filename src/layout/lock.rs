//! The lock that a change needs.
//!
//! Two locks are held at a time. One on the directory itself, which cannot be raced: it keeps two runs
//! of this program apart. The other on `index.json.lock`, the file that `BuildKit` locks for reading and
//! writing and removes afterwards; it is removed here as well, while it is still locked.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::Layout;
use super::found::if_there;
use crate::error::Error;
use crate::unfinished::Mark;

/// How long another holder is waited for. An export holds the lock for as long as it writes
/// `index.json`, which is short; another run of this program may take longer and is then reported.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// A layout under an exclusive lock; the only way to write.
#[derive(Debug)]
pub(crate) struct LockedLayout {
    layout: Layout,
    // Held for their locks, which end when they are closed.
    _directory: File,
    _lock: File,
    lock_path: PathBuf,
    _mark: Mark,
}

impl std::ops::Deref for LockedLayout {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.layout
    }
}

impl LockedLayout {
    /// Takes both locks.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `cancelled` says so while it waits, [`Error::Locked`] when somebody
    /// holds one for longer than ten seconds, [`Error::Io`] when the
    /// directory is not writable.
    pub(crate) fn new(layout: Layout, cancelled: &dyn Fn() -> bool) -> Result<Self, Error> {
        let deadline = Instant::now() + PATIENCE;
        let root = layout.path();
        let directory = File::open(root).map_err(Error::io("open", root))?;
        wait(&directory, root, deadline, cancelled)?;
        let lock_path = root.join("index.json.lock");
        loop {
            let lock = open(&lock_path)?;
            wait(&lock, &lock_path, deadline, cancelled)?;
            // The holder before may have removed the file: then the lock is on an unlinked file.
            let held = lock.metadata().map_err(Error::io("read", &lock_path))?;
            let there = if_there(fs::symlink_metadata(&lock_path), "read", &lock_path)?;
            if there.is_some_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
                let held = || Ok::<_, Error>(lock_path);
                let (mark, lock_path) = Mark::make(held, PathBuf::as_path)?;
                return Ok(Self {
                    layout,
                    _directory: directory,
                    _lock: lock,
                    lock_path,
                    _mark: mark,
                });
            }
        }
    }
}

/// Opens or creates the lock file. A link would make or lock a file anywhere, so it is not followed.
fn open(path: &Path) -> Result<File, Error> {
    use rustix::fs::OFlags;
    let other = || Error::Document {
        place: path.display().to_string(),
        problem: "not a regular file; remove it".to_owned(),
    };
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).custom_flags(flags);
    let file = options.open(path).map_err(|error| {
        let special = fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file());
        if special { other() } else { Error::io("create", path)(error) }
    })?;
    let metadata = file.metadata().map_err(Error::io("read", path))?;
    if metadata.is_file() { Ok(file) } else { Err(other()) }
}

impl Drop for LockedLayout {
    fn drop(&mut self) {
        // While the lock is held, so that it is certainly the file that this value locked.
        let _ = fs::remove_file(&self.lock_path);
    }
}

fn wait(
    file: &File,
    path: &Path,
    deadline: Instant,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), Error> {
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            // Only now: with the lock held, what this run made is removed when it ends.
            Err(rustix::io::Errno::WOULDBLOCK) if cancelled() => return Err(Error::Cancelled),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(PAUSE);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(Error::Locked { path: path.to_owned() });
            }
            Err(rustix::io::Errno::INTR) => {}
            // Some network file systems have no locks at all; then no one else can lock either.
            Err(
                rustix::io::Errno::NOTSUP | rustix::io::Errno::NOLCK | rustix::io::Errno::NOSYS,
            ) => {
                return Ok(());
            }
            Err(error) => return Err(Error::io("lock", path)(error.into())),
        }
    }
}
