//! From the blob's first byte to its last: the output in order, and the checkpoints.

use std::collections::VecDeque;

use super::ahead::Ahead;
use super::error::{GzipError, GzipErrorKind};
use super::member::{Event, Members};
use super::pattern::HeaderPattern;
use crate::layer::checkpoint::{ClaimedCheckpoints, SpanRule};
use crate::layer::window::{self, OutputWindow};
use crate::ztoc::zinfo::{Checkpoint, GzipZinfo, MAX_CHECKPOINTS, WINDOW_SIZE};

/// Who reads ahead of the walker.
pub(crate) trait ReadAhead: std::fmt::Debug + Send {
    /// The walker is at a member's start, at this offset of the blob, and has passed a member that looked like this:
    /// what was read ahead from exactly here, if anything.
    fn arrive(&mut self, offset: u64, pattern: HeaderPattern) -> Option<Box<Ahead>>;

    /// The byte of the next place inside of a member. The walker gives none behind it to the inflater before it has
    /// passed or met it.
    fn next_block(&self) -> u64;

    /// The walker is at a block's end, `bits` bits in front of this offset: what was read ahead from exactly here.
    fn arrive_at_block(&mut self, offset: u64, bits: u8) -> Option<Box<Ahead>>;

    /// The walker has passed this offset: what was read from places up to here is of no use.
    fn pass(&mut self, offset: u64);

    /// The walker goes to where this ends, and the history in front of it is this one.
    fn hand_down(&mut self, ahead: &Ahead, history: &[u8; WINDOW_SIZE]);

    /// Takes back what was given, and whether it was of use.
    fn give_back(&mut self, ahead: Box<Ahead>, used: bool);
}

/// What block ends are needed for.
#[derive(Debug)]
enum Wanted {
    /// Checkpoints by the span rule, with their windows.
    Spans(SpanRule, GzipZinfo),
    /// To hold claims against them.
    Claims(ClaimedCheckpoints),
}

/// The walker: fed with the blob's bytes in order, it hands out the uncompressed bytes.
#[derive(Debug)]
pub(crate) struct GzipWalker {
    members: Members,
    window: OutputWindow,
    wanted: Wanted,
    /// Where the first member's header ends.
    header: Option<u64>,
    /// Bytes fed. The members may be further, with the help of `ahead`.
    fed: u64,
    /// Whether there may be output that needs no further input.
    pending: bool,
    /// Where what was taken over ends with the end of a block, its bits.
    edge: Option<u8>,
    /// Checkpoints behind what was fed.
    later: VecDeque<Checkpoint>,
    ahead: Option<Box<dyn ReadAhead>>,
}

impl GzipWalker {
    /// A walker at the start of a blob, for spans of `span_size` bytes.
    pub(crate) fn new(span_size: u64) -> Self {
        Self::start(Wanted::Spans(SpanRule::new(span_size), GzipZinfo::new(span_size)))
    }

    /// A walker at the start of a blob that makes no checkpoints, but looks which of `claims` are some.
    pub(crate) fn proving(claims: Vec<Checkpoint>) -> Self {
        Self::start(Wanted::Claims(ClaimedCheckpoints::new(claims)))
    }

    fn start(wanted: Wanted) -> Self {
        Self {
            members: Members::new(),
            window: OutputWindow::new(window::CHUNK),
            wanted,
            header: None,
            fed: 0,
            pending: false,
            edge: None,
            later: VecDeque::new(),
            ahead: None,
        }
    }

    /// A walker at a checkpoint inside a blob: what it is fed with next are the bytes from the checkpoint's
    /// `compressed_offset` on, and `byte` is the one before them.
    pub(crate) fn resume(checkpoint: &Checkpoint, byte: u8, window: &[u8; WINDOW_SIZE]) -> Self {
        let mut walker = Self::proving(Vec::new());
        walker.members.resume(checkpoint.compressed_offset, byte, checkpoint.bits);
        walker.window.set_history(window);
        walker.fed = checkpoint.compressed_offset;
        walker
    }

    /// The last 32 KiB of output, zeros before its beginning.
    pub(crate) fn history(&self) -> &[u8; WINDOW_SIZE] {
        self.window.history()
    }

