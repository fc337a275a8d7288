//! Splits a layer of many gzip members among two threads: while one walks, the other, which reads and hashes,
//! uses its spare time to read members ahead.
//!
//! ```text
//! blob   ──[member][member][member][member][member][member]──►
//! walker ──────────►│        ▲
//!                   └─ gap ──┴─ read ahead ──►│
//! ```
//!
//! Where a member begins is a guess (bytes that look like the headers seen so far), so what is read ahead
//! stays aside until the walker comes to exactly that place; it then takes over all of it, be it the
//! middle of a member, and goes on. It never waits for more than the piece in work. A place that it
//! passes was no member's start, and what was read there is dropped. So the outcome is that of the walk
//! alone, whichever is faster.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::gzip::{Ahead, Look, ReadAhead};
use super::source::Chunk;

/// How a layer is split.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    /// Bytes of the blob from the walker to where reading ahead begins.
    pub(super) gap: u64,
    /// Most bytes of output that are read ahead from one place.
    pub(super) output: usize,
    /// Splitting begins when so many bytes of the blob held [`DENSE`] members.
    pub(super) dense: u64,
    /// Bytes that are read ahead before looking whether to stop.
    pub(super) piece: usize,
}

/// For layers as they are: a member of bgzip has 64 KiB of output, one of eStargz at most 4 MiB.
pub(super) const SPLIT: Split =
    Split { gap: 768 << 10, output: 1536 << 10, dense: 8 << 20, piece: 32 << 10 };

/// See [`Split::dense`].
const DENSE: usize = 4;
/// Places that are read ahead from or wait for the walker, at most.
const MOST: usize = 3;
/// Places passed by, beyond those met, after which no more are looked for.
const MISSES: u64 = 8;

/// What the threads share.
#[derive(Debug)]
pub(super) struct Splitter {
    split: Split,
    state: Mutex<State>,
    changed: Condvar,
    /// Whether members are dense enough.
    wanted: AtomicBool,
    /// Where the first place begins; the walker need not ask before.
    next: AtomicU64,
    /// Where the walker is, at least.
    walker: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// Those read and not yet walked, with their offsets.
    chunks: VecDeque<(u64, Arc<Chunk>)>,
    look: Option<Look>,
    /// No member is looked for in front of this offset.
    searched: u64,
    /// In the order of the blob.
    places: VecDeque<Place>,
    /// Not in use; in boxes, as they come and go.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Ahead>>,
    met: u64,
    passed: u64,
    closed: bool,
}

#[derive(Debug)]
struct Place {
    start: u64,
    /// What was read; nothing while a piece is in work.
    read: Option<Box<Ahead>>,
    /// Whether there is no more to be read.
    done: bool,
}

/// A piece to be read, and from which chunk.
struct Work {
    start: u64,
    ahead: Box<Ahead>,
    chunk: Arc<Chunk>,
    skip: usize,
}

/// The chunk with this offset, and where in it.
fn chunk(chunks: &VecDeque<(u64, Arc<Chunk>)>, offset: u64) -> Option<(Arc<Chunk>, usize)> {
    let after = chunks.partition_point(|(start, _)| *start <= offset);
    let (start, chunk) = chunks.get(after.checked_sub(1)?)?;
    let skip = (offset - start) as usize;
    (skip < chunk.bytes().len()).then(|| (Arc::clone(chunk), skip))
}

impl Splitter {
    pub(super) fn new(split: Split) -> Self {
        let state = State {
            chunks: VecDeque::new(),
            look: None,
            searched: 0,
            places: VecDeque::new(),
            spare: Vec::new(),
            met: 0,
            passed: 0,
            closed: false,
        };
        Self {
            split,
            state: Mutex::new(state),
            changed: Condvar::new(),
            wanted: AtomicBool::new(false),
            next: AtomicU64::new(u64::MAX),
            walker: AtomicU64::new(0),
        }
    }

