//! The uncompressed bytes of a layer as a stream: from the blob's beginning, or from a checkpoint.
//!
//! What a reader of files needs, and nothing of what makes a zTOC. Memory is bounded by fixed buffers (for zstd
//! by the window that the frame asks for, at most 128 MiB).

use std::io::Read;

use super::gzip::{GzipError, GzipWalker};
use super::source::{Taker, pieces};
use super::{ScanError, zstd};
use crate::ztoc::zinfo::{Checkpoint, WINDOW_SIZE};

/// How a layer is compressed. Wider than [`crate::oci::media_type::Compression`]: not all that can be read can
/// be indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Codec {
    /// Plain tar.
    Plain,
    /// gzip with any number of members.
    Gzip,
    /// zstd with any number of frames.
    Zstd,
}

/// Unpacks a blob from its beginning, until `take` has enough or the blob ends.
///
/// # Errors
/// [`ScanError::Read`] and [`ScanError::Content`].
pub(crate) fn unpack(
    blob: &mut dyn Read,
    codec: Codec,
    take: &mut Taker<'_>,
) -> Result<(), ScanError> {
    match codec {
        Codec::Plain => Ok(pieces(blob, take)?),
        Codec::Gzip => {
            let mut walker = Box::new(GzipWalker::new(u64::MAX >> 1));
            if inflate(&mut walker, blob, take)? {
                walker.finish().map_err(|error| content(&error))?;
            }
            Ok(())
        }
        Codec::Zstd => zstd::unpack(blob, take),
    }
}

/// Inflates from a checkpoint until `take` has enough or `span` ends, the bytes of the blob from the
/// checkpoint's `compressed_offset` on. `byte` is the one before them. Gives the last 32 KiB of content at
/// the end of the span, or `None` when `take` had enough before.
///
/// # Errors
/// As [`unpack`]; offsets are those in the blob.
pub(crate) fn resume(
    checkpoint: &Checkpoint,
    byte: u8,
    window: &[u8; WINDOW_SIZE],
    span: &mut dyn Read,
    take: &mut Taker<'_>,
) -> Result<Option<Box<[u8; WINDOW_SIZE]>>, ScanError> {
    let mut walker = Box::new(GzipWalker::resume(checkpoint, byte, window));
    let whole = inflate(&mut walker, span, take)?;
    Ok(whole.then(|| Box::new(*walker.history())))
}

/// Feeds the walker; tells whether the input came to its end.
fn inflate(
    walker: &mut GzipWalker,
    input: &mut dyn Read,
    take: &mut Taker<'_>,
) -> Result<bool, ScanError> {
    let (mut failed, mut more, mut ignored) = (None, true, Vec::new());
    pieces(input, &mut |chunk| {
        let output = |bytes: &[u8]| more = more && take(bytes);
        failed = walker.feed(chunk, output, &mut ignored).err();
        ignored.clear();
        failed.is_none() && more
    })?;
    match failed {
        // What follows the wanted bytes is not read.
        Some(error) if more => Err(content(&error)),
        _ => Ok(more),
    }
}

fn content(error: &GzipError) -> ScanError {
    ScanError::Content {
        problem: error.to_string(),
        offset: Some(error.offset),
        uncompressed_offset: None,
    }
}
