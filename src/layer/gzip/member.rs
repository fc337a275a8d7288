//! From byte to byte through gzip members (RFC 1952): the state that all who read members share.

use super::error::{GzipError, GzipErrorKind};
use crate::layer::inflate::{Inflater, Start, Stop, Symbol};
use crate::layer::window::OutputWindow;

/// Header and trailer fields, in the order in which they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// The ten fixed bytes.
    Fixed,
    /// Length of the extra field.
    ExtraLength,
    /// The extra field; this many bytes are left.
    Extra(u16),
    /// File name or comment up to NUL, by its flag; this many bytes are read.
    Text(u8, u16),
    /// Header checksum.
    HeaderChecksum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Header(Field),
    Body,
    Trailer,
}

const FLAG_HEADER_CRC: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;
const FLAGS_RESERVED: u8 = 0xe0;
/// Go's `compress/gzip` reads a name or comment into 512 bytes, the NUL included.
const MAX_TEXT: u16 = 511;
/// Length of the fixed part of a header.
pub(super) const FIXED: usize = 10;

/// What a step led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// More input is needed, if the step took all.
    None,
    /// The next step may go on without input.
    Room,
    /// Inflating can begin here: behind a member's header, or behind a block that is not its last; `bits`
    /// high bits of the last byte taken belong to what follows. The next step may go on without input.
    Candidate {
        /// Number of those bits.
        bits: u8,
    },
    /// A member ended, and its trailer is right.
    MemberEnd,
    /// The stream is bad; there is no next step.
    Failed(GzipError),
}

/// What a step did.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Bytes of input taken.
    pub(super) taken: usize,
    /// Bytes put into the window.
    pub(super) produced: usize,
    /// What came behind them.
    pub(super) event: Event,
}

/// A place in a sequence of members.
#[derive(Debug)]
pub(super) struct Members {
    phase: Phase,
    /// Bytes of the field being read.
    field: [u8; FIXED],
    field_len: usize,
    flags: u8,
    /// The fixed part of the last header that was read.
    pub(super) last_header: [u8; FIXED],
    header_crc: crc32fast::Hasher,
    body_crc: crc32fast::Hasher,
    body_len: u32,
    /// Whether there was a whole member.
    any: bool,
    /// Whether the current member was begun in its middle, so that its checksum cannot be known.
    partial: bool,
    inflater: Inflater,
    /// Offset in the blob.
    pub(super) total_in: u64,
    /// Bytes of output of all members.
    pub(super) total_out: u64,
}

