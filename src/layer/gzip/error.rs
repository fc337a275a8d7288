//! What can be wrong with a gzip stream.

use crate::layer::inflate::DataError;
use crate::ztoc::zinfo::MAX_CHECKPOINTS;

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
    /// The stream is sound, but needs more checkpoints than a zTOC can hold.
    #[error("more than {MAX_CHECKPOINTS} checkpoints are needed, more than a zTOC can hold")]
    TooManyCheckpoints,
}
