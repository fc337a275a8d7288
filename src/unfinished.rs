//! What this process has on the disk and must not leave there: temporary files and directories, lock files.
//!
//! Usually their owners remove them. A process that is told to end cannot wait for owners that are deep in a
//! read or a write that takes long: [`abandon`] removes what is there in their place. To make, rename and
//! forget such a file takes the same lock, so nothing can appear behind its back, and a commit that has begun
//! comes to its end first.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

static MARKS: Mutex<Marks> =
    Mutex::new(Marks { next: 0, paths: BTreeMap::new(), committed: false });

struct Marks {
    next: u64,
    /// In the order in which they were made.
    paths: BTreeMap<u64, PathBuf>,
    /// Whether something was brought to its place.
    committed: bool,
}

fn lock() -> MutexGuard<'static, Marks> {
    MARKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that is on the disk for now. Its owner removes it or gives it another name, then drops the mark.
#[derive(Debug)]
pub(crate) struct Mark(u64);

impl Mark {
    /// Makes something and marks it; `path` says where it is.
    pub(crate) fn make<T, E>(
        make: impl FnOnce() -> Result<T, E>,
        path: impl FnOnce(&T) -> &Path,
    ) -> Result<(Self, T), E> {
        let mut state = lock();
        let made = make()?;
        let number = state.next;
        state.next += 1;
        state.paths.insert(number, path(&made).to_owned());
        Ok((Self(number), made))
    }

    /// Gives it another name, under which it may stay.
    #[expect(clippy::unused_self, reason = "its mark ends here")]
    pub(crate) fn settle<T, E>(self, rename: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let state = lock();
        let result = rename();
        drop(state);
        result
    }
}

/// Brings a result to its place: from here on the run is done, if `rename` succeeds.
pub(crate) fn commit<T, E>(rename: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let mut state = lock();
    let result = rename();
    state.committed |= result.is_ok();
    result
}

impl Drop for Mark {
    fn drop(&mut self) {
        lock().paths.remove(&self.0);
    }
}

/// Removes the temporary files and lock files of all runs of this process, and keeps the runs from making
/// others: for a process that ends now.
///
/// A commit that has begun comes to its end before, and what was committed stays; its run then has the time
/// `grace` to come to its own end. Afterwards every run stands still at its next step on the disk, so the thread that
/// calls this must end the process.
pub fn abandon(grace: Duration) {
    let mut state = lock();
    if state.committed {
        drop(state);
        std::thread::sleep(grace);
        state = lock();
    }
    // The locks, which came first, go last.
    for path in std::mem::take(&mut state.paths).into_values().rev() {
        remove(&path);
    }
    std::mem::forget(state);
}

/// A failure cannot be reported any more.
#[expect(
    clippy::disallowed_methods,
    reason = "what layout/ and archive/ made and could not finish"
)]
fn remove(path: &Path) {
    // A thread may still be writing into a directory while it is emptied.
    for _ in 0..10 {
        let removed = match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(_) => return,
        };
        if removed.is_ok() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_end_when_their_files_do() {
        let directory = tempfile::TempDir::new().expect("temporary");
        let marked = |path: &Path| lock().paths.values().any(|marked| marked == path);
        let make = |name: &str| {
            let path = directory.path().join(name);
            let make = || fs::write(&path, "x").map(|()| path.clone());
            Mark::make(make, |path| path).expect("made")
        };
        let (mark, dropped) = make("dropped");
        assert!(marked(&dropped));
        drop(mark);
        assert!(!marked(&dropped));
        let (mark, renamed) = make("renamed");
        mark.settle(|| fs::rename(&renamed, directory.path().join("new"))).expect("renamed");
        assert!(!marked(&renamed));
        // A failure ends it as well: its owner still has the file and drops it.
        let (mark, failed) = make("failed");
        mark.settle(|| fs::rename(&failed, directory.path().join("no/such")))
            .expect_err("no place");
        assert!(!marked(&failed));
        remove(&failed);
        fs::create_dir_all(directory.path().join("deep/er")).expect("made");
        remove(&directory.path().join("deep"));
        remove(&directory.path().join("none"));
        assert!(!failed.exists() && !directory.path().join("deep").exists());
    }
}