impl Members {
    /// The start of a blob.
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Header(Field::Fixed),
            field: [0; FIXED],
            field_len: 0,
            flags: 0,
            last_header: [0; FIXED],
            header_crc: crc32fast::Hasher::new(),
            body_crc: crc32fast::Hasher::new(),
            body_len: 0,
            any: false,
            partial: false,
            inflater: Inflater::new(),
            total_in: 0,
            total_out: 0,
        }
    }

    /// Goes to the start of a member at this offset, with other members in front of it.
    pub(super) fn restart(&mut self, offset: u64) {
        self.begin_field(Field::Fixed);
        self.header_crc.reset();
        self.any = true;
        self.partial = false;
        (self.total_in, self.total_out) = (offset, 0);
    }

    /// Goes into the middle of a member, to the offset of a checkpoint with `bits` high bits of `byte`
    /// in front. The window must be there.
    pub(super) fn resume(&mut self, offset: u64, byte: u8, bits: u8) {
        self.phase = Phase::Body;
        self.partial = true;
        self.inflater.resume(byte, bits);
        self.total_in = offset;
    }

    /// Goes into the middle of a member, to where a block seems to begin. The checksum is that of what is put into
    /// windows of bytes from here on.
    pub(super) fn start(&mut self, start: Start) {
        self.resume(start.byte, start.before[1], start.bits.unwrap_or(0));
        if start.bits.is_none() {
            self.inflater.resume_stored();
        }
        self.body_crc.reset();
        (self.body_len, self.field_len, self.total_out) = (0, 0, 0);
    }

    /// Whether this is the inside of compressed data.
    pub(super) fn in_body(&self) -> bool {
        self.phase == Phase::Body
    }

    /// How far back distances may reach from here.
    pub(super) fn history(&self) -> usize {
        self.inflater.history()
    }

    /// Goes to where `part` is, which began at this very place in the middle of a member; `before` is the checksum of
    /// the first of its output, which is not in its own. False, and nothing done, if it is in a match that begins in
    /// front of the member.
    pub(super) fn continue_as(&mut self, part: &mut Self, before: &crc32fast::Hasher) -> bool {
        if !self.inflater.continue_as(&mut part.inflater, part.total_out as usize) {
            return false;
        }
        self.body_crc.combine(before);
        self.body_crc.combine(&part.body_crc);
        self.body_len = self.body_len.wrapping_add(part.body_len);
        (self.phase, self.field_len) = (part.phase, 0);
        self.total_in = part.total_in;
        self.total_out += part.total_out;
        true
    }

    /// Whether nothing is read of the next member, and there was one before it.
    pub(super) fn between(&self) -> bool {
        self.any && self.field_len == 0 && self.phase == Phase::Header(Field::Fixed)
    }

    /// Whether the blob may end here.
    pub(super) fn end(&self) -> Result<(), GzipError> {
        let place = match self.phase {
            Phase::Header(_) if self.between() => return Ok(()),
            Phase::Header(_) => "inside a member's header",
            Phase::Body => "inside compressed data",
            Phase::Trailer => "inside a member's trailer",
        };
        Err(GzipError { offset: self.total_in, kind: GzipErrorKind::Truncated(place) })
    }

    /// Goes on as far as possible, but not past a candidate, the end of a member or the end of the window's
    /// room. Block ends within the next `unwatched` bytes of output are passed over.
    pub(super) fn step(&mut self, input: &[u8], window: &mut OutputWindow, unwatched: u64) -> Step {
        if self.phase == Phase::Body {
            // Stopping at block ends costs time, so it is asked for only where one can count.
            let watch = unwatched == 0;
            return self.body(input, window, if watch { u64::MAX } else { unwatched }, watch);
        }
        let Some(&byte) = input.first() else {
            return Step { taken: 0, produced: 0, event: Event::None };
        };
        let result = match self.phase {
            Phase::Header(field) => self.header_byte(field, byte),
            _ => self.trailer_byte(byte),
        };
        let event = match result {
            Err(kind) => Event::Failed(GzipError { offset: self.total_in, kind }),
            Ok(()) if self.phase == Phase::Body => Event::Candidate { bits: 0 },
            Ok(()) if self.between() => Event::MemberEnd,
            Ok(()) => Event::None,
        };
        self.total_in += 1;
        Step { taken: 1, produced: 0, event }
    }

    /// Inflates at most so many bytes, and up to the end of a block if it is to be watched for.
    pub(super) fn body<S: Symbol>(
        &mut self,
        input: &[u8],
        window: &mut OutputWindow<S>,
        most: u64,
        watch: bool,
    ) -> Step {
        let (buffer, room) = window.room(most);
        let limit = room.len();
        let step = self.inflater.inflate(input, buffer, room, watch);
        let (taken, produced) = (step.consumed, step.produced);
        self.total_in += taken as u64;
        if produced > 0 {
            if let Some(bytes) = S::bytes(window.commit(produced)) {
                self.body_crc.update(bytes);
            }
            self.body_len = self.body_len.wrapping_add(produced as u32);
            self.total_out += produced as u64;
        }
        let event = match step.stop {
            Stop::BlockEnd { bits } => Event::Candidate { bits },
            Stop::StreamEnd => {
                self.phase = Phase::Trailer;
                self.field_len = 0;
                Event::None
            }
            // Output can be pending with all input taken, but then the room was used up.
            Stop::Buffer if taken == input.len() && produced < limit => Event::None,
            Stop::Buffer => Event::Room,
            Stop::Bad { error, unread } => Event::Failed(GzipError {
                offset: self.total_in.saturating_sub(unread),
                kind: error.into(),
            }),
        };
        Step { taken, produced, event }
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<(), GzipErrorKind> {
        if !self.collect(byte, 8) {
            return Ok(());
        }
        let (words, _) = self.field.as_chunks::<4>();
        let [crc, length] = [words[0], words[1]].map(u32::from_le_bytes);
        let found = std::mem::take(&mut self.body_crc).finalize();
        if !std::mem::take(&mut self.partial) {
            if crc != found {
                return Err(GzipErrorKind::Checksum { expected: crc, found });
            }
            if length != self.body_len {
                let found = self.body_len;
                return Err(GzipErrorKind::Length { expected: length, found });
            }
        }
        self.any = true;
        self.header_crc.reset();
        self.begin_field(Field::Fixed);
        Ok(())
    }

    fn begin_field(&mut self, field: Field) {
        self.phase = Phase::Header(field);
        self.field_len = 0;
    }

    /// Takes the next byte of a field of this length; true when it is the last.
    fn collect(&mut self, byte: u8, length: usize) -> bool {
        self.field[self.field_len] = byte;
        self.field_len += 1;
        self.field_len == length
    }

    fn header_byte(&mut self, field: Field, byte: u8) -> Result<(), GzipErrorKind> {
        if field != Field::HeaderChecksum {
            self.header_crc.update(&[byte]);
        }
        match field {
            Field::Fixed => {
                let whole = self.collect(byte, FIXED);
                self.fixed_byte(byte)?;
                if whole {
                    self.last_header = self.field;
                    self.after(0);
                }
            }
            Field::ExtraLength if self.collect(byte, 2) => {
                match u16::from_le_bytes([self.field[0], byte]) {
                    0 => self.after(FLAG_EXTRA),
                    length => self.begin_field(Field::Extra(length)),
                }
            }
            Field::Extra(1) => self.after(FLAG_EXTRA),
            Field::Extra(left) => self.phase = Phase::Header(Field::Extra(left - 1)),
            Field::Text(flag, _) if byte == 0 => self.after(flag),
            Field::Text(_, MAX_TEXT) => return Err(GzipErrorKind::LongText),
            Field::Text(flag, read) => self.phase = Phase::Header(Field::Text(flag, read + 1)),
            Field::HeaderChecksum if self.collect(byte, 2) => {
                let expected = u16::from_le_bytes([self.field[0], byte]);
                let found = self.header_crc.clone().finalize() as u16;
                if expected != found {
                    return Err(GzipErrorKind::HeaderChecksum { expected, found });
                }
                self.begin_body();
            }
            Field::ExtraLength | Field::HeaderChecksum => {}
        }
        Ok(())
    }

    /// Checks a byte of the fixed part as soon as it is there, so that the error names its place.
    fn fixed_byte(&mut self, byte: u8) -> Result<(), GzipErrorKind> {
        match self.field_len {
            1 if byte == 0x1f => {}
            2 if byte == 0x8b => {}
            1 | 2 if self.any => return Err(GzipErrorKind::TrailingBytes),
            1 | 2 => return Err(GzipErrorKind::NotGzip),
            3 if byte != 8 => return Err(GzipErrorKind::Method(byte)),
            4 => {
                self.flags = byte;
                if byte & FLAGS_RESERVED != 0 {
                    return Err(GzipErrorKind::ReservedFlags(byte & FLAGS_RESERVED));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Goes on to the next field that the flags name, behind the one of `flag`.
    fn after(&mut self, flag: u8) {
        let next = |candidate: &u8| *candidate > flag && self.flags & candidate != 0;
        if next(&FLAG_EXTRA) {
            self.begin_field(Field::ExtraLength);
        } else if let Some(text) = [FLAG_NAME, FLAG_COMMENT].into_iter().find(next) {
            self.begin_field(Field::Text(text, 0));
        } else if self.flags & FLAG_HEADER_CRC != 0 {
            self.begin_field(Field::HeaderChecksum);
        } else {
            self.begin_body();
        }
    }

    fn begin_body(&mut self) {
        self.phase = Phase::Body;
        self.body_len = 0;
        self.body_crc.reset();
        self.inflater.reset();
    }
}
