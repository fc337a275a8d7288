//! From block to block of a stream.

use std::ops::Range;

use super::bits::BitReader;
use super::careful::{self, Pause};
use super::fast;
use super::header::Header;
use super::output::{DataError, Output, data_error};
use super::symbol::{Symbol, WINDOW};
use super::tables::{FIXED, Tables};

/// Why [`Inflater::inflate`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// All input was taken, or the output is full.
    Buffer,
    /// A block that is not the stream's last ended; `bits` (0 to 7) high bits of the last byte taken
    /// belong to the next block.
    BlockEnd {
        /// Number of those bits.
        bits: u8,
    },
    /// The stream ended; what follows it is untaken.
    StreamEnd,
    /// The input is not deflate data. What it says before that was produced, however input and room were
    /// cut; the stream is of no use until [`Inflater::reset`].
    Bad {
        /// What is wrong.
        error: DataError,
        /// Bytes between the one that holds the first unused bit and the end of what was taken.
        unread: u64,
    },
}

/// What one call did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Bytes of input taken.
    pub(crate) consumed: usize,
    /// Bytes of output written.
    pub(crate) produced: usize,
    /// Why it returned.
    pub(crate) stop: Stop,
}

/// What comes next in the stream.
#[derive(Clone, Copy, Debug)]
enum Stage {
    BlockHead,
    StoredLength,
    Stored { left: usize },
    Header,
    Codes { fixed: bool },
    Match { length: usize, distance: usize, fixed: bool },
    Ended,
    Bad(DataError),
}

