//! Walks the members of a gzip layer in one pass: headers, blocks, trailers, checkpoints.
//!
//! The wrapper is read here (RFC 1952) and not by zlib, because the walker must know where each
//! member's header ends. As strict as the reference (`soci-formats` 3.4): wrong header or data
//! checksums, reserved flags, truncation and anything behind the last member are errors.

use super::checkpoint::{Claims, SpanRule};
use super::inflate::{DataError, Inflater, Stop};
use super::window::OutputWindow;
use crate::ztoc::zinfo::{Checkpoint, GzipZinfo, MAX_CHECKPOINTS, WINDOW_SIZE};

/// What is wrong with a gzip stream, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub(crate) struct GzipError {
    /// Offset in the blob of the byte at which it was noticed.
    pub(crate) offset: u64,
    /// What.
    pub(crate) kind: GzipErrorKind,
}

/// What is wrong with a gzip stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GzipErrorKind {
    /// The first bytes are no gzip header.
    #[error("not a gzip stream (expected the bytes 1f 8b 08)")]
    NotGzip,
    /// Something stands behind the last member.
    #[error("trailing bytes after the last gzip member")]
    TrailingBytes,
    /// Compression method other than deflate.
    #[error("gzip compression method {0} (expected 8, deflate)")]
    Method(u8),
    /// Reserved flag bits.
    #[error("reserved gzip header flags are set ({0:#04x})")]
    ReservedFlags(u8),
    /// Header checksum.
    #[error("gzip header checksum: expected {expected:04x}, found {found:04x}")]
    HeaderChecksum {
        /// As stored.
        expected: u16,
        /// As computed.
        found: u16,
    },
    /// Longer than Go's reader takes; such a layer can neither be unpacked by containerd nor mounted.
    #[error(
        "a name or comment in a gzip header is longer than 511 bytes, which Go's gzip reader refuses"
    )]
    LongText,
    /// The deflate data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// CRC-32 of a member's output.
    #[error("gzip member checksum (CRC-32): expected {expected:08x}, found {found:08x}")]
    Checksum {
        /// As stored.
        expected: u32,
        /// As computed.
        found: u32,
    },
    /// Length of a member's output, modulo 2³².
    #[error("gzip member length: expected {expected} bytes, found {found}")]
    Length {
        /// As stored.
        expected: u32,
        /// As counted.
        found: u32,
    },
    /// The stream ends too early.
    #[error("the gzip stream is truncated ({0})")]
    Truncated(&'static str),
    /// More checkpoints than a zTOC can hold.
    #[error("more than {MAX_CHECKPOINTS} checkpoints are needed, more than a zTOC can hold")]
    TooManyCheckpoints,
}

impl GzipErrorKind {
    /// Whether the stream is sound and only beyond what readers of SOCI layers take.
    pub(crate) fn is_unsupported(&self) -> bool {
        matches!(self, Self::LongText | Self::TooManyCheckpoints)
    }
}

/// Header and trailer fields, in the order in which they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// The ten fixed bytes.
    Fixed,
    /// Length of the extra field.
    ExtraLength,
    /// The extra field; this many bytes are left.
    Extra(u16),
    /// File name up to NUL.
    Name(u16),
    /// Comment up to NUL.
    Comment(u16),
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

/// What block ends are looked at for.
#[derive(Debug)]
enum Wanted {
    /// Checkpoints by the span rule, with their windows.
    Spans(SpanRule, GzipZinfo),
    /// To hold claims against them.
    Claims(Claims),
}

/// The walker: fed with the blob's bytes in order, it hands out the uncompressed bytes.
#[derive(Debug)]
pub(crate) struct GzipWalker {
    phase: Phase,
    /// Bytes of the field being read.
    field: [u8; 10],
    field_len: usize,
    flags: u8,
    header_crc: crc32fast::Hasher,
    body_crc: crc32fast::Hasher,
    body_len: u32,
    members: u64,
    /// Whether the current member was begun in its middle, so that its checksum cannot be known.
    partial: bool,
    inflater: Inflater,
    window: OutputWindow,
    wanted: Wanted,
    /// Where the first member's header ends.
    header: Option<u64>,
    total_in: u64,
    total_out: u64,
}

impl GzipWalker {
    /// A walker at the start of a blob, for spans of `span_size` bytes.
    pub(crate) fn new(span_size: u64) -> Self {
        Self::start(Wanted::Spans(SpanRule::new(span_size), GzipZinfo::new(span_size)))
    }

    /// A walker at the start of a blob that makes no checkpoints, but looks which of `claims` are some.
    pub(crate) fn judge(claims: Vec<Checkpoint>) -> Self {
        Self::start(Wanted::Claims(Claims::new(claims)))
    }

