//! Where the inflater writes: a buffer that always keeps the last 32 KiB of output in front of the
//! next byte, so that a checkpoint's window is a slice and nothing is copied out.

use std::ops::Range;

use super::inflate::Symbol;
use crate::ztoc::zinfo::WINDOW_SIZE;

/// Bytes of output between two moves of the history to the front.
pub(crate) const CHUNK: usize = 512 << 10;

/// The buffer. Before any output the history is zeros, as the format wants it.
pub(crate) struct OutputWindow<S = u8> {
    buffer: Box<[S]>,
    position: usize,
}

impl<S> std::fmt::Debug for OutputWindow<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputWindow").field("position", &self.position).finish_non_exhaustive()
    }
}

impl<S: Symbol> OutputWindow<S> {
    /// A buffer for `size` (not zero) bytes behind the history.
    pub(crate) fn new(size: usize) -> Self {
        let buffer = vec![S::default(); WINDOW_SIZE + size].into_boxed_slice();
        Self { buffer, position: WINDOW_SIZE }
    }

    /// Takes `history` for the last 32 KiB of output.
    pub(crate) fn set_history(&mut self, history: &[S; WINDOW_SIZE]) {
        self.put_before(history);
        self.position = WINDOW_SIZE;
    }

    /// Puts `history` in front of all output since the last move of the history.
    pub(crate) fn put_before(&mut self, history: &[S; WINDOW_SIZE]) {
        self.buffer[..WINDOW_SIZE].copy_from_slice(history);
    }

    /// Forgets all output; what is in front of it stays.
    pub(crate) fn restart(&mut self) {
        self.position = WINDOW_SIZE;
    }

    /// Skips the first `count` bytes of output, which are put there later, and takes `history` for the last of them.
    pub(crate) fn skip(&mut self, count: usize, history: &[S; WINDOW_SIZE]) {
        self.position = WINDOW_SIZE + count;
        self.buffer[count..self.position].copy_from_slice(history);
    }

    /// The first `count` bytes of output, of which those behind the position are output from now on.
    pub(crate) fn first_mut(&mut self, count: usize) -> &mut [S] {
        self.position = self.position.max(WINDOW_SIZE + count);
        &mut self.buffer[WINDOW_SIZE..WINDOW_SIZE + count]
    }

    /// Whether the next [`Self::room`] moves the history.
    pub(crate) fn is_full(&self) -> bool {
        self.position == self.buffer.len()
    }

    /// The buffer, and where in it is room for at least one and at most `most` (not zero) further bytes.
    /// The last 32 KiB stand in front of it.
    pub(crate) fn room(&mut self, most: u64) -> (&mut [S], Range<usize>) {
        if self.position == self.buffer.len() {
            self.buffer.copy_within(self.position - WINDOW_SIZE.., 0);
            self.position = WINDOW_SIZE;
        }
        let left = self.buffer.len() - self.position;
        let room = usize::try_from(most).unwrap_or(usize::MAX).min(left);
        (&mut self.buffer, self.position..self.position + room)
    }

    /// Declares the first `count` bytes of the last [`Self::room`] written and returns them.
    pub(crate) fn commit(&mut self, count: usize) -> &[S] {
        let start = self.position;
        self.position += count;
        &self.buffer[start..self.position]
    }

    /// The last `count` bytes committed, of which none may be older than the last move of the history.
    pub(crate) fn last(&self, count: usize) -> &[S] {
        &self.buffer[self.position - count..self.position]
    }

    /// All output since the last move of the history.
    pub(crate) fn output(&self) -> &[S] {
        &self.buffer[WINDOW_SIZE..self.position]
    }

    /// The 32 KiB in front of the byte `at` of [`Self::output`].
    pub(crate) fn history_at(&self, at: usize) -> &[S; WINDOW_SIZE] {
        self.buffer[..WINDOW_SIZE + at].last_chunk().expect("the buffer begins with a whole window")
    }

    /// The last 32 KiB of output.
    pub(crate) fn history(&self) -> &[S; WINDOW_SIZE] {
        self.buffer[..self.position].last_chunk().expect("the buffer begins with a whole window")
    }
}