/// A raw inflate stream.
pub(crate) struct Inflater {
    state: Stage,
    /// Whether the current block is the stream's last.
    last: bool,
    /// Bits taken from the input but not used, all of one symbol that is not all there or of one byte.
    word: u64,
    count: u32,
    /// Bytes of this stream's output in front of the place to write to, at most [`WINDOW`].
    history: usize,
    header: Header,
    tables: Box<Tables>,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Inflater {
    /// A stream at its beginning.
    pub(crate) fn new() -> Self {
        Self {
            state: Stage::BlockHead,
            last: false,
            word: 0,
            count: 0,
            history: 0,
            header: Header::new(),
            tables: Box::new(Tables::new()),
        }
    }

    /// Goes back to the beginning of a stream: history from before cannot be referred to.
    pub(crate) fn reset(&mut self) {
        self.state = Stage::BlockHead;
        self.last = false;
        self.word = 0;
        self.count = 0;
        self.history = 0;
    }

    /// Goes to the place of a checkpoint: the high `bits` (0 to 7) bits of `byte` come first, and 32 KiB of
    /// history stand in front of the place to write to.
    pub(crate) fn resume(&mut self, byte: u8, bits: u8) {
        self.reset();
        self.count = u32::from(bits & 7);
        self.word = u64::from(byte) >> (8 - self.count);
        self.history = WINDOW;
    }

    /// As [`Self::resume`], to behind the header of a stored block that is not the last: its length comes next.
    pub(crate) fn resume_stored(&mut self) {
        self.resume(0, 0);
        self.state = Stage::StoredLength;
    }

    /// How far back distances may reach from here.
    pub(crate) fn history(&self) -> usize {
        self.history
    }

    /// Goes to where `part` is, which began at this very place without knowing what history there is, and has
    /// produced so many bytes. False, and nothing done, if it is in a match that begins in front of the history.
    pub(crate) fn continue_as(&mut self, part: &mut Self, produced: usize) -> bool {
        let history = WINDOW.min(self.history + produced);
        if let Stage::Match { distance, .. } = part.state
            && distance > history
        {
            return false;
        }
        std::mem::swap(self, part);
        self.history = history;
        true
    }

    /// Inflates from `input` into the `room` of `buffer` until one of them ends, the stream ends or, if
    /// asked for, the current block ends.
    ///
    /// In front of the room must stand the last 32 KiB of this stream's output (all of it, when it is
    /// less). The rest of the room behind the bytes produced may be overwritten with anything.
    ///
    /// # Panics
    /// If `room` is no range of `buffer`.
    pub(crate) fn inflate<S: Symbol>(
        &mut self,
        input: &[u8],
        buffer: &mut [S],
        room: Range<usize>,
        stop_at_block: bool,
    ) -> Step {
        let Range { start, end } = room;
        assert!(start <= end && end <= buffer.len(), "room outside of the buffer");
        let mut reader = BitReader { input, at: 0, word: self.word, count: self.count };
        let lowest = start - self.history.min(start);
        let mut out = Output { buffer, at: start, end, lowest };
        let stop = match self.run(&mut reader, &mut out, stop_at_block) {
            Ok(stop) => stop,
            Err(error) => {
                self.state = Stage::Bad(error);
                Stop::Bad { error, unread: u64::from(reader.count.div_ceil(8)) }
            }
        };
        (self.word, self.count) = (reader.word, reader.count);
        let produced = out.at - start;
        self.history = WINDOW.min(self.history + produced);
        Step { consumed: reader.at, produced, stop }
    }

    fn run<S: Symbol>(
        &mut self,
        reader: &mut BitReader<'_>,
        out: &mut Output<'_, S>,
        stop_at_block: bool,
    ) -> Result<Stop, DataError> {
        loop {
            let ended = match self.state {
                Stage::BlockHead => {
                    if !reader.has(3) {
                        return Ok(Stop::Buffer);
                    }
                    self.last = reader.take(1) == 1;
                    self.state = match reader.take(2) {
                        0 => {
                            reader.align();
                            Stage::StoredLength
                        }
                        1 => Stage::Codes { fixed: true },
                        2 => {
                            self.header.restart();
                            Stage::Header
                        }
                        _ => return data_error("invalid block type"),
                    };
                    false
                }
                Stage::StoredLength => {
                    if !reader.has(32) {
                        return Ok(Stop::Buffer);
                    }
                    let (length, complement) = (reader.take(16), reader.take(16));
                    if length != !complement & 0xffff {
                        return data_error("invalid stored block lengths");
                    }
                    // Behind the header come bytes, read past the bits.
                    reader.give_back();
                    self.state = Stage::Stored { left: length as usize };
                    false
                }
                Stage::Stored { left: 0 } => true,
                Stage::Stored { left } => {
                    let input = &reader.input[reader.at..];
                    let now = left.min(input.len()).min(out.end - out.at);
                    if now == 0 {
                        return Ok(Stop::Buffer);
                    }
                    S::copy(&input[..now], &mut out.buffer[out.at..out.at + now]);
                    reader.at += now;
                    out.at += now;
                    self.state = Stage::Stored { left: left - now };
                    false
                }
                Stage::Header => {
                    if !self.header.read(reader, &mut self.tables)? {
                        return Ok(Stop::Buffer);
                    }
                    self.state = Stage::Codes { fixed: false };
                    false
                }
                Stage::Match { length, distance, fixed } => {
                    let length = out.copy_match(length, distance);
                    if length > 0 {
                        self.state = Stage::Match { length, distance, fixed };
                        reader.give_back();
                        return Ok(Stop::Buffer);
                    }
                    self.state = Stage::Codes { fixed };
                    false
                }
                Stage::Codes { fixed } => {
                    let tables = if fixed { &FIXED } else { &self.tables };
                    match decode(tables, reader, out)? {
                        Pause::BlockEnd => true,
                        Pause::Partial { length, distance } => {
                            self.state = Stage::Match { length, distance, fixed };
                            reader.give_back();
                            return Ok(Stop::Buffer);
                        }
                        Pause::Room => {
                            reader.give_back();
                            return Ok(Stop::Buffer);
                        }
                        Pause::Input | Pause::Margins => return Ok(Stop::Buffer),
                    }
                }
                Stage::Ended => return Ok(Stop::StreamEnd),
                Stage::Bad(error) => return Err(error),
            };
            if !ended {
                continue;
            }
            if self.last {
                reader.give_back();
                reader.align();
                self.state = Stage::Ended;
                return Ok(Stop::StreamEnd);
            }
            self.state = Stage::BlockHead;
            if stop_at_block {
                reader.give_back();
                return Ok(Stop::BlockEnd { bits: reader.count as u8 });
            }
        }
    }
}

/// Decodes to the end of the block, of the input or of the room, fast where that is possible.
fn decode<S: Symbol>(
    tables: &Tables,
    reader: &mut BitReader<'_>,
    out: &mut Output<'_, S>,
) -> Result<Pause, DataError> {
    loop {
        if fast::has_margins(reader, out) && fast::decode(tables, reader, out)? {
            return Ok(Pause::BlockEnd);
        }
        match careful::decode(tables, reader, out)? {
            Pause::Margins => {}
            pause => return Ok(pause),
        }
    }
}
