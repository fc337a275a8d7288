//! Splits a gzip layer among threads: while one walks, the others, which read and hash, use their spare time to
//! read ahead.
//!
//! ```text
//! blob   ──[block][block][block][block][block][block]──►
//! walker ────────►│       ▲                ▲
//!                 └─ gap ─┴─ read ahead ──►┴─ read ahead ──►│
//! ```
//!
//! In a layer of many members a place to read ahead from is the start of one, in others it is the start of a block.
//! Either is a guess (bytes that look like the members' headers seen so far, or like a block's), so what is read ahead
//! stays aside until the walker comes to exactly that place; it then takes over all of it, be it the
//! middle of a member, and goes on. It never waits for more than the piece in work. A place that it
//! passes was no start, and what was read there is dropped; so is what cannot be read on. Reading ends where the next
//! place is. So the outcome is that of the walk alone, whichever is faster.
//!
//! Reading ahead in a member costs some processor time more than walking it, and all of it when the guess was wrong. So
//! that is done only while the machine has a thread to spare, within bounds, and not for a while where guesses fail.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::gzip::{Ahead, HeaderPattern, Origin, ReadAhead};
use super::inflate::{Finder, Start};
use super::places::Places;
use super::source::Chunk;
use crate::ztoc::zinfo::{GzipZinfo, WINDOW_SIZE};

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
    /// As [`Self::gap`], for places inside of members, of which more is read.
    pub(super) block_gap: u64,
    /// As [`Self::output`], the same.
    pub(super) block_output: usize,
    /// How a block is looked for.
    pub(super) find: fn(&mut Finder, &[u8]) -> Option<Start>,
    /// Bytes of the blob for which nothing is read ahead after too many wrong guesses.
    pub(super) pause: u64,
}

/// For layers as they are: a member of bgzip has 64 KiB of output, one of eStargz at most 4 MiB.
pub(super) const SPLIT: Split = Split {
    gap: 768 << 10,
    output: 1536 << 10,
    dense: 8 << 20,
    piece: 32 << 10,
    block_gap: 2 << 20,
    block_output: 4 << 20,
    find: Finder::find,
    pause: 16 << 20,
};

/// See [`Split::dense`].
const DENSE: usize = 4;
/// Places that wait for the walker, at most, besides one for each thread that reads ahead.
pub(super) const WAITING: usize = 2;
/// Wrong guesses, beyond one for each [`HITS`] right ones, after which no more are made for a while.
const MISSES: u64 = 8;
/// See [`MISSES`].
const HITS: u64 = 4;
/// Bytes in which a block is looked for before the place is given up.
const MOST_SEARCHED: usize = 128 << 10;

/// What the threads share.
#[derive(Debug)]
pub(super) struct Splitter {
    split: Split,
    gzip: bool,
    state: Mutex<Shared>,
    changed: Condvar,
    /// Whether members are dense enough.
    dense: AtomicBool,
    /// Whether blocks may be read ahead.
    blocks: AtomicBool,
    /// Threads that may read ahead.
    readers: AtomicUsize,
    /// Where the first place begins; the walker need not ask before.
    next: AtomicU64,
    /// The same if that is inside of a member.
    next_block: AtomicU64,
    /// Where the walker is, at least.
    walker: AtomicU64,
}

#[derive(Debug, Default)]
struct Shared {
    places: Places,
    /// Bytes searched for a block since there was one.
    in_vain: usize,
    /// In the order of the blob.
    readings: VecDeque<Reading>,
    finder: Option<Box<Finder>>,
    /// Whether a thread looks for a block.
    searching: bool,
    /// Bytes of the blob for which there seems to be room at one place.
    stride: u64,
    /// Not in use; in boxes, as they come and go.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Ahead>>,
    counts: Counts,
    /// Met or passed since the last pause.
    recent: (u64, u64),
    /// Nothing is looked for before the walker is here.
    paused: u64,
    closed: bool,
}

/// What tests ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// How often the walker took over what was read ahead.
    pub(super) taken_over: u64,
    /// How often that was resolved before.
    pub(super) resolved: u64,
    /// Places that were claimed.
    pub(super) claimed: u64,
}

/// A place that is read ahead from.
#[derive(Debug)]
struct Reading {
    origin: Origin,
    /// What was read; nothing while a piece is in work.
    read: Option<Box<Ahead>>,
    /// Up to where.
    position: u64,
    /// Whether there is no more to be read, or the walker waits for what there is.
    done: bool,
    /// The history in front of it, if what was read there is all and begins where it seems to begin.
    history: Option<Arc<[u8; WINDOW_SIZE]>>,
}

/// A piece to be read, and from which chunk.
struct Work {
    origin: Origin,
    /// The next place.
    until: Option<Origin>,
    ahead: Box<Ahead>,
    chunk: Arc<Chunk>,
    skip: usize,
}

