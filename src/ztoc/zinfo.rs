//! The packed checkpoints inside a zTOC ("zinfo").
//!
//! For gzip: a header of 12 bytes and 32 785 bytes per checkpoint, little endian, as
//! `ztoc/compression/gzip_zinfo.c` packs its structs (`soci-formats` 3.1). For plain tar: a small
//! flatbuffer (`ztoc/compression/fbs/zinfo.fbs`, `soci-formats` 4).

use crate::ztoc::flatbuffer::write::{Back, Count, Fill, OFFSET, Table, Vtables};

/// Bytes of history a deflate stream can refer to, and so of a checkpoint's window.
pub const WINDOW_SIZE: usize = 32 << 10;
/// Bytes before the first checkpoint.
pub(super) const HEADER_SIZE: usize = 12;
/// Bytes of one checkpoint: `in`, `out`, `bits`, window.
pub(super) const RECORD_SIZE: usize = 8 + 8 + 1 + WINDOW_SIZE;

/// A place in a gzip layer where inflating can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Offset of the first byte of the blob that is wholly unread.
    pub compressed_offset: u64,
    /// Offset in the uncompressed archive.
    pub uncompressed_offset: u64,
    /// High bits (0 to 7) of the byte before `compressed_offset` that are still unread.
    pub bits: u8,
}

impl Checkpoint {
    /// Reads what stands in front of a packed window.
    pub(super) fn unpack(record: &[u8; 17]) -> Self {
        let [compressed_offset, uncompressed_offset] = [&record[..8], &record[8..16]]
            .map(|bytes| u64::from_le_bytes(*bytes.first_chunk().expect("eight bytes")));
        Self { compressed_offset, uncompressed_offset, bits: record[16] }
    }

    /// First byte of the blob that a reader of the span needs.
    #[must_use]
    pub fn span_start(&self) -> u64 {
        self.compressed_offset.saturating_sub(u64::from(self.bits != 0))
    }
}

/// Checkpoints of a gzip layer, in packed form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GzipZinfo {
    bytes: Vec<u8>,
}

/// A blob that is no packed checkpoint list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("checkpoints: {0}")]
pub struct ZinfoError(String);

/// The reference computes the packed size in 32-bit arithmetic and a flatbuffer ends at 1 GiB, so a
/// zTOC never holds more (`soci-formats` 9.1 no. 11).
pub const MAX_CHECKPOINTS: usize = ((1 << 30) - HEADER_SIZE) / RECORD_SIZE;

/// Bytes of `count` packed checkpoints; `None` for none of them, or more than can be.
pub(super) fn packed_size(count: u64) -> Option<u64> {
    (1..=MAX_CHECKPOINTS as u64)
        .contains(&count)
        .then(|| HEADER_SIZE as u64 + count * RECORD_SIZE as u64)
}

impl GzipZinfo {
    /// No checkpoints yet, for spans of `span_size` bytes.
    #[must_use]
    pub fn new(span_size: u64) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_SIZE + RECORD_SIZE);
        bytes.extend_from_slice(&0_i32.to_le_bytes());
        bytes.extend_from_slice(&span_size.to_le_bytes());
        Self { bytes }
    }

    /// Appends a checkpoint with its window.
    pub fn push(&mut self, checkpoint: &Checkpoint, window: &[u8; WINDOW_SIZE]) {
        self.bytes.extend_from_slice(&checkpoint.compressed_offset.to_le_bytes());
        self.bytes.extend_from_slice(&checkpoint.uncompressed_offset.to_le_bytes());
        self.bytes.push(checkpoint.bits);
        self.bytes.extend_from_slice(window);
        let count = self.len() as i32;
        self.bytes[..4].copy_from_slice(&count.to_le_bytes());
    }

    /// Takes packed bytes of version 2, the only one that is written.
    ///
    /// # Errors
    /// When the length does not fit the count in the header.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ZinfoError> {
        let Some(count) = bytes.first_chunk::<4>().map(|c| i32::from_le_bytes(*c)) else {
            return Err(ZinfoError(format!("{} bytes are too few for a header", bytes.len())));
        };
        if u64::try_from(count).ok().and_then(packed_size) == Some(bytes.len() as u64) {
            Ok(Self { bytes })
        } else {
            Err(ZinfoError(format!("{} bytes do not hold {count} checkpoints", bytes.len())))
        }
    }

    /// The packed form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of checkpoints, which is the number of spans.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.bytes.len() - HEADER_SIZE) / RECORD_SIZE
    }

    /// Whether there is no checkpoint.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The span size the checkpoints were made for, in bytes.
    #[must_use]
    pub fn span_size(&self) -> u64 {
        self.bytes[4..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The checkpoint at `position`.
    ///
    /// # Panics
    /// When `position` is not below [`Self::len`].
    #[must_use]
    pub fn checkpoint(&self, position: usize) -> Checkpoint {
        let record = &self.bytes[HEADER_SIZE + position * RECORD_SIZE..];
        Checkpoint::unpack(record.first_chunk().expect("all records are whole"))
    }

    /// The window of the checkpoint at `position`: the [`WINDOW_SIZE`] bytes of output in front of it.
    ///
    /// # Panics
    /// When `position` is not below [`Self::len`].
    #[must_use]
    pub fn window(&self, position: usize) -> &[u8; WINDOW_SIZE] {
        let start = HEADER_SIZE + position * RECORD_SIZE + 17;
        self.bytes[start..].first_chunk().expect("all records are whole")
    }

    /// All checkpoints in order.
    #[must_use]
    pub fn checkpoints(&self) -> impl ExactSizeIterator<Item = Checkpoint> {
        (0..self.len()).map(|position| self.checkpoint(position))
    }
}

/// The flatbuffer that stands in for checkpoints when the layer is a plain tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TarZinfo {
    /// Bytes per span.
    pub span_size: u64,
    /// Bytes of the layer.
    pub size: u64,
}

