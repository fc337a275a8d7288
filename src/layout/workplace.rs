//! A directory of our own, for a layout that is being made: beside the result, or in the directory for temporary files.
//!
//! It is called `.soci-layout-*.tmp`, and its owner holds a lock on it. A directory without owner was left by a run that was
//! killed; the next run that works in the same place removes it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use super::commit::{PREFIX, SUFFIX, is_temporary};
use super::found::if_there;
use crate::error::Error;
use crate::unfinished::Mark;

/// In a directory of our own: what is about to be replaced, where that takes two steps.
pub(crate) const OLD: &str = "old";

/// A directory of our own. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Workplace {
    directory: TempDir,
    _mark: Mark,
    // Held for its lock.
    _lock: File,
}

impl Workplace {
    /// Makes one in `parent`, and removes what killed runs left there.
    pub(crate) fn new(parent: &Path) -> Result<Self, Error> {
        remove_leftovers(parent);
        loop {
            let mut builder = tempfile::Builder::new();
            builder.prefix(PREFIX).suffix(SUFFIX);
            let (mark, directory) = Mark::make(|| builder.tempdir_in(parent), TempDir::path)
                .map_err(Error::io("create a directory in", parent))?;
            let path = directory.path();
            let Some(lock) = if_there(File::open(path), "open", path)? else { continue };
            // Without locks, no other run removes it either.
            let _ = flock(&lock, FlockOperation::LockExclusive);
            // Before it was locked it looked like one that was left.
            if is_same(&lock, path) {
                return Ok(Self { directory, _mark: mark, _lock: lock });
            }
        }
    }

    /// A path inside.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn is_same(open: &File, path: &Path) -> bool {
    match (open.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// What cannot be removed is no reason not to work.
fn remove_leftovers(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        // A run that was killed between the two steps has left the only copy of what was there.
        let precious = entry.path().join(OLD).exists();
        if !is_temporary(&entry.path())
            || precious
            || !entry.file_type().is_ok_and(|kind| kind.is_dir())
        {
            continue;
        }
        let Ok(lock) = File::open(entry.path()) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
