//! A blob's bytes on their way to a scan, which may be slower than the archive.
//!
//! Pieces are passed on in memory, a few at a time, and a slow scan makes the archive wait. For a pipe that
//! is all: whatever comes through it is scanned when its last byte is there.
//!
//! An archive that is a file comes faster than one scan can follow, and with more than two jobs a wait
//! would leave processors idle. There a scan that falls behind reads on from the file that is being written, whose
//! bytes are the newest in the page cache, and the next layer's scan begins. It may fall behind by
//! [`MAX_LAG`]; then the archive waits.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::disk::Piece;
use super::follow::{Writing, Written};
use crate::layer::CHUNK;

/// Pieces that wait for a scan in memory.
const WAITING: usize = 8;
/// Bytes of a file that wait for a scan: few enough to be still in memory, enough for a whole layer of
/// the usual size.
const MAX_LAG: usize = 256 << 20;

/// Both ends. `path` is the file that is being written.
pub(super) fn feed(path: &Path, may_lag: bool) -> (Feeder, Passed) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let shared = Arc::new(Shared {
        behind: AtomicBool::new(false),
        room: Semaphore::new(MAX_LAG / CHUNK),
        written: Arc::default(),
    });
    let passed = Passed {
        pieces,
        shared: Arc::clone(&shared),
        path: path.to_owned(),
        source: Source::Memory { piece: Piece::default(), at: 0 },
        offset: 0,
        complete: false,
    };
    (Feeder { sender: Some(sender), may_lag, shared }, passed)
}

struct Shared {
    /// Whether the pieces after those in the channel are to be read from the file.
    behind: AtomicBool,
    /// Pieces by which the scan may still fall behind. Closed when it has ended.
    room: Semaphore,
    written: Arc<Written>,
}

/// The archive's end.
pub(super) struct Feeder {
    /// `None` when the scan has fallen behind.
    sender: Option<Sender<Option<Piece>>>,
    may_lag: bool,
    shared: Arc<Shared>,
}

impl Feeder {
    /// For whoever writes the file.
    pub(super) fn writing(&self) -> Writing {
        Writing(Arc::clone(&self.shared.written))
    }

    /// Passes a piece on; waits when the scan may not fall further behind. One that has ended early has
    /// an error to tell, or was cancelled, and takes all.
    pub(super) async fn pass(&mut self, piece: &Piece) {
        let full = match &self.sender {
            None => true,
            Some(sender) if self.may_lag => {
                matches!(sender.try_send(Some(Arc::clone(piece))), Err(TrySendError::Full(_)))
            }
            Some(sender) => {
                let _ = sender.send(Some(Arc::clone(piece))).await;
                false
            }
        };
        if full {
            // In this order: who finds the channel closed looks for the reason.
            self.shared.behind.store(true, Ordering::Release);
            self.sender = None;
            if let Ok(room) = self.shared.room.acquire().await {
                room.forget();
            }
        }
    }

    /// That was the last piece. Without this word the blob is not complete.
    pub(super) async fn end(self) {
        if let Some(sender) = self.sender {
            let _ = sender.send(None).await;
        }
    }
}

/// The scan's end: the blob.
pub(super) struct Passed {
    pieces: Receiver<Option<Piece>>,
    shared: Arc<Shared>,
    path: PathBuf,
    source: Source,
    /// Bytes read.
    offset: u64,
    complete: bool,
}

enum Source {
    Memory {
        piece: Piece,
        at: usize,
    },
    File {
        file: File,
        /// Bytes read from it since room was given back.
        taken: usize,
    },
}

impl Drop for Passed {
    fn drop(&mut self) {
        self.shared.room.close();
    }
}

impl Read for Passed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.complete || into.is_empty() {
                return Ok(0);
            }
            match &mut self.source {
                Source::Memory { piece, at } if *at < piece.len() => {
                    let count = into.len().min(piece.len() - *at);
                    into[..count].copy_from_slice(&piece[*at..][..count]);
                    *at += count;
                    self.offset += count as u64;
                    return Ok(count);
                }
                Source::Memory { piece, at } => match self.pieces.blocking_recv() {
                    Some(Some(next)) => (*piece, *at) = (next, 0),
                    Some(None) => self.complete = true,
                    None if self.shared.behind.load(Ordering::Acquire) => {
                        self.source = Source::File { file: File::open(&self.path)?, taken: 0 };
                    }
                    // Not the end, but no more: it must not be taken for a short blob.
                    None => return Err(ErrorKind::ConnectionAborted.into()),
                },
                Source::File { file, taken } => {
                    let Some(there) = self.shared.written.beyond(self.offset) else {
                        return Err(ErrorKind::ConnectionAborted.into());
                    };
                    let left = usize::try_from(there - self.offset).unwrap_or(usize::MAX);
                    if left == 0 {
                        self.complete = true;
                        continue;
                    }
                    let count = left.min(into.len());
                    let count = file.read_at(&mut into[..count], self.offset)?;
                    if count == 0 {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    *taken += count;
                    self.shared.room.add_permits(*taken / CHUNK);
                    *taken %= CHUNK;
                    self.offset += count as u64;
                    return Ok(count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Passes pieces to a reader that begins late, so that it falls behind if it may.
    fn through(may_lag: bool, pieces: usize, complete: bool) -> io::Result<Vec<u8>> {
        let mut file = tempfile::NamedTempFile::new().expect("temporary");
        let (mut feeder, mut passed) = feed(file.path(), may_lag);
        let writing = feeder.writing();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                let mut all = Vec::new();
                passed.read_to_end(&mut all).map(|_| all)
            });
            for number in 0..pieces {
                let piece = vec![number as u8; 1000];
                runtime.block_on(feeder.pass(&Arc::new(piece.clone())));
                file.write_all(&piece).expect("temporary");
                writing.advance(1000);
            }
            if complete {
                runtime.block_on(feeder.end());
                writing.complete();
            } else {
                drop((feeder, writing));
            }
            reader.join().expect("no panic")
        })
    }

    #[test]
    fn every_byte_arrives_from_memory_or_file() {
        for may_lag in [false, true] {
            for pieces in [0, 1, WAITING, WAITING + 1, 5 * WAITING] {
                let all = through(may_lag, pieces, true).expect("complete");
                let expected: Vec<u8> = (0..pieces).flat_map(|n| vec![n as u8; 1000]).collect();
                assert!(all == expected, "{may_lag} {pieces}");
                through(may_lag, pieces, false).expect_err("it was given up");
            }
        }
    }
}
