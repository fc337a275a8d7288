//! Lets one layer use two cores: one thread walks its content, another reads and hashes the blob.
//!
//! Chunks go round: read → walk → hash → read again. The walker finds where spans begin, so hashing
//! follows it; a fixed number of chunks is under way, which bounds memory and keeps either side from
//! running ahead. Walking takes longer than hashing twice, so the walk sets the pace.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::source::{Chunk, Source};
use super::span::{BlobHasher, SpanStart};
use super::{ScanError, ScanObserver};

/// Chunks under way.
const CHUNKS: usize = 8;

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

/// Walks on this thread and hashes on another.
pub(super) fn together(
    source: &mut Source<'_>,
    mut walk: impl FnMut(&[u8], &mut Vec<SpanStart>),
    observer: &dyn ScanObserver,
) -> Result<BlobHasher, ScanError> {
    let (to_walker, chunks) = channel();
    let (to_hasher, walked) = channel();
    std::thread::scope(|scope| {
        let hashing = scope.spawn(move || read_and_hash(source, observer, to_walker, &walked));
        for (chunk, mut starts) in chunks {
            let chunk: Chunk = chunk;
            starts.clear();
            walk(chunk.bytes(), &mut starts);
            if to_hasher.send((chunk, starts)).is_err() {
                // It has an error to tell.
                break;
            }
        }
        drop(to_hasher);
        match hashing.join() {
            Ok(hasher) => hasher,
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