    /// Lets the walker ask, at each member's start, for what was read ahead from there.
    pub(crate) fn set_ahead(&mut self, ahead: Box<dyn ReadAhead>) {
        self.ahead = Some(ahead);
    }

    /// Takes the next bytes of the blob. New uncompressed bytes go to `output`, and new checkpoints to
    /// `checkpoints`, both in order. What was read ahead gives its output at once, but no checkpoint behind
    /// these bytes.
    ///
    /// # Errors
    /// The first thing that is wrong, however the bytes come; the walker is then of no further use.
    pub(crate) fn feed(
        &mut self,
        chunk: &[u8],
        mut output: impl FnMut(&[u8]),
        checkpoints: &mut Vec<Checkpoint>,
    ) -> Result<(), GzipError> {
        let start = self.fed;
        self.fed += chunk.len() as u64;
        let result = self.walk(chunk, start, &mut output);
        let here = self.later.partition_point(|later| later.compressed_offset <= self.fed);
        checkpoints.extend(self.later.drain(..here));
        result
    }

    fn walk(
        &mut self,
        chunk: &[u8],
        start: u64,
        output: &mut impl FnMut(&[u8]),
    ) -> Result<(), GzipError> {
        loop {
            if self.members.total_in < self.fed && self.members.between() {
                self.arrive(output)?;
            }
            if self.members.total_in > self.fed {
                return Ok(());
            }
            if let Some(bits) = self.edge.take() {
                self.arrive_at_block(bits, output)?;
                continue;
            }
            let place = self.next_block();
            let here = self.members.total_in;
            if here == self.fed && !self.pending {
                return Ok(());
            }
            let unwatched = match &mut self.wanted {
                // Here the end of a block may be a place that was read ahead from.
                _ if place <= self.fed => 0,
                Wanted::Spans(rule, _) => rule.bytes_until_next(self.members.total_out),
                Wanted::Claims(claims) => claims.bytes_until_next(self.members.total_out),
            };
            let piece = (here - start) as usize..(place.min(self.fed) - start) as usize;
            let step = self.members.step(&chunk[piece], &mut self.window, unwatched);
            if step.produced > 0 {
                output(self.window.last(step.produced));
            }
            self.pending = match step.event {
                Event::None | Event::MemberEnd => false,
                Event::Room => true,
                Event::Candidate { bits } => {
                    let checkpoint = Checkpoint {
                        compressed_offset: self.members.total_in,
                        uncompressed_offset: self.members.total_out,
                        bits,
                    };
                    // The blob's first candidate is the end of its first header.
                    self.header.get_or_insert(self.members.total_in);
                    self.candidate(checkpoint, None)?;
                    self.arrive_at_block(bits, output)?;
                    true
                }
                Event::Failed(error) => return Err(error),
            };
        }
    }

    /// Takes over what was read ahead from this member's start, if anything.
    fn arrive(&mut self, output: &mut impl FnMut(&[u8])) -> Result<(), GzipError> {
        let Some(ahead) = &mut self.ahead else { return Ok(()) };
        let pattern = HeaderPattern::of(&self.members.last_header);
        let found = ahead.arrive(self.members.total_in, pattern);
        self.take_over(found, output)
    }

    /// Takes over what was read ahead from this block's end, if anything.
    fn arrive_at_block(
        &mut self,
        bits: u8,
        output: &mut impl FnMut(&[u8]),
    ) -> Result<(), GzipError> {
        let Some(ahead) = &mut self.ahead else { return Ok(()) };
        let found = ahead.arrive_at_block(self.members.total_in, bits);
        self.take_over(found, output)
    }

    /// The byte of the next place inside of a member that was read ahead from, not behind this one.
    fn next_block(&mut self) -> u64 {
        let here = self.members.total_in;
        let Some(ahead) = &mut self.ahead else { return u64::MAX };
        let next = ahead.next_block();
        // With all that was fed inflated, no block's end is left in front of this byte.
        if next > here || next == here && self.pending {
            return next;
        }
        ahead.pass(here);
        ahead.next_block().max(here)
    }

