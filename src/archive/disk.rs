//! Writes members to disk on a thread of its own, holds blobs to their digests, and syncs them.
//!
//! Pieces come through a bounded channel: a slow disk slows the archive, not the memory. Large files are
//! synced while the next bytes are written, so that little is left to wait for after the last one.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};

use sha2::Digest as _;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::failure::{At, Failure};
use super::policy::BlobName;
use crate::error::Error;
use crate::layout::sync::{SYNC_AT_ONCE, sync_together};
use crate::oci::digest::Hasher;
use crate::threads::spawn;

/// Pieces that wait for the disk.
const WAITING: usize = 8;
/// Bytes of one file between two syncs: seconds of a slow disk, tens of milliseconds of a fast one.
const SYNC_EVERY: u64 = 32 << 20;

/// A piece of a member's content.
pub(super) type Piece = Arc<Vec<u8>>;

/// A file whose content follows.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// What the content must hash to, unless somebody else sees to it.
    pub(super) check: Option<BlobName>,
    /// For errors.
    pub(super) at: At,
}

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Work {
    Begin(Begin),
    Piece(Piece),
    /// The file is complete. Without this word it is not.
    End,
}

/// The thread that writes.
type Writing<'scope> = ScopedJoinHandle<'scope, Result<(), Failure>>;

/// Starts the thread; it ends when the sender is gone. `durable` says whether to sync, `cancelled`
/// whether to give up syncing many small files.
///
/// # Errors
/// When no thread can be had.
pub(super) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    durable: bool,
    cancelled: &'scope (dyn Fn() -> bool + Sync),
) -> io::Result<(Sender<Work>, Writing<'scope>)> {
    let (sender, work) = mpsc::channel(WAITING);
    let writing = spawn(scope, "write", move || write_all(work, durable, cancelled))?;
    Ok((sender, writing))
}

fn write_all(
    mut work: Receiver<Work>,
    durable: bool,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<(), Failure> {
    std::thread::scope(|scope| {
        let (to_sync, files) = std::sync::mpsc::sync_channel(1);
        // Without it large files are synced with the small ones.
        let syncing = spawn(scope, "sync", move || sync_each(&files)).ok();
        let mut small = Vec::new();
        let mut open: Option<Open> = None;
        let mut result = Ok(());
        while let Some(work) = work.blocking_recv() {
            result = match work {
                Work::Begin(begin) => {
                    open = Some(Open::new(begin));
                    Ok(())
                }
                Work::Piece(piece) => open.as_mut().map_or(Ok(()), |open| {
                    open.write(&piece)?;
                    if durable && open.unsynced >= SYNC_EVERY {
                        open.sync_so_far(&to_sync);
                    }
                    Ok(())
                }),
                Work::End => open.take().map_or(Ok(()), |open| {
                    let (file, path, size) = open.finish()?;
                    if durable && size >= SYNC_AT_ONCE && syncing.is_some() {
                        // A thread that is gone has an error to tell.
                        let _ = to_sync.send((file, path));
                    } else if durable {
                        small.push(path);
                    }
                    Ok(())
                }),
            };
            if result.is_err() {
                break;
            }
        }
        drop(to_sync);
        let synced = syncing.map_or(Ok(()), |syncing| {
            syncing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        result?;
        // An error of the disk belongs to no member.
        synced
            .and_then(|()| sync_small(&small, cancelled))
            .map_err(|error| Failure::new(u64::MAX, error))
    })
}

fn sync_each(files: &std::sync::mpsc::Receiver<(File, PathBuf)>) -> Result<(), Error> {
    files.iter().try_for_each(|(file, path)| file.sync_all().map_err(Error::io("sync", &path)))
}

fn sync_small(paths: &[PathBuf], cancelled: &(dyn Fn() -> bool + Sync)) -> Result<(), Error> {
    sync_together(paths, |path| {
        if cancelled() {
            return Err(Error::Cancelled);
        }
        let file = File::open(path).map_err(Error::io("open", path))?;
        file.sync_all().map_err(Error::io("sync", path))
    })
}

/// The file that is being written.
struct Open {
    begin: Begin,
    hashing: Option<Hashing>,
    size: u64,
    unsynced: u64,
}

enum Hashing {
    Sha256(Hasher),
    Sha512(Box<sha2::Sha512>),
}

impl Hashing {
    fn finish(self) -> BlobName {
        match self {
            Self::Sha256(hasher) => BlobName::Sha256(hasher.finish()),
            Self::Sha512(hasher) => BlobName::Sha512(hasher.finalize().into()),
        }
    }
}

impl Open {
    fn new(begin: Begin) -> Self {
        let hashing = begin.check.map(|check| match check {
            BlobName::Sha256(_) => Hashing::Sha256(Hasher::new()),
            BlobName::Sha512(_) => Hashing::Sha512(Box::default()),
        });
        Self { begin, hashing, size: 0, unsynced: 0 }
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let Begin { file, path, at, .. } = &mut self.begin;
        file.write_all(piece).map_err(|error| at.failure(write_error(path, error)))?;
        match &mut self.hashing {
            Some(Hashing::Sha256(hasher)) => hasher.update(piece),
            Some(Hashing::Sha512(hasher)) => hasher.update(piece),
            None => {}
        }
        self.size += piece.len() as u64;
        self.unsynced += piece.len() as u64;
        Ok(())
    }

    /// Has what is written so far synced by the other thread, unless that is still busy.
    fn sync_so_far(&mut self, to_sync: &std::sync::mpsc::SyncSender<(File, PathBuf)>) {
        if let Ok(file) = self.begin.file.try_clone()
            && to_sync.try_send((file, self.begin.path.clone())).is_ok()
        {
            self.unsynced = 0;
        }
    }

    fn finish(self) -> Result<(File, PathBuf, u64), Failure> {
        let Begin { file, path, check, at } = self.begin;
        match self.hashing.map(Hashing::finish) {
            Some(found) if Some(found) != check => Err(at.corrupt(found)),
            _ => Ok((file, path, self.size)),
        }
    }
}

fn write_error(path: &Path, error: std::io::Error) -> Error {
    // Written whole or not at all: what `write_all` says when nothing more goes in.
    let error =
        if error.kind() == ErrorKind::WriteZero { ErrorKind::StorageFull.into() } else { error };
    Error::io("write", path)(error)
}