    /// Whether members are so dense that they should be read ahead.
    pub(super) fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// A chunk was read, which begins at this offset.
    pub(super) fn read(&self, offset: u64, chunk: &Arc<Chunk>) {
        let mut state = self.lock();
        if !state.closed {
            state.chunks.push_back((offset, Arc::clone(chunk)));
        }
    }

    /// The blob was walked up to this offset, a chunk's end.
    pub(super) fn walked(&self, offset: u64) {
        self.walker.fetch_max(offset, Ordering::Relaxed);
        let mut state = self.lock();
        while state.chunks.front().is_some_and(|(start, _)| *start < offset) {
            state.chunks.pop_front();
        }
    }

    /// Ends all reading ahead.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.chunks.clear();
    }

    /// Reads a piece ahead; false when there is none to be read now.
    pub(super) fn read_piece(&self) -> bool {
        let Some(work) = self.take() else { return false };
        let Work { start, mut ahead, chunk, skip } = work;
        let claimed = Claimed { splitter: self, start };
        let rest = &chunk.bytes()[skip..];
        let more = ahead.feed(&rest[..rest.len().min(self.split.piece)]);
        drop(chunk);
        claimed.done(ahead, !more);
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update_next(&self, state: &State) {
        let next = state.places.front().map_or(u64::MAX, |place| place.start);
        self.next.store(next, Ordering::Release);
    }

    /// What is to be read next: the first place of which there is more, or else a new one.
    fn take(&self) -> Option<Work> {
        let mut state = self.lock();
        let State { chunks, places, .. } = &mut *state;
        for place in places {
            if !place.done
                && let Some(ahead) = &place.read
                && let Some((chunk, skip)) = chunk(chunks, ahead.position())
            {
                let ahead = place.read.take()?;
                return Some(Work { start: place.start, ahead, chunk, skip });
            }
        }
        if state.places.len() == MOST || state.passed > state.met + MISSES {
            return None;
        }
        let start = self.search(&mut state)?;
        let (chunk, skip) = chunk(&state.chunks, start)?;
        state.places.push_back(Place { start, read: None, done: false });
        self.update_next(&state);
        let spare = state.spare.pop();
        drop(state);
        let mut ahead = spare.unwrap_or_else(|| Box::new(Ahead::new(self.split.output)));
        ahead.restart(start);
        Some(Work { start, ahead, chunk, skip })
    }

    /// Where a member seems to begin, far enough in front of the walker and behind all other places.
    fn search(&self, state: &mut State) -> Option<u64> {
        let walker = self.walker.load(Ordering::Relaxed) + self.split.gap;
        let target = match state.places.back() {
            // The walker will go on from its end.
            Some(Place { read: Some(ahead), .. }) if !ahead.is_bad() => ahead.position(),
            Some(place) => walker.max(place.start + 1),
            None => walker,
        };
        state.search(target)
    }

    /// The walker is at a member's start: what was read from exactly here.
    fn arrive(&self, offset: u64) -> Option<Box<Ahead>> {
        let mut state = self.lock();
        let found = loop {
            let Some(place) = state.places.front_mut().filter(|place| place.start <= offset) else {
                break None;
            };
            let here = place.start == offset;
            let read = place.read.take();
            if here && read.is_none() {
                // A piece of it is in work.
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.places.pop_front();
            if here && read.as_ref().is_some_and(|read| !read.is_bad()) {
                state.met += 1;
                break read;
            }
            state.passed += 1;
            state.spare.extend(read);
        };
        if let Some(ahead) = &found {
            self.walker.fetch_max(ahead.position(), Ordering::Relaxed);
        }
        self.update_next(&state);
        found
    }
}

impl State {
    /// Where in the chunks the first member seems to begin at or behind `target`.
    fn search(&mut self, target: u64) -> Option<u64> {
        let look = self.look?;
        let mut from = target.max(self.searched);
        for (index, (offset, chunk)) in self.chunks.iter().enumerate() {
            let bytes = chunk.bytes();
            let end = offset + bytes.len() as u64;
            if end <= from {
                continue;
            }
            from = from.max(*offset);
            let rest = &bytes[(from - offset) as usize..];
            let mut found = look.find(rest);
            if found.is_none() {
                // A header may lie in two chunks.
                let edge = rest.len().saturating_sub(Look::LENGTH - 1);
                let behind = self.chunks.get(index + 1).map_or(&[][..], |(_, next)| next.bytes());
                let behind = &behind[..behind.len().min(Look::LENGTH - 1)];
                found = look.find(&[&rest[edge..], behind].concat()).map(|at| edge + at);
                if found.is_none() {
                    // Without the next chunk the end is examined again.
                    from = if behind.is_empty() { from + edge as u64 } else { end };
                    self.searched = from;
                    continue;
                }
            }
            if let Some(at) = found {
                let start = from + at as u64;
                self.searched = start + 1;
                return Some(start);
            }
        }
        None
    }
}

/// A place of which a piece is in work. If reading it panics, the place is given up, so that the walker does
/// not wait for it.
struct Claimed<'a> {
    splitter: &'a Splitter,
    start: u64,
}

