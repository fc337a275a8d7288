//! Reads members from a place where one seems to begin, ahead of the walker.
//!
//! A member's first block has no history, so all of it can be inflated without knowing what stands before.
//! Nothing that is found here counts until the walker comes to the same place by itself: only then it is a
//! member's start and not bytes that look like one.

use super::member::{Event, FIXED, Members};
use crate::layer::window::OutputWindow;

/// Most candidates kept, so that blocks of a single byte do not fill the memory. The field's writers give one for
/// each 10 KiB of output or more, and one for each member.
const MAX_CANDIDATES: usize = 1 << 14;

/// What members look like here, learned from those the walker has passed: the fixed part of their headers
/// without the time. Content that holds gzip files of its own is seldom written by the same program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Magic, method, flags.
    begin: [u8; 4],
    /// Extra flags, operating system.
    end: [u8; 2],
}

impl Look {
    /// Bytes that are examined.
    pub(crate) const LENGTH: usize = FIXED;

    pub(super) fn of(header: &[u8; FIXED]) -> Self {
        let [magic, sign, method, flags, .., extra_flags, system] = *header;
        Self { begin: [magic, sign, method, flags], end: [extra_flags, system] }
    }

    /// Where in `bytes` the first such header begins that ends in them.
    pub(crate) fn find(self, bytes: &[u8]) -> Option<usize> {
        /// Bytes that are passed over at once when the magic begins at none of them.
        const BLOCK: usize = 64;
        let last = bytes.len().checked_sub(FIXED - 1)?;
        let [first, second, ..] = self.begin;
        let mut at = 0;
        while at < last {
            let end = last.min(at + BLOCK);
            let pairs = bytes[at..end].iter().zip(&bytes[at + 1..=end]);
            // Without a way out of the loop the compiler makes it one of wide comparisons.
            let both = |(&a, &b)| u8::from(a == first) & u8::from(b == second);
            if pairs.map(both).fold(0, |seen, pair| seen | pair) != 0 {
                let is_here = |at: &usize| self.is_here(&bytes[*at..*at + FIXED]);
                if let Some(found) = (at..end).find(is_here) {
                    return Some(found);
                }
            }
            at = end;
        }
        None
    }

    fn is_here(self, header: &[u8]) -> bool {
        header[..4] == self.begin && header[8..] == self.end
    }
}

/// A candidate for a checkpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) compressed_offset: u64,
    pub(super) bits: u8,
    /// Bytes of output in front of it.
    pub(super) output: usize,
}

/// Members read ahead.
#[derive(Debug)]
pub(crate) struct Ahead {
    pub(super) members: Members,
    pub(super) window: OutputWindow,
    pub(super) candidates: Vec<Candidate>,
    failed: bool,
}

impl Ahead {
    /// Room for `size` (not zero) bytes of output.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            members: Members::new(),
            window: OutputWindow::new(size),
            candidates: Vec::new(),
            failed: false,
        }
    }

    /// Goes to this offset in the blob; what was found is forgotten.
    pub(crate) fn restart(&mut self, offset: u64) {
        self.members.restart(offset);
        self.window.restart();
        self.candidates.clear();
        self.failed = false;
    }

    /// Offset in the blob of the next byte to be fed with.
    pub(crate) fn position(&self) -> u64 {
        self.members.total_in
    }

    /// Whether no members begin here, or bad ones.
    pub(crate) fn is_bad(&self) -> bool {
        self.failed
    }

    /// Takes the next bytes of the blob. False when there is no more to be done, because as much is kept as may be,
    /// or these are no members.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> bool {
        let (mut rest, mut again) = (bytes, false);
        while again || !rest.is_empty() {
            if self.window.is_full() || self.candidates.len() == MAX_CANDIDATES {
                return false;
            }
            let step = self.members.step(rest, &mut self.window, 0);
            rest = &rest[step.taken..];
            again = match step.event {
                Event::None | Event::MemberEnd => false,
                Event::Room => true,
                Event::Candidate { bits } => {
                    self.candidate(bits);
                    true
                }
                Event::Failed(_) => {
                    // The walker will tell what it is and where.
                    self.failed = true;
                    return false;
                }
            };
        }
        true
    }

    fn candidate(&mut self, bits: u8) {
        let output = self.window.output().len();
        // Of candidates with the same output in front of them only the first can count.
        if self.candidates.last().is_none_or(|last| last.output < output) {
            let compressed_offset = self.members.total_in;
            self.candidates.push(Candidate { compressed_offset, bits, output });
        }
    }
}