/// Version that the reference writes.
const TAR_ZINFO_VERSION: u32 = 2;

impl TarZinfo {
    /// Number of spans.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.size.div_ceil(self.span_size)
    }

    /// Whether the layer is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Where the span with this number begins: at any place of a plain tar reading can begin.
    pub(crate) fn checkpoint(&self, number: u64) -> Checkpoint {
        let offset = number.saturating_mul(self.span_size);
        Checkpoint { compressed_offset: offset, uncompressed_offset: offset, bits: 0 }
    }

    /// The flatbuffer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut size = Count::default();
        self.put(&mut size);
        let mut bytes = vec![0; size.used() as usize];
        self.put(&mut Fill::new(&mut bytes, 0));
        bytes
    }

    fn put(&self, out: &mut impl Back) {
        let mut table = Table::new(out);
        table.int(out, 0, TAR_ZINFO_VERSION);
        table.long(out, 1, self.span_size as i64);
        table.long(out, 2, self.size as i64);
        let alignment = if table.has_long { 8 } else { OFFSET };
        let root = table.end(out, &mut Vtables::default());
        out.align(OFFSET, alignment);
        out.offset(root);
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    static ZEROS: [u8; WINDOW_SIZE] = [0; WINDOW_SIZE];
    static SEVENS: [u8; WINDOW_SIZE] = [7; WINDOW_SIZE];

    #[test]
    fn packs_as_the_reference_does() {
        let mut zinfo = GzipZinfo::new(4 << 20);
        let first = Checkpoint { compressed_offset: 10, uncompressed_offset: 0, bits: 0 };
        let second = Checkpoint { compressed_offset: 73, uncompressed_offset: 512, bits: 4 };
        zinfo.push(&first, &ZEROS);
        zinfo.push(&second, &SEVENS);
        let bytes = zinfo.as_bytes().to_vec();
        assert_eq!(bytes.len(), 12 + 2 * 32785);
        assert_eq!(bytes[..13], [2, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 10]);
        let read = GzipZinfo::from_bytes(bytes).expect("own bytes");
        assert_eq!(read.checkpoints().collect::<Vec<_>>(), [first, second]);
        assert_eq!((read.span_size(), second.span_start()), (4 << 20, 72));
    }

    #[test]
    fn refuses_lengths_that_do_not_fit() {
        for bytes in [vec![], vec![0; 12], vec![255; 12 + 32785], vec![1; 12 + 32784]] {
            assert!(GzipZinfo::from_bytes(bytes).is_err());
        }
    }

    #[test]
    fn tar_zinfo_is_the_documented_example() {
        let expected = concat!(
            "140000000000000000000a001c0018000c0004000a000000",
            "000e00000000000000004000000000000000000002000000",
        );
        let mut hex = String::new();
        for byte in (TarZinfo { span_size: 4_194_304, size: 3584 }).encode() {
            let _ = write!(hex, "{byte:02x}");
        }
        assert_eq!(hex, expected);
    }
}