impl Claimed<'_> {
    fn done(self, ahead: Box<Ahead>, done: bool) {
        let mut state = self.splitter.lock();
        match state.places.iter_mut().find(|place| place.start == self.start) {
            Some(place) => (place.read, place.done) = (Some(ahead), done),
            // The walker has passed it.
            None => state.spare.push(ahead),
        }
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        let mut state = self.splitter.lock();
        state.places.retain(|place| place.start != self.start || place.read.is_some());
        self.splitter.update_next(&state);
        self.splitter.changed.notify_all();
    }
}

#[cfg(test)]
impl Splitter {
    /// Walks a blob in chunks on this thread, reading ahead as far as possible before each; how often the
    /// walker met what was read.
    pub(super) fn rehearse(&self, blob: &[u8], size: usize, handle: Handle) -> u64 {
        let mut walker = super::gzip::GzipWalker::new(1000);
        walker.set_ahead(Box::new(handle));
        let chunks: Vec<_> = blob.chunks(size).map(|bytes| Arc::new(Chunk::of(bytes))).collect();
        for (number, chunk) in chunks.iter().enumerate() {
            self.read((number * size) as u64, chunk);
        }
        for (number, bytes) in blob.chunks(size).enumerate() {
            while self.wanted() && self.read_piece() {}
            walker.feed(bytes, |_| (), &mut Vec::new()).expect("sound");
            self.walked((number * size + bytes.len()) as u64);
        }
        walker.finish().expect("complete");
        self.lock().met
    }
}

/// The walker's side.
#[derive(Debug)]
pub(super) struct Handle {
    splitter: Arc<Splitter>,
    /// Where members ended, the last ones, as a ring.
    ends: [u64; DENSE],
    members: usize,
    look: Option<Look>,
}

impl Handle {
    pub(super) fn new(splitter: Arc<Splitter>) -> Self {
        Self { splitter, ends: [0; DENSE], members: 0, look: None }
    }
}

impl ReadAhead for Handle {
    fn arrive(&mut self, offset: u64, look: Look) -> Option<Box<Ahead>> {
        let splitter = &*self.splitter;
        if self.look != Some(look) {
            self.look = Some(look);
            splitter.lock().look = Some(look);
        }
        let before = std::mem::replace(&mut self.ends[self.members % DENSE], offset);
        self.members += 1;
        if !splitter.wanted() {
            let dense = self.members > DENSE && offset - before <= splitter.split.dense;
            splitter.wanted.store(dense, Ordering::Relaxed);
            return None;
        }
        splitter.walker.fetch_max(offset, Ordering::Relaxed);
        if offset < splitter.next.load(Ordering::Acquire) { None } else { splitter.arrive(offset) }
    }

    fn give_back(&mut self, ahead: Box<Ahead>) {
        self.splitter.lock().spare.push(ahead);
    }
}
