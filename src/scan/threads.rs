//! Lets one layer use two cores: one thread walks its content, another reads and hashes the blob.
//!
//! Chunks go round: read → walk → hash → read again. The walker finds where spans begin, so hashing
//! follows it; a fixed number of chunks is under way, which bounds memory and keeps either side from
//! running ahead. Walking takes longer than hashing twice, so the walk sets the pace.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::layer::{Halt, LayerWalker};
use super::source::{Chunk, Source};
use super::span::{BlobHasher, SpanStart};
use super::{ScanError, ScanObserver};

/// Chunks under way.
const CHUNKS: usize = 8;

/// How a walk ended, and the hasher that has seen the whole blob.
pub(super) type Walked = (Result<LayerWalker, Halt>, BlobHasher);

/// Walks and hashes on this thread alone.
pub(super) fn alone(
    source: &mut Source<'_>,
    walker: LayerWalker,
    observer: &dyn ScanObserver,
) -> Result<Walked, ScanError> {
    let (mut chunk, mut starts) = (Chunk::new(), Vec::new());
    let (mut state, mut hasher, mut read) = (Ok(walker), BlobHasher::default(), 0);
    while next(source, &mut chunk, observer, &mut read)? {
        state = step(state, &chunk, &mut starts);
        hasher.feed(chunk.bytes(), &starts);
    }
    Ok((state, hasher))
}

/// Walks on this thread and hashes on another.
pub(super) fn together(
    source: &mut Source<'_>,
    walker: LayerWalker,
    observer: &dyn ScanObserver,
) -> Result<Walked, ScanError> {
    let (to_walker, chunks) = channel();
    let (to_hasher, walked) = channel();
    std::thread::scope(|scope| {
        let hashing = scope.spawn(move || read_and_hash(source, observer, to_walker, &walked));
        let mut state = Ok(walker);
        for (chunk, mut starts) in chunks {
            state = step(state, &chunk, &mut starts);
            if to_hasher.send((chunk, starts)).is_err() {
                // It has an error to tell.
                break;
            }
        }
        drop(to_hasher);
        match hashing.join() {
            Ok(hasher) => Ok((state, hasher?)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

type Item = (Chunk, Vec<SpanStart>);

/// Keeps the walker supplied and hashes what comes back, until all that was read is hashed.
fn read_and_hash(
    source: &mut Source<'_>,
    observer: &dyn ScanObserver,
    to_walker: Sender<Item>,
    walked: &Receiver<Item>,
) -> Result<BlobHasher, ScanError> {
    let mut free: Vec<Item> = (0..CHUNKS).map(|_| (Chunk::new(), Vec::new())).collect();
    let mut to_walker = Some(to_walker);
    let (mut hasher, mut read) = (BlobHasher::default(), 0);
    loop {
        if let Some(sender) = &to_walker
            && let Some((mut chunk, starts)) = free.pop()
        {
            // A walker that is gone has panicked; its thread tells.
            let more = next(source, &mut chunk, observer, &mut read)?;
            if !more || sender.send((chunk, starts)).is_err() {
                to_walker = None;
            }
            continue;
        }
        // Ends when the walker has given everything back.
        let Ok((chunk, starts)) = walked.recv() else { return Ok(hasher) };
        hasher.feed(chunk.bytes(), &starts);
        free.push((chunk, starts));
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

/// Walks one chunk, unless the walk has ended already.
fn step(
    state: Result<LayerWalker, Halt>,
    chunk: &Chunk,
    starts: &mut Vec<SpanStart>,
) -> Result<LayerWalker, Halt> {
    starts.clear();
    let mut walker = state?;
    walker.feed(chunk.bytes(), starts)?;
    Ok(walker)
}