impl Splitter {
    /// For a layer of gzip members, or for one that there is nothing to split in.
    pub(super) fn new(split: Split, gzip: bool) -> Self {
        let state = Shared { stride: u64::MAX, ..Shared::default() };
        Self {
            split,
            gzip,
            state: Mutex::new(state),
            changed: Condvar::new(),
            dense: AtomicBool::new(false),
            blocks: AtomicBool::new(false),
            readers: AtomicUsize::new(1),
            next: AtomicU64::new(u64::MAX),
            next_block: AtomicU64::new(u64::MAX),
            walker: AtomicU64::new(0),
        }
    }

    /// Whether anything is to be read ahead.
    pub(super) fn wanted(&self) -> bool {
        self.dense.load(Ordering::Relaxed) || self.blocks.load(Ordering::Relaxed)
    }

    /// How many threads may work on this layer. With only one, none may be spent on guesses inside of members.
    pub(super) fn allow(&self, threads: usize) {
        self.blocks.store(threads > 1 && self.gzip, Ordering::Relaxed);
        self.readers.store(threads.max(2) - 1, Ordering::Relaxed);
    }

    /// A chunk was read, which begins at this offset.
    pub(super) fn read(&self, offset: u64, chunk: &Arc<Chunk>) {
        let mut state = self.lock();
        if !state.closed {
            state.places.add(offset, chunk);
        }
    }

    /// The blob was walked up to this offset, a chunk's end.
    pub(super) fn walked(&self, offset: u64) {
        self.walker.fetch_max(offset, Ordering::Relaxed);
        self.lock().places.drop_before(offset);
    }

