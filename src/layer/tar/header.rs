//! One 512-byte header block: checksum, format and fields (`soci-formats` 2.2; Go `archive/tar` `reader.go`,
//! `format.go`, `strconv.go`).

use std::ffi::CStr;
use std::ops::Range;

use super::error::TarErrorKind;

/// Bytes of a tar block.
pub(super) const BLOCK_SIZE: usize = 512;

/// One tar block.
pub(in crate::layer) type Block = [u8; BLOCK_SIZE];

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE_FLAG: usize = 156;
const LINKNAME: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..263;
const VERSION: Range<usize> = 263..265;
const UNAME: Range<usize> = 265..297;
const GNAME: Range<usize> = 297..329;
const DEVMAJOR: Range<usize> = 329..337;
const DEVMINOR: Range<usize> = 337..345;
const USTAR_PREFIX: Range<usize> = 345..500;
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_ATIME: Range<usize> = 476..488;
const STAR_CTIME: Range<usize> = 488..500;
const STAR_TRAILER: Range<usize> = 508..512;
const GNU_ATIME: Range<usize> = 345..357;
const GNU_CTIME: Range<usize> = 357..369;

/// The dialect of a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::layer) enum Format {
    V7,
    /// USTAR and PAX: their header blocks cannot be told apart.
    Ustar,
    Star,
    Gnu,
}

/// The fields of one header block. Texts are cut at their first NUL.
#[derive(Clone, Debug)]
pub(in crate::layer) struct Header<'a> {
    pub(super) format: Format,
    pub(super) type_flag: u8,
    /// Goes before `name` with a slash between them, unless empty.
    pub(super) prefix: &'a [u8],
    pub(super) name: &'a [u8],
    pub(super) linkname: &'a [u8],
    pub(super) uname: &'a [u8],
    pub(super) gname: &'a [u8],
    pub(super) size: i64,
    pub(super) mode: i64,
    pub(super) uid: i64,
    pub(super) gid: i64,
    /// Seconds since 1970.
    pub(super) mtime: i64,
    pub(super) devmajor: i64,
    pub(super) devminor: i64,
}

impl<'a> Header<'a> {
    /// Parses a block that is not all zero.
    ///
    /// # Errors
    /// When the checksum does not match or a numeric field of the format is malformed, used or not.
    pub(in crate::layer) fn parse(block: &'a Block) -> Result<Self, TarErrorKind> {
        if !checksum_matches(block) {
            return Err(TarErrorKind::Checksum);
        }
        let number = |range: Range<usize>, field| {
            numeric(&block[range]).ok_or(TarErrorKind::Number { field })
        };
        let mut header = Self {
            format: format(block),
            type_flag: block[TYPE_FLAG],
            prefix: &[],
            name: text(&block[NAME]),
            linkname: text(&block[LINKNAME]),
            uname: &[],
            gname: &[],
            size: number(SIZE, "size")?,
            mode: number(MODE, "mode")?,
            uid: number(UID, "uid")?,
            gid: number(GID, "gid")?,
            mtime: number(MTIME, "mtime")?,
            devmajor: 0,
            devminor: 0,
        };
        if header.format == Format::V7 {
            return Ok(header);
        }
        header.uname = text(&block[UNAME]);
        header.gname = text(&block[GNAME]);
        header.devmajor = number(DEVMAJOR, "devmajor")?;
        header.devminor = number(DEVMINOR, "devminor")?;
        match header.format {
            Format::V7 => {}
            Format::Ustar => header.prefix = text(&block[USTAR_PREFIX]),
            Format::Star => {
                header.prefix = text(&block[STAR_PREFIX]);
                number(STAR_ATIME, "atime")?;
                number(STAR_CTIME, "ctime")?;
            }
            Format::Gnu => header.prefix = gnu_prefix(block),
        }
        Ok(header)
    }

    /// The name with its prefix, in `buffer` when there is one.
    pub(super) fn full_name<'b>(&self, buffer: &'b mut Vec<u8>) -> &'b [u8]
    where
        'a: 'b,
    {
        if self.prefix.is_empty() {
            return self.name;
        }
        buffer.clear();
        buffer.extend_from_slice(self.prefix);
        buffer.push(b'/');
        buffer.extend_from_slice(self.name);
        buffer
    }
}

/// The name field of a block whose other fields could not be read.
pub(super) fn raw_name(block: &Block) -> &[u8] {
    text(&block[NAME])
}

/// Whether the block marks the end of the archive.
pub(in crate::layer) fn is_zero(block: &Block) -> bool {
    // Nearly every header starts with a name, which saves the long comparison.
    block[0] == 0 && *block == [0; BLOCK_SIZE]
}

/// GNU headers have no prefix, but Go's own writer before 1.8 put one over the two times. Go takes it back
/// when the times are no numbers and the text is ASCII.
fn gnu_prefix(block: &Block) -> &[u8] {
    let broken = |range: Range<usize>| block[range.start] != 0 && numeric(&block[range]).is_none();
    if broken(GNU_ATIME) || broken(GNU_CTIME) {
        let prefix = text(&block[USTAR_PREFIX]);
        if prefix.is_ascii() {
            return prefix;
        }
    }
    &[]
}

