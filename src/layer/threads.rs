//! Lets one layer use two cores: one thread walks its content, another reads and hashes the blob.
//!
//! Chunks go round: read → walk → hash → read again. The walker finds where spans begin, so hashing
//! follows it; a fixed number of chunks is under way, which bounds memory and keeps either side from
//! running ahead. Walking takes longer than hashing twice, so the walk sets the pace; where it finds many
//! gzip members, the other thread takes a part of it ([`super::splitter`]).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use super::source::{CHUNK, Chunk, Source};
use super::span::{BlobHasher, SpanStart};
use super::splitter::{SPLIT, Split, Splitter};
use super::{ScanError, ScanObserver};
use crate::threads::spawn;

/// How the work is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Division {
    /// Bytes of a chunk.
    pub(super) chunk: usize,
    /// Chunks under way.
    pub(super) chunks: usize,
    /// As many more when something is read ahead.
    pub(super) more_chunks: usize,
    /// How members are read ahead.
    pub(super) split: Split,
}

/// For layers as they are.
pub(super) const DIVISION: Division =
    Division { chunk: CHUNK, chunks: 8, more_chunks: 24, split: SPLIT };

/// Walks and hashes on this thread alone. `walk` takes each piece of the blob, and adds the spans that
/// begin in it.
pub(super) fn alone(
    source: &mut Source<'_>,
    mut walk: impl FnMut(&[u8], &mut Vec<SpanStart>),
    observer: &dyn ScanObserver,
) -> Result<BlobHasher, ScanError> {
    let (mut chunk, mut starts) = (Chunk::new(), Vec::new());
    let (mut hasher, mut read) = (BlobHasher::default(), 0);
    while next(source, &mut chunk, observer, &mut read)? {
        starts.clear();
        walk(chunk.bytes(), &mut starts);
        hasher.feed(chunk.bytes(), &starts);
    }
    Ok(hasher)
}

/// Walks on this thread and hashes on another, which also reads members ahead if the walk asks `splitter`
/// for them. When no second thread can be had, all is done on this one.
pub(super) fn together(
    source: &mut Source<'_>,
    mut walk: impl FnMut(&[u8], &mut Vec<SpanStart>),
    observer: &dyn ScanObserver,
    division: Division,
    splitter: &Splitter,
) -> Result<BlobHasher, ScanError> {
    let (to_walker, chunks) = channel();
    let (to_hasher, walked) = channel();
    let done = std::thread::scope(|scope| {
        let reader = ReadAndHash { source: &mut *source, observer, division, splitter };
        let hashing = spawn(scope, "read", move || reader.run(to_walker, &walked)).ok()?;
        // However the walk ends, the scope waits for its threads.
        let (closing, mut position) = (Closing(splitter), 0);
        for (chunk, mut starts) in chunks {
            let chunk: Arc<Chunk> = chunk;
            starts.clear();
            walk(chunk.bytes(), &mut starts);
            position += chunk.bytes().len() as u64;
            splitter.walked(position);
            if to_hasher.send((chunk, starts)).is_err() {
                // It has an error to tell.
                break;
            }
        }
        drop((to_hasher, closing));
        Some(match hashing.join() {
            Ok(hasher) => hasher,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    });
    done.unwrap_or_else(|| alone(source, walk, observer))
}

/// Ends reading ahead when the walk ends, whether it returns or panics.
struct Closing<'a>(&'a Splitter);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

type Item = (Arc<Chunk>, Vec<SpanStart>);

/// Keeps the walker supplied and hashes what comes back, until all that was read is hashed.
struct ReadAndHash<'a, 'b> {
    source: &'a mut Source<'b>,
    observer: &'a dyn ScanObserver,
    division: Division,
    splitter: &'a Splitter,
}

impl ReadAndHash<'_, '_> {
    fn run(
        mut self,
        to_walker: Sender<Item>,
        walked: &Receiver<Item>,
    ) -> Result<BlobHasher, ScanError> {
        let mut free = Vec::new();
        self.supply(&mut free, self.division.chunks);
        let (mut to_walker, mut split) = (Some(to_walker), false);
        let (mut hasher, mut read) = (BlobHasher::default(), 0);
        loop {
            self.splitter.allow_blocks(self.observer.has_idle_thread());
            if !split && self.splitter.wanted() {
                split = true;
                self.supply(&mut free, self.division.more_chunks);
            }
            if let Some(sender) = &to_walker
                && let Some((mut chunk, starts)) = free.pop()
            {
                let offset = read;
                if !self.read(&mut chunk, &mut read)? {
                    to_walker = None;
                    continue;
                }
                if split {
                    self.splitter.read(offset, &chunk);
                }
                // A walker that is gone has panicked; its thread tells.
                if sender.send((chunk, starts)).is_err() {
                    to_walker = None;
                }
                continue;
            }
            // Ends when the walker has given everything back.
            let item = match walked.try_recv() {
                Err(TryRecvError::Empty) if split && self.splitter.read_piece() => continue,
                Err(TryRecvError::Empty) => walked.recv().ok(),
                item => item.ok(),
            };
            let Some((chunk, starts)) = item else { return Ok(hasher) };
            hasher.feed(chunk.bytes(), &starts);
            free.push((chunk, starts));
        }
    }

    fn supply(&self, free: &mut Vec<Item>, count: usize) {
        let chunk = || Arc::new(Chunk::with_size(self.division.chunk));
        free.extend((0..count).map(|_| (chunk(), Vec::new())));
    }

    fn read(&mut self, chunk: &mut Arc<Chunk>, read: &mut u64) -> Result<bool, ScanError> {
        if Arc::get_mut(chunk).is_none() {
            // Somebody still reads ahead in it, in vain.
            *chunk = Arc::new(Chunk::with_size(self.division.chunk));
        }
        match Arc::get_mut(chunk) {
            Some(chunk) => next(self.source, chunk, self.observer, read),
            None => unreachable!("a chunk just made has one owner"),
        }
    }
}

fn next(
    source: &mut Source<'_>,
    chunk: &mut Chunk,
    observer: &dyn ScanObserver,
    read: &mut u64,
) -> Result<bool, ScanError> {
    if observer.cancelled() {
        return Err(ScanError::Cancelled);
    }
    let more = source.read(chunk)?;
    *read += chunk.bytes().len() as u64;
    observer.progress(*read);
    Ok(more)
}