    /// Ends all reading ahead.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.places.drop_before(u64::MAX);
    }

    /// Reads a piece ahead; false when there is none to be read now. Checkpoints that are claimed save guesses: what is
    /// read from there counts when the walker comes to that bit with the very window.
    pub(super) fn read_piece(&self, claims: Option<&GzipZinfo>) -> bool {
        match self.take(claims) {
            None => return false,
            Some(Next::Search(from)) => return self.search_block(from),
            Some(Next::Resolve(origin, mut ahead, history)) => {
                let claimed = InWork { splitter: self, origin };
                ahead.resolve(&history);
                claimed.done(ahead, true);
            }
            Some(Next::Read(Work { origin, until, mut ahead, chunk, skip })) => {
                let claimed = InWork { splitter: self, origin };
                let rest = &chunk.bytes()[skip..];
                let more = ahead.feed(&rest[..rest.len().min(self.split.piece)], until);
                drop(chunk);
                claimed.done(ahead, !more);
            }
        }
        true
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update_next(&self, state: &Shared) {
        let first = state.readings.front().map(|reading| reading.origin);
        let block = first.filter(|origin| matches!(origin, Origin::Block(_)));
        self.next_block.store(block.map_or(u64::MAX, Origin::byte), Ordering::Release);
        self.next.store(first.map_or(u64::MAX, Origin::byte), Ordering::Release);
    }

    /// What is to be read next: the first place of which there is more, or else a new one.
    fn take(&self, claims: Option<&GzipZinfo>) -> Option<Next> {
        let mut state = self.lock();
        let Shared { places, readings, counts, .. } = &mut *state;
        hand_down(readings);
        for Reading { origin, read, done, history, .. } in &mut *readings {
            if *done
                && let Some(history) = history
                && let Some(ahead) = read.take_if(|ahead| ahead.is_unresolved())
            {
                counts.resolved += 1;
                return Some(Next::Resolve(*origin, ahead, Arc::clone(history)));
            }
        }
        for index in 0..readings.len() {
            let Reading { origin, position, done, .. } = readings[index];
            if !done
                && let Some((chunk, skip)) = places.chunk(position)
                && let Some(ahead) = readings[index].read.take()
            {
                let behind = readings.range(index + 1..).map(|reading| reading.origin);
                let until = behind.into_iter().find(|behind| behind.byte() >= position);
                return Some(Next::Read(Work { origin, until, ahead, chunk, skip }));
            }
        }
        let walker = self.walker.load(Ordering::Relaxed);
        let most = WAITING + self.readers.load(Ordering::Relaxed);
        if state.closed || state.readings.len() >= most || walker < state.paused {
            return None;
        }
        let dense = self.dense.load(Ordering::Relaxed);
        let gap = if dense { self.split.gap } else { self.split.block_gap };
        let (least, target) = match state.readings.back() {
            // The walker will go on from its end.
            Some(Reading { position, done: true, .. }) => (*position, *position),
            Some(Reading { origin, position, .. }) => {
                let least = (*position).max(origin.byte() + 1);
                (least, least.max(origin.byte() + state.stride.min(gap)))
            }
            None => (walker + gap, walker + gap),
        };
        if dense {
            let start = state.places.member(target)?;
            return self.begin(state, Origin::Member(start), None).map(Next::Read);
        }
        if state.searching || !self.blocks.load(Ordering::Relaxed) {
            return None;
        }
        if let Some(claims) = claims {
            let output = self.split.block_output as u64 / 4 * 3;
            let claimed = state.places.claimed(claims, least, target + 2 * gap, output);
            if let Some((start, number)) = claimed {
                state.counts.claimed += 1;
                let history = Some(claims.window(number));
                return self.begin(state, Origin::Block(start), history).map(Next::Read);
            }
        }
        state.searching = true;
        Some(Next::Search(target.max(state.places.searched)))
    }

    /// Begins to read from a place behind all others.
    fn begin(
        &self,
        mut state: MutexGuard<'_, Shared>,
        origin: Origin,
        history: Option<&[u8; WINDOW_SIZE]>,
    ) -> Option<Work> {
        let position = origin.byte();
        if state.readings.back().is_some_and(|last| last.origin.byte() >= position) {
            return None;
        }
        let (chunk, skip) = state.places.chunk(position)?;
        let reading = Reading { origin, read: None, position, done: false, history: None };
        state.readings.push_back(reading);
        self.update_next(&state);
        let size = match origin {
            Origin::Member(_) => self.split.output,
            Origin::Block(_) => self.split.block_output,
        };
        let fits = state.spare.iter().position(|ahead| ahead.size() == size);
        let spare = fits.map(|fits| state.spare.swap_remove(fits));
        if spare.is_none() {
            // A layer that goes from one kind to the other does not keep room for both.
            state.spare.clear();
        }
        drop(state);
        let mut ahead = spare.unwrap_or_else(|| Box::new(Ahead::new(size)));
        ahead.restart(origin, history);
        Some(Work { origin, until: None, ahead, chunk, skip })
    }

    /// Looks for a block in the next bytes and makes a place of it; false when they are not there.
    fn search_block(&self, from: u64) -> bool {
        let mut state = self.lock();
        let Some((begin, bytes)) = state.places.to_search(from) else {
            state.searching = false;
            return false;
        };
        let mut finder = state.finder.take().unwrap_or_else(|| Box::new(Finder::new()));
        drop(state);
        let found = (self.split.find)(&mut finder, &bytes)
            .map(|start| Start { byte: start.byte + begin, ..start });
        let mut state = self.lock();
        (state.finder, state.searching) = (Some(finder), false);
        let end = begin + (bytes.len() - Finder::MARGIN) as u64;
        let Some(start) = found.filter(|start| start.byte >= from) else {
            state.in_vain += (end - begin) as usize;
            state.places.searched = end.max(from + 1);
            if state.in_vain >= MOST_SEARCHED {
                state.in_vain = 0;
                state.places.searched += self.split.block_gap;
                self.count(&mut state, false);
            }
            return true;
        };
        state.in_vain = 0;
        state.places.searched = start.byte + 1;
        let Some(work) = self.begin(state, Origin::Block(start), None) else { return false };
        // The next piece of it is read as any other.
        let claimed = InWork { splitter: self, origin: work.origin };
        claimed.done(work.ahead, false);
        true
    }

    /// Notes whether a guess was right.
    fn count(&self, state: &mut Shared, met: bool) {
        if met {
            state.counts.taken_over += 1;
            state.recent.0 += 1;
        } else {
            state.recent.1 += 1;
        }
        if state.recent.1 * HITS > state.recent.0 + MISSES * HITS {
            state.recent = (0, 0);
            state.paused = self.walker.load(Ordering::Relaxed) + self.split.pause;
        }
    }

    /// Gives up a first place that is a block here.
    fn drop_block(&self, offset: u64) {
        let mut state = self.lock();
        while let Some(Reading { origin: Origin::Block(start), .. }) = state.readings.front()
            && start.byte <= offset
        {
            let read = state.readings.pop_front().and_then(|reading| reading.read);
            state.spare.extend(read);
            self.count(&mut state, false);
        }
        self.update_next(&state);
    }

    /// What was read from the first place that is `here`, after those in front of `offset` are given up.
    fn meet(&self, offset: u64, here: impl Fn(Origin) -> bool) -> Option<Box<Ahead>> {
        let mut state = self.lock();
        let found = loop {
            let Some(first) = state.readings.front_mut() else { break None };
            let is_here = here(first.origin);
            if !is_here && first.origin.byte() >= offset {
                break None;
            }
            let read = first.read.take();
            if is_here && read.is_none() {
                // A piece of it is in work, and no other shall be begun.
                first.done = true;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.readings.pop_front();
            if is_here && read.as_ref().is_some_and(|read| !read.is_bad()) {
                break read;
            }
            self.count(&mut state, false);
            state.spare.extend(read);
        };
        if let Some(ahead) = &found {
            self.walker.fetch_max(ahead.position(), Ordering::Relaxed);
        }
        self.update_next(&state);
        found
    }
}

/// Gives each place the history in front of it, where what was read ends there and knows its own end. Only the last
/// 32 KiB are resolved for that, so that all the rest can be at the same time.
fn hand_down(readings: &mut VecDeque<Reading>) {
    for index in 1..readings.len() {
        let Reading { origin, history: None, .. } = readings[index] else { continue };
        let Reading { read: Some(ahead), done: true, history, .. } = &readings[index - 1] else {
            continue;
        };
        readings[index].history = ahead.history_of(origin, history.as_deref()).map(Arc::from);
    }
}

/// What to do next.
enum Next {
    Read(Work),
    /// Look for a block from this offset on.
    Search(u64),
    /// Make bytes of references to a history that was read ahead, too, so that the walker need not.
    Resolve(Origin, Box<Ahead>, Arc<[u8; WINDOW_SIZE]>),
}

/// A place of which a piece is in work. If reading it panics, the place is given up, so that the walker does
/// not wait for it.
struct InWork<'a> {
    splitter: &'a Splitter,
    origin: Origin,
}