fn format(block: &Block) -> Format {
    match &block[MAGIC] {
        b"ustar\0" if &block[STAR_TRAILER] == b"tar\0" => Format::Star,
        b"ustar\0" => Format::Ustar,
        b"ustar " if &block[VERSION] == b" \0" => Format::Gnu,
        _ => Format::V7,
    }
}

/// The field holds the sum of all bytes with the field itself as spaces; old Sun tar took bytes as signed.
fn checksum_matches(block: &Block) -> bool {
    let Some(stored) = octal(&block[CHECKSUM]) else { return false };
    let spaces = i64::from(b' ') * 8;
    let unsigned = byte_sum(block) - byte_sum(&block[CHECKSUM]) + spaces;
    if stored == unsigned {
        return true;
    }
    let (before, after) = (&block[..CHECKSUM.start], &block[CHECKSUM.end..]);
    let bytes = before.iter().chain(after);
    let too_much = bytes.map(|byte| if *byte < 0x80 { 0 } else { 256 }).sum::<i64>();
    stored == unsigned - too_much
}

/// Sums in 16-bit lanes, which the compiler turns into vector code: this is most of the work per header.
fn byte_sum(bytes: &[u8]) -> i64 {
    // 256 bytes of at most 255 cannot overflow 16 bits.
    let half = |half: &[u8]| half.iter().fold(0u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
    bytes.chunks(256).map(|chunk| i64::from(half(chunk))).sum()
}

/// Text up to its first NUL, else all of it.
pub(super) fn text(field: &[u8]) -> &[u8] {
    CStr::from_bytes_until_nul(field).map_or(field, CStr::to_bytes)
}

/// A numeric field: base-256 when the highest bit of the first byte is set, else octal.
pub(super) fn numeric(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base256(field, *first),
        _ => octal(field),
    }
}

/// Big-endian two's complement; bit 0x40 of the first byte is the sign. The value must fit 64 bits.
fn base256(field: &[u8], first: u8) -> Option<i64> {
    // -x - 1 == !x, so a negative value is read as the positive one of its inverted bytes.
    let invert = if first & 0x40 == 0 { 0 } else { 0xff };
    let mut value = u64::from((first ^ invert) & 0x7f);
    for byte in &field[1..] {
        if value >> 56 != 0 {
            return None;
        }
        value = value << 8 | u64::from(byte ^ invert);
    }
    let value = i64::try_from(value).ok()?;
    Some(if invert == 0 { value } else { !value })
}

/// Octal digits with spaces and NULs around them; a NUL within ends the number; nothing at all is 0.
fn octal(field: &[u8]) -> Option<i64> {
    let mut rest = field;
    while let [b' ' | 0, tail @ ..] = rest {
        rest = tail;
    }
    let mut value = 0i64;
    while let [digit @ b'0'..=b'7', tail @ ..] = rest {
        // Never so for the twelve bytes a field has at most.
        if value >> 60 != 0 {
            return None;
        }
        value = value << 3 | i64::from(digit - b'0');
        rest = tail;
    }
    match rest {
        [] | [0, ..] => Some(value),
        [b' ', tail @ ..] if tail.iter().all(|byte| matches!(byte, b' ' | 0)) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"\0 644 \0\0", Some(0o644)),
            (b"        ", Some(0)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777", Some(0o77_777_777)),
            (b"12\x00xyz \0", Some(0o12)),
            (b"12 34\0\0\0", None),
            (b"12 \x00 \0\0 ", Some(0o12)),
            (b"12 \x004\0\0\0", None),
            (b" \0 8", None),
            (b"8\0\0\0\0\0\0\0", None),
            (b"-1\0\0\0\0\0\0", None),
            (b"+1\0\0\0\0\0\0", None),
            (b"0x1\0\0\0\0\0", None),
            (b"1_0\0\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\x01\x02", Some(0x102)),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff", Some(0x3fff_ffff_ffff_ffff)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\xc0\0\0\0\0\0\0\0", Some(-0x4000_0000_0000_0000)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", Some(i64::MIN)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
        ] {
            assert_eq!(numeric(field), value, "{field:x?}");
        }
        assert_eq!(octal(b"\x80\0\0\0\0\0\x01\x02"), None, "a checksum is never base-256");
    }

    #[test]
    fn checksum_with_signed_bytes() {
        let mut block: Block = [0; BLOCK_SIZE];
        block[..4].copy_from_slice(b"\xe4\xf6\xfca");
        let sum = |block: &Block| block.iter().map(|b| i64::from(*b)).sum::<i64>() + 256;
        let unsigned = sum(&block);
        for (value, good) in
            [(unsigned, true), (unsigned - 3 * 256, true), (unsigned - 256, false), (0, false)]
        {
            let mut block = block;
            block[CHECKSUM].copy_from_slice(format!("{value:06o}\0 ").as_bytes());
            assert_eq!(checksum_matches(&block), good, "{value}");
        }
        assert!(!checksum_matches(&block), "an empty field is 0");
        let signed = unsigned - 3 * 256;
        block[CHECKSUM].copy_from_slice(format!("{signed:06o}\0 ").as_bytes());
        block[CHECKSUM.end - 1] = 0xff;
        assert!(checksum_matches(&block), "what follows the number in its field does not count");
        assert_eq!(byte_sum(&[0xff; BLOCK_SIZE]), 512 * 255);
    }
}
