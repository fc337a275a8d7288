//! Lets one layer use several cores: one thread walks its content, the others do all else.
//!
//! Chunks go round: read → walk → hash → read again. The walker finds where spans begin, so hashing
//! follows it; a fixed number of chunks is under way, which bounds memory and keeps either side from
//! running ahead. A helper takes what is to be done: the next chunk is read by one of them at a time, in order, and so is
//! the next one hashed; what time is left goes into inflating ahead of the walker ([`super::splitter`]), as the walk takes
//! longer than all else. There is one helper from the start; further ones come with the layer's share of threads.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use super::source::{CHUNK, Chunk, Source};
use super::span::BlobHasher;
use super::splitter::{SPLIT, Split, Splitter, WAITING};
use super::{ScanError, ScanObserver};
use crate::threads::spawn;
use crate::ztoc::zinfo::{Checkpoint, GzipZinfo};

/// How the work is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Division {
    /// Bytes of a chunk.
    pub(super) chunk: usize,
    /// Chunks under way.
    pub(super) chunks: usize,
    /// As many more for each place that is read ahead from.
    pub(super) more_chunks: usize,
    /// How members are read ahead.
    pub(super) split: Split,
}

/// For layers as they are.
pub(super) const DIVISION: Division =
    Division { chunk: CHUNK, chunks: 8, more_chunks: 8, split: SPLIT };

/// Walks and hashes on this thread alone. `walk` takes each piece of the blob, and adds the checkpoints at which
/// spans begin in it.
pub(super) fn alone(
    source: &mut Source<'_>,
    mut walk: impl FnMut(&[u8], &mut Vec<Checkpoint>),
    observer: &dyn ScanObserver,
) -> Result<BlobHasher, ScanError> {
    let (mut chunk, mut starts) = (Chunk::new(CHUNK), Vec::new());
    let mut hasher = BlobHasher::default();
    while source.next(&mut chunk, observer)? {
        starts.clear();
        walk(chunk.bytes(), &mut starts);
        hasher.feed(chunk.bytes(), &starts);
    }
    Ok(hasher)
}

/// Walks on this thread; others read and hash, and read ahead if the walk asks `splitter` for it, from the checkpoints
/// of a zTOC if there is one. When no second thread can be had, all is done on this one.
pub(super) fn together(
    source: &mut Source<'_>,
    mut walk: impl FnMut(&[u8], &mut Vec<Checkpoint>),
    observer: &dyn ScanObserver,
    division: Division,
    splitter: &Splitter,
    claims: Option<&GzipZinfo>,
) -> Result<BlobHasher, ScanError> {
    let state = State {
        source: Some(source),
        hasher: Some(BlobHasher::default()),
        helpers: 1,
        ..State::default()
    };
    let (work, supply) = (Condvar::new(), Condvar::new());
    let state = Mutex::new(state);
    let crew = Crew { observer, division, splitter, claims, state, work, supply };
    let helped = std::thread::scope(|scope| {
        let helper = spawn(scope, "read", || crew.help(scope)).ok()?;
        // However the walk ends, the scope waits for its threads.
        let (ending, mut position) = (Ending(&crew), 0);
        while let Some((chunk, mut starts)) = crew.next() {
            starts.clear();
            walk(chunk.bytes(), &mut starts);
            position += chunk.bytes().len() as u64;
            splitter.walked(position);
            crew.event(|state| state.walked.push_back((chunk, starts)));
        }
        drop(ending);
        if let Err(panic) = helper.join() {
            std::panic::resume_unwind(panic);
        }
        Some(())
    });
    let state = crew.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match (helped, state) {
        (Some(()), State { error: None, hasher: Some(hasher), .. }) => Ok(hasher),
        (Some(()), State { error, .. }) => Err(error.unwrap_or(ScanError::Cancelled)),
        (None, State { source: Some(source), .. }) => alone(source, walk, observer),
        (None, _) => unreachable!("nobody has begun to read"),
    }
}

type Item = (Arc<Chunk>, Vec<Checkpoint>);

/// What the threads of one layer share.
struct Crew<'a, 'b> {
    observer: &'a dyn ScanObserver,
    division: Division,
    splitter: &'a Splitter,
    claims: Option<&'a GzipZinfo>,
    state: Mutex<State<'a, 'b>>,
    /// There may be something to do for a helper.
    work: Condvar,
    /// There may be something to walk.
    supply: Condvar,
}

#[derive(Default)]
struct State<'a, 'b> {
    /// Not there while somebody reads, and once all is read.
    source: Option<&'a mut Source<'b>>,
    /// Not there while somebody hashes.
    hasher: Option<BlobHasher>,
    /// Threads besides the walker.
    helpers: usize,
    /// How many there are.
    chunks: usize,
    free: Vec<Item>,
    to_walk: VecDeque<Item>,
    walked: VecDeque<Item>,
    all_read: bool,
    /// Whether the walk has ended.
    ended: bool,
    /// Whether all shall end, as reading failed or a helper panicked.
    failed: bool,
    error: Option<ScanError>,
    /// How often something came that helpers might have to do.
    events: u64,
}

