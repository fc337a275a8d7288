//! The scan of one layer: what is asked, what it gives, and the pass itself.

use std::io::Read;
use std::sync::Arc;

use super::eager::{EagerCause, EagerReason};
use super::source::Source;
use super::splitter::{Handle, Splitter};
use super::threads::{self, Division};
use super::walk::LayerWalker;
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;
use crate::ztoc::Ztoc;
use crate::ztoc::zinfo::Checkpoint;

/// What is to be scanned.
#[derive(Clone, Debug)]
pub struct ScanRequest<'a> {
    /// Digest by the layer's descriptor.
    pub digest: Digest,
    /// Size of the blob by the layer's descriptor, in bytes.
    pub size: u64,
    /// By the layer's media type.
    pub compression: Compression,
    /// Uncompressed bytes between checkpoints, at least 1.
    pub span_size: u64,
    /// Text that goes into the zTOC.
    pub build_tool_identifier: &'a str,
    /// Whether a second thread may read and hash, and inflate ahead: members in a layer of many, and parts of members
    /// as long as the observer grants threads for it.
    pub second_thread: bool,
}

/// What a scan found.
#[derive(Debug)]
pub enum Scan {
    /// The layer's zTOC.
    Indexed(Box<Ztoc>),
    /// The blob is that of its digest, but no reader could load the layer lazily and correctly.
    Eager(EagerReason),
}

/// Why a layer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Reading the blob.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// The scan was told to end.
    #[error("cancelled")]
    Cancelled,
    /// The blob's bytes are not those of the descriptor's digest.
    #[error("content does not match its digest (found {found})")]
    Digest {
        /// Digest of the bytes read.
        found: Digest,
    },
    /// The blob has another size than its descriptor says.
    #[error("size does not match the descriptor (found {found} bytes)")]
    Size {
        /// Bytes read; at least, when it is too long.
        found: u64,
    },
    /// The content is not what is wanted. A [`scan`] never ends like this: such a layer is eager.
    #[error("{problem}")]
    Content {
        /// What is wrong.
        problem: String,
        /// Offset in the blob, for gzip.
        offset: Option<u64>,
        /// Offset in the uncompressed archive, for tar.
        uncompressed_offset: Option<u64>,
    },
}

/// What a scan tells while it runs, and asks.
pub trait ScanObserver: Sync {
    /// Bytes of the blob read so far.
    fn progress(&self, bytes: u64);
    /// Whether to give up.
    fn cancelled(&self) -> bool;
    /// How many threads may work on this blob now. From two on they may be given guesses that are sometimes wrong; more
    /// than two are started as the blob needs them.
    fn threads(&self) -> usize {
        1
    }
}

/// Scans one layer from its blob.
///
/// # Errors
/// [`ScanError`]: the layer is damaged or cannot be read. A wrong digest or size outranks what else is wrong, as
/// it is the cause.
pub fn scan(
    blob: &mut (dyn Read + Send),
    request: &ScanRequest<'_>,
    observer: &dyn ScanObserver,
) -> Result<Scan, ScanError> {
    divided(blob, request, observer, threads::DIVISION)
}

/// [`scan`], with the work divided like this if there is a second thread.
pub(super) fn divided(
    blob: &mut (dyn Read + Send),
    request: &ScanRequest<'_>,
    observer: &dyn ScanObserver,
    division: Division,
) -> Result<Scan, ScanError> {
    if request.compression == Compression::None && request.size == 0 {
        // The zTOC would have no span at all, which the reference's reader refuses.
        return Ok(Scan::Eager(EagerReason::new(
            EagerCause::Unreadable,
            "the layer is empty (0 bytes)",
        )));
    }
    let mut source = Source::new(blob, request.size);
    let gzip = request.compression == Compression::Gzip;
    let splitter = Arc::new(Splitter::new(division.split, gzip));
    let mut walker = LayerWalker::new(request);
    if request.second_thread {
        walker.set_ahead(Box::new(Handle::new(Arc::clone(&splitter))));
    }
    let walk = |chunk: &[u8], starts: &mut Vec<Checkpoint>| {
        // The digest still decides whether the blob is sound.
        if !walker.feed(chunk, starts) {
            splitter.close();
        }
    };
    let hasher = if request.second_thread {
        threads::together(&mut source, walk, observer, division, &splitter, None)?
    } else {
        threads::alone(&mut source, walk, observer)?
    };
    let (found, span_digests) = hasher.finish();
    if found != request.digest {
        return Err(ScanError::Digest { found });
    }
    Ok(match walker.finish() {
        Ok((tar, zinfo)) => Scan::Indexed(Box::new(Ztoc {
            build_tool_identifier: request.build_tool_identifier.to_owned(),
            compressed_archive_size: request.size,
            uncompressed_archive_size: tar.archive_size,
            toc: tar.toc,
            zinfo,
            span_digests,
        })),
        Err(reason) => Scan::Eager(reason),
    })
}