impl InWork<'_> {
    fn done(self, ahead: Box<Ahead>, done: bool) {
        let mut state = self.splitter.lock();
        let found = state.readings.iter().position(|reading| reading.origin == self.origin);
        match found {
            // The next guess need not wait until the walker has passed this one.
            Some(index) if ahead.is_bad() => {
                state.readings.remove(index);
                state.spare.push(ahead);
                self.splitter.count(&mut state, false);
            }
            Some(index) => {
                if done {
                    state.stride = ahead.stride(self.origin);
                }
                let reading = &mut state.readings[index];
                reading.position = ahead.position();
                (reading.read, reading.done) = (Some(ahead), done || reading.done);
            }
            // The walker has passed it.
            None => state.spare.push(ahead),
        }
    }
}

impl Drop for InWork<'_> {
    fn drop(&mut self) {
        let mut state = self.splitter.lock();
        state.readings.retain(|reading| reading.origin != self.origin || reading.read.is_some());
        self.splitter.update_next(&state);
        self.splitter.changed.notify_all();
    }
}

/// The walker's side.
#[derive(Debug)]
pub(super) struct Handle {
    splitter: Arc<Splitter>,
    /// Where members ended, the last ones, as a ring.
    ends: [u64; DENSE],
    members: usize,
    pattern: Option<HeaderPattern>,
}

impl Handle {
    pub(super) fn new(splitter: Arc<Splitter>) -> Self {
        Self { splitter, ends: [0; DENSE], members: 0, pattern: None }
    }
}

impl ReadAhead for Handle {
    fn arrive(&mut self, offset: u64, pattern: HeaderPattern) -> Option<Box<Ahead>> {
        let splitter = &*self.splitter;
        if self.pattern != Some(pattern) {
            self.pattern = Some(pattern);
            splitter.lock().places.pattern = Some(pattern);
        }
        let before = std::mem::replace(&mut self.ends[self.members % DENSE], offset);
        self.members += 1;
        if !splitter.dense.load(Ordering::Relaxed) {
            let dense = self.members > DENSE && offset - before <= splitter.split.dense;
            splitter.dense.store(dense, Ordering::Relaxed);
            return None;
        }
        splitter.walker.fetch_max(offset, Ordering::Relaxed);
        if offset < splitter.next.load(Ordering::Acquire) {
            return None;
        }
        splitter.meet(offset, |origin| origin == Origin::Member(offset))
    }

    fn next_block(&self) -> u64 {
        self.splitter.next_block.load(Ordering::Acquire)
    }

    fn arrive_at_block(&mut self, offset: u64, bits: u8) -> Option<Box<Ahead>> {
        // The length of a stored block may stand a byte behind its header.
        if offset + 1 < self.next_block() {
            return None;
        }
        let is_here = |origin| matches!(origin, Origin::Block(start) if start.is_at(offset, bits));
        self.splitter.meet(offset, is_here)
    }

    fn pass(&mut self, offset: u64) {
        // A member may begin here.
        self.splitter.meet(offset, |_| false);
        self.splitter.drop_block(offset);
    }

    fn hand_down(&mut self, ahead: &Ahead, history: &[u8; WINDOW_SIZE]) {
        let mut state = self.splitter.lock();
        if let Some(Reading { origin, history: known @ None, .. }) = state.readings.front_mut() {
            *known = ahead.history_of(*origin, Some(history)).map(Arc::from);
        }
    }

    fn give_back(&mut self, ahead: Box<Ahead>, used: bool) {
        let mut state = self.splitter.lock();
        self.splitter.count(&mut state, used);
        state.spare.push(ahead);
    }
}