/// What a helper does next.
#[expect(clippy::large_enum_variant, reason = "a helper has one at a time")]
enum Task<'a, 'b> {
    Read(&'a mut Source<'b>, Item),
    Hash(BlobHasher, Item),
    ReadAhead,
}

impl<'a, 'b> State<'a, 'b> {
    fn task(&mut self, size: usize, most: usize) -> Option<Task<'a, 'b>> {
        if self.source.is_some() && self.free.is_empty() && self.chunks < most {
            self.chunks += 1;
            self.free.push((Arc::new(Chunk::new(size)), Vec::new()));
        }
        if let Some(source) = self.source.take_if(|_| !self.free.is_empty()) {
            return self.free.pop().map(|item| Task::Read(source, item));
        }
        let hasher = self.hasher.take_if(|_| !self.walked.is_empty())?;
        self.walked.pop_front().map(|item| Task::Hash(hasher, item))
    }
}

impl<'a, 'b> Crew<'a, 'b> {
    fn lock(&self) -> MutexGuard<'_, State<'a, 'b>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state so that helpers may have something to do.
    fn event(&self, change: impl FnOnce(&mut State<'a, 'b>)) {
        let mut state = self.lock();
        change(&mut state);
        state.events += 1;
        if state.ended || state.failed {
            self.work.notify_all();
        } else {
            self.work.notify_one();
        }
    }

    /// What is to be walked next; nothing at the end.
    fn next(&self) -> Option<Item> {
        let mut state = self.lock();
        loop {
            if state.failed {
                return None;
            }
            let item = state.to_walk.pop_front();
            if item.is_some() || state.all_read {
                return item;
            }
            state = self.supply.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Does what is to be done until all that was read is hashed, or there are more helpers than may be.
    fn help<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let _failing = Failing(self);
        // Up to which event nothing was found to be read ahead, and whether it was waited for one.
        let (mut seen, mut waited) = (None, false);
        loop {
            let mut state = self.lock();
            let task = loop {
                let threads = self.observer.threads().max(1);
                self.splitter.allow(threads);
                let helpers = threads.max(2) - 1;
                if state.failed || state.ended && state.walked.is_empty() {
                    return;
                }
                if state.helpers > helpers {
                    state.helpers -= 1;
                    self.work.notify_one();
                    return;
                }
                // A small layer is done before they could help.
                let enough = state.helpers as u64 * self.division.split.block_gap;
                let due = state.source.as_ref().is_some_and(|source| source.position() >= enough);
                if state.helpers < helpers && due {
                    state.helpers += 1;
                    if spawn(scope, "help", || self.help(scope)).is_err() {
                        state.helpers -= 1;
                    }
                }
                let wanted = self.splitter.wanted();
                let places = if wanted { WAITING + helpers } else { 0 };
                let most = self.division.chunks + places * self.division.more_chunks;
                if let Some(task) = state.task(self.division.chunk, most) {
                    break task;
                }
                if wanted && seen.replace(state.events) != Some(state.events) {
                    break Task::ReadAhead;
                }
                waited = true;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            drop(state);
            match task {
                Task::Read(source, item) => self.read(source, item),
                Task::Hash(mut hasher, (chunk, starts)) => {
                    hasher.feed(chunk.bytes(), &starts);
                    self.event(|state| {
                        state.hasher = Some(hasher);
                        state.free.push((chunk, starts));
                    });
                }
                Task::ReadAhead => {
                    if self.splitter.read_piece(self.claims) {
                        seen = None;
                        if std::mem::take(&mut waited) {
                            // There may be more of it than for one.
                            self.work.notify_one();
                        }
                    }
                }
            }
        }
    }

    fn read(&self, source: &'a mut Source<'b>, (mut chunk, starts): Item) {
        if Arc::get_mut(&mut chunk).is_none() {
            // Somebody still reads ahead in it, in vain.
            chunk = Arc::new(Chunk::new(self.division.chunk));
        }
        let Some(free) = Arc::get_mut(&mut chunk) else {
            unreachable!("a chunk just made has one owner")
        };
        let offset = source.position();
        let more = source.next(free, self.observer);
        if matches!(more, Ok(true)) && self.splitter.wanted() {
            self.splitter.read(offset, &chunk);
        }
        self.event(|state| match more {
            Ok(true) => {
                state.source = Some(source);
                state.to_walk.push_back((chunk, starts));
            }
            Ok(false) => state.all_read = true,
            Err(error) => (state.failed, state.error) = (true, Some(error)),
        });
        self.supply.notify_one();
    }
}

/// Ends reading ahead and all helpers when the walk ends, whether it returns or panics.
struct Ending<'a, 'b, 'c>(&'c Crew<'a, 'b>);

impl Drop for Ending<'_, '_, '_> {
    fn drop(&mut self) {
        self.0.splitter.close();
        self.0.event(|state| state.ended = true);
    }
}

/// Ends the walk and all other helpers when one of them panics.
struct Failing<'a, 'b, 'c>(&'c Crew<'a, 'b>);

impl Drop for Failing<'_, '_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.event(|state| state.failed = true);
            self.0.supply.notify_one();
        }
    }
}