    fn start(wanted: Wanted) -> Self {
        Self {
            phase: Phase::Header(Field::Fixed),
            field: [0; 10],
            field_len: 0,
            flags: 0,
            header_crc: crc32fast::Hasher::new(),
            body_crc: crc32fast::Hasher::new(),
            body_len: 0,
            members: 0,
            partial: false,
            inflater: Inflater::new(),
            window: OutputWindow::new(),
            wanted,
            header: None,
            total_in: 0,
            total_out: 0,
        }
    }

    /// A walker at a checkpoint inside a blob: what it is fed with next are the bytes from the checkpoint's
    /// `compressed_offset` on, and `byte` is the one before them.
    pub(crate) fn resume(checkpoint: &Checkpoint, byte: u8, window: &[u8; WINDOW_SIZE]) -> Self {
        let mut walker = Self::judge(Vec::new());
        walker.phase = Phase::Body;
        walker.partial = true;
        walker.inflater.resume(byte, checkpoint.bits);
        walker.window.set_history(window);
        walker.total_in = checkpoint.compressed_offset;
        walker
    }

    /// The last 32 KiB of output, zeros before its beginning.
    pub(crate) fn history(&self) -> &[u8; WINDOW_SIZE] {
        self.window.history()
    }

    /// Takes the next bytes of the blob. New uncompressed bytes go to `output`, new checkpoints to
    /// `checkpoints`, both in order.
    ///
    /// # Errors
    /// The first thing that is wrong; the walker is then of no further use.
    pub(crate) fn feed(
        &mut self,
        chunk: &[u8],
        mut output: impl FnMut(&[u8]),
        checkpoints: &mut Vec<Checkpoint>,
    ) -> Result<(), GzipError> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let taken = match self.phase {
                Phase::Header(field) => {
                    let byte = rest[0];
                    self.header_byte(field, byte).map_err(|kind| self.error(kind))?;
                    self.total_in += 1;
                    if self.phase == Phase::Body {
                        self.header.get_or_insert(self.total_in);
                        self.candidate(0, checkpoints)?;
                    }
                    1
                }
                Phase::Body => self.body(rest, &mut output, checkpoints)?,
                Phase::Trailer => {
                    self.trailer_byte(rest[0])?;
                    self.total_in += 1;
                    1
                }
            };
            rest = &rest[taken..];
        }
        Ok(())
    }

    /// The blob has ended: all checkpoints, and the length of all output.
    ///
    /// # Errors
    /// [`GzipErrorKind::Truncated`].
    pub(crate) fn finish(self) -> Result<(GzipZinfo, u64), GzipError> {
        let place = match self.phase {
            Phase::Header(Field::Fixed) if self.field_len == 0 && self.members > 0 => {
                let zinfo = match self.wanted {
                    Wanted::Spans(_, zinfo) => zinfo,
                    Wanted::Claims(_) => GzipZinfo::new(0),
                };
                return Ok((zinfo, self.total_out));
            }
            Phase::Header(_) => "inside a member's header",
            Phase::Body => "inside compressed data",
            Phase::Trailer => "inside a member's trailer",
        };
        Err(self.error(GzipErrorKind::Truncated(place)))
    }

    /// For each claim whether it was met; none for a walker that has no claims.
    pub(crate) fn met(&self) -> &[bool] {
        match &self.wanted {
            Wanted::Spans(..) => &[],
            Wanted::Claims(claims) => claims.met(),
        }
    }

    /// Where the first member's header ends.
    pub(crate) fn header(&self) -> Option<u64> {
        self.header
    }

    fn error(&self, kind: GzipErrorKind) -> GzipError {
        GzipError { offset: self.total_in, kind }
    }

    fn candidate(&mut self, bits: u8, out: &mut Vec<Checkpoint>) -> Result<(), GzipError> {
        let here = Checkpoint {
            compressed_offset: self.total_in,
            uncompressed_offset: self.total_out,
            bits,
        };
        match &mut self.wanted {
            Wanted::Spans(rule, zinfo) => {
                if rule.take(self.total_out) {
                    if zinfo.len() == MAX_CHECKPOINTS {
                        return Err(self.error(GzipErrorKind::TooManyCheckpoints));
                    }
                    zinfo.push(&here, self.window.history());
                    out.push(here);
                }
            }
            Wanted::Claims(claims) => claims.meet(&here),
        }
        Ok(())
    }

    /// Inflates until the input is used up or the member's data ends. Returns the bytes taken.
    fn body(
        &mut self,
        input: &[u8],
        output: &mut impl FnMut(&[u8]),
        checkpoints: &mut Vec<Checkpoint>,
    ) -> Result<usize, GzipError> {
        let mut taken = 0;
        loop {
            // Stopping at block ends costs time, so it is asked for only where one can count.
            let quiet = match &mut self.wanted {
                Wanted::Spans(rule, _) => rule.quiet(self.total_out),
                Wanted::Claims(claims) => claims.quiet(self.total_out),
            };
            let watch = quiet == 0;
            let (buffer, room) = self.window.room(if watch { u64::MAX } else { quiet });
            let limit = room.len();
            let step = self
                .inflater
                .inflate(&input[taken..], buffer, room, watch)
                .map_err(|error| self.error(error.into()))?;
            taken += step.consumed;
            self.total_in += step.consumed as u64;
            if step.produced > 0 {
                let fresh = self.window.commit(step.produced);
                self.body_crc.update(fresh);
                output(fresh);
                self.body_len = self.body_len.wrapping_add(step.produced as u32);
                self.total_out += step.produced as u64;
            }
            match step.stop {
                Stop::BlockEnd { bits } => self.candidate(bits, checkpoints)?,
                Stop::StreamEnd => {
                    self.phase = Phase::Trailer;
                    self.field_len = 0;
                    return Ok(taken);
                }
                // Output can be pending with all input taken, but then the room was used up.
                Stop::Buffer if taken == input.len() && step.produced < limit => {
                    return Ok(taken);
                }
                Stop::Buffer => {}
            }
        }
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<(), GzipError> {
        self.field[self.field_len] = byte;
        self.field_len += 1;
        if self.field_len < 8 {
            return Ok(());
        }
        let word = |at: usize| {
            u32::from_le_bytes([
                self.field[at],
                self.field[at + 1],
                self.field[at + 2],
                self.field[at + 3],
            ])
        };
        let (crc, length) = (word(0), word(4));
        let found = std::mem::take(&mut self.body_crc).finalize();
        if !std::mem::take(&mut self.partial) {
            if crc != found {
                return Err(self.error(GzipErrorKind::Checksum { expected: crc, found }));
            }
            if length != self.body_len {
                let found = self.body_len;
                return Err(self.error(GzipErrorKind::Length { expected: length, found }));
            }
        }
        self.members += 1;
        self.header_crc.reset();
        self.begin_field(Field::Fixed);
        Ok(())
    }

    fn begin_field(&mut self, field: Field) {
        self.phase = Phase::Header(field);
        self.field_len = 0;
    }

    fn header_byte(&mut self, field: Field, byte: u8) -> Result<(), GzipErrorKind> {
        if field != Field::HeaderChecksum {
            self.header_crc.update(&[byte]);
        }
        match field {
            Field::Fixed => {
                self.field[self.field_len] = byte;
                self.field_len += 1;
                self.fixed_byte(byte)?;
                if self.field_len == 10 {
                    self.after(0);
                }
            }
            Field::ExtraLength => {
                self.field[self.field_len] = byte;
                self.field_len += 1;
                if self.field_len == 2 {
                    match u16::from_le_bytes([self.field[0], self.field[1]]) {
                        0 => self.after(FLAG_EXTRA),
                        length => self.begin_field(Field::Extra(length)),
                    }
                }
            }
            Field::Extra(1) => self.after(FLAG_EXTRA),
            Field::Extra(left) => self.phase = Phase::Header(Field::Extra(left - 1)),
            Field::Name(_) if byte == 0 => self.after(FLAG_NAME),
            Field::Comment(_) if byte == 0 => self.after(FLAG_COMMENT),
            Field::Name(MAX_TEXT) | Field::Comment(MAX_TEXT) => {
                return Err(GzipErrorKind::LongText);
            }
            Field::Name(length) => self.phase = Phase::Header(Field::Name(length + 1)),
            Field::Comment(length) => self.phase = Phase::Header(Field::Comment(length + 1)),
            Field::HeaderChecksum => {
                self.field[self.field_len] = byte;
                self.field_len += 1;
                if self.field_len == 2 {
                    let expected = u16::from_le_bytes([self.field[0], self.field[1]]);
                    let found = self.header_crc.clone().finalize() as u16;
                    if expected != found {
                        return Err(GzipErrorKind::HeaderChecksum { expected, found });
                    }
                    self.begin_body();
                }
            }
        }
        Ok(())
    }

    /// Checks a byte of the fixed part as soon as it is there, so that the error names its place.
    fn fixed_byte(&mut self, byte: u8) -> Result<(), GzipErrorKind> {
        match self.field_len {
            1 if byte == 0x1f => {}
            2 if byte == 0x8b => {}
            1 | 2 if self.members > 0 => return Err(GzipErrorKind::TrailingBytes),
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
        let next = |candidate: u8| candidate > flag && self.flags & candidate != 0;
        if next(FLAG_EXTRA) {
            self.begin_field(Field::ExtraLength);
        } else if next(FLAG_NAME) {
            self.begin_field(Field::Name(0));
        } else if next(FLAG_COMMENT) {
            self.begin_field(Field::Comment(0));
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