    /// Takes over what was read ahead from exactly here, if anything, and unless it is of no use.
    fn take_over(
        &mut self,
        found: Option<Box<Ahead>>,
        output: &mut impl FnMut(&[u8]),
    ) -> Result<(), GzipError> {
        let Some(mut found) = found else { return Ok(()) };
        let before = self.members.total_out;
        let used = !found.is_bad() && self.go_to_the_end_of(&mut found);
        if used {
            // Another place may begin there; what follows has time until the walker is fed with that.
            self.edge = found.edge;
            self.pass_on(&found, before, output)?;
        }
        if let Some(ahead) = &mut self.ahead {
            ahead.give_back(found, used);
        }
        Ok(())
    }

    /// False, and nothing done, where what was read ahead refers to what is in front of the member, or was read with
    /// another history.
    fn go_to_the_end_of(&mut self, ahead: &mut Ahead) -> bool {
        if ahead.reaches_too_far(self.members.history()) {
            return false;
        }
        if let Some(reader) = self.ahead.as_mut().filter(|_| ahead.is_part) {
            // Others can go on from its end while this thread makes bytes of it.
            reader.hand_down(ahead, self.window.history());
        }
        if !ahead.resolve(self.window.history()) {
            return false;
        }
        if ahead.is_part {
            if !self.members.continue_as(&mut ahead.members, &ahead.wide_crc) {
                return false;
            }
        } else {
            let before = self.members.total_out;
            std::mem::swap(&mut self.members, &mut ahead.members);
            self.members.total_out += before;
        }
        self.window.set_history(ahead.window.history());
        self.pending = true;
        true
    }

    /// The output of what was taken over, and its checkpoints; `before` is the length of all output in front.
    fn pass_on(
        &mut self,
        ahead: &Ahead,
        before: u64,
        output: &mut impl FnMut(&[u8]),
    ) -> Result<(), GzipError> {
        let mut done = 0;
        for candidate in &ahead.candidates {
            if candidate.output > done {
                output(&ahead.window.output()[done..candidate.output]);
                done = candidate.output;
            }
            let checkpoint = Checkpoint {
                compressed_offset: candidate.compressed_offset,
                uncompressed_offset: before + done as u64,
                bits: candidate.bits,
            };
            self.candidate(checkpoint, Some(ahead.window.history_at(done)))?;
        }
        if ahead.window.output().len() > done {
            output(&ahead.window.output()[done..]);
        }
        Ok(())
    }

    /// Makes a checkpoint of a candidate, by the rule; without a window given it is the walker's.
    fn candidate(
        &mut self,
        checkpoint: Checkpoint,
        window: Option<&[u8; WINDOW_SIZE]>,
    ) -> Result<(), GzipError> {
        match &mut self.wanted {
            Wanted::Spans(rule, zinfo) => {
                if rule.take(checkpoint.uncompressed_offset) {
                    if zinfo.len() == MAX_CHECKPOINTS {
                        let offset = checkpoint.compressed_offset;
                        return Err(GzipError { offset, kind: GzipErrorKind::TooManyCheckpoints });
                    }
                    zinfo.push(&checkpoint, window.unwrap_or_else(|| self.window.history()));
                    self.later.push_back(checkpoint);
                }
            }
            Wanted::Claims(claims) => claims.record(&checkpoint),
        }
        Ok(())
    }

    /// For each claim whether it is proven; none for a walker that has no claims.
    pub(crate) fn proven(&self) -> &[bool] {
        match &self.wanted {
            Wanted::Spans(..) => &[],
            Wanted::Claims(claims) => claims.proven(),
        }
    }

    /// Where the first member's header ends.
    pub(crate) fn header(&self) -> Option<u64> {
        self.header
    }

    /// The blob has ended: all checkpoints, and the length of all output.
    ///
    /// # Errors
    /// [`GzipErrorKind::Truncated`].
    pub(crate) fn finish(self) -> Result<(GzipZinfo, u64), GzipError> {
        self.members.end()?;
        let zinfo = match self.wanted {
            Wanted::Spans(_, zinfo) => zinfo,
            Wanted::Claims(_) => GzipZinfo::new(0),
        };
        Ok((zinfo, self.members.total_out))
    }
}
