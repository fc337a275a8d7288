//! Bringing files to the disk: large ones at once, many small ones together.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::Error;
use crate::threads;

/// Files from this size in bytes are synced at once, while others are still being made; smaller ones together
/// at the end.
pub(crate) const SYNC_AT_ONCE: u64 = 1 << 20;
/// Threads that sync small files. A file system answers many waiting syncs with one write of its
/// journal, so this is about waiting together, not about processors.
const SYNC_THREADS: usize = 8;

/// Syncs many small files by `sync`, several at a time; gives one of the errors.
pub(crate) fn sync_together<T: Sync>(
    files: &[T],
    sync: impl Fn(&T) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    threads::each(SYNC_THREADS, files.len(), |number| sync(&files[number])).into_iter().collect()
}

/// Syncs a directory, or a file that is there already.
pub(crate) fn sync_path(path: &Path) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    match file.sync_all() {
        // Some network and FUSE file systems cannot sync a directory; there is nothing more to be had.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            Ok(())
        }
        result => result.map_err(Error::io("sync", path)),
    }
}
