//! Scans a layer: one pass over the blob gives everything a zTOC holds.
//!
//! ```text
//! blob ──► blob digest
//!   │
//!   ├────► span digests ◄── span starts ──┐
//!   └────► gzip members, deflate blocks ──┴─► checkpoints
//!                 │ uncompressed bytes
//!                 └──► tar headers ──► TOC
//! ```
//!
//! The parts know nothing of each other and nothing of files, threads or layouts: [`source`] reads and
//! hashes, [`gzip`] and [`inflate`] find members and blocks, [`checkpoint`] decides, [`span`] hashes
//! spans, [`tar`] reads headers. This module wires them. Memory is bounded by the TOC, the checkpoints
//! and fixed buffers, whatever the size of the layer.

mod checkpoint;
mod gzip;
mod inflate;
mod source;
mod span;
pub mod tar;
mod window;

use std::io::Read;

use crate::digest::Digest;
use crate::media_type::Compression;
use crate::ztoc::Ztoc;
use crate::ztoc::zinfo::{Checkpoint, TarZinfo};
use crate::ztoc::{Zinfo, toc::Toc};
use gzip::GzipWalker;
use source::Source;
use span::{SpanHasher, SpanStart};
use tar::{TarError, TarSummary, TarWalker};

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
}

/// What a scan found.
#[derive(Debug)]
pub enum Scan {
    /// The layer's zTOC.
    Indexed(Box<Ztoc>),
    /// The blob is sound, but no reader could load the layer rightly.
    Unsupported {
        /// Why, naming the entry that caused it.
        reason: String,
    },
}

/// Why a scan failed.
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
    /// The digest is right, but the content is not a layer.
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
pub trait ScanObserver {
    /// Bytes of the blob read so far.
    fn progress(&self, bytes: u64);
    /// Whether to give up.
    fn cancelled(&self) -> bool;
}

/// Scans one layer from its blob.
///
/// # Errors
/// [`ScanError`]. A wrong digest or size outranks what else is wrong, as it is the cause.
pub fn scan(
    blob: &mut dyn Read,
    request: &ScanRequest<'_>,
    observer: &dyn ScanObserver,
) -> Result<Scan, ScanError> {
    let mut source = Source::new(blob, request, observer);
    let outcome = match request.compression {
        Compression::Gzip => scan_gzip(&mut source, request),
        Compression::None => scan_tar(&mut source, request),
    };
    let outcome = match outcome {
        Err(Halt::Stopped(error)) => return Err(error),
        other => other,
    };
    // The rest is read for its digest alone, also behind an error: corruption is then told as such.
    source.finish()?;
    match outcome {
        Ok(ztoc) => Ok(Scan::Indexed(Box::new(ztoc))),
        Err(Halt::Unsupported(reason)) => Ok(Scan::Unsupported { reason }),
        Err(Halt::Content(error) | Halt::Stopped(error)) => Err(error),
    }
}

/// Why a scan ends before the blob does.
enum Halt {
    /// At once.
    Stopped(ScanError),
    /// When the digest has been checked: an error.
    Content(ScanError),
    /// When the digest has been checked: no error.
    Unsupported(String),
}

impl From<TarError> for Halt {
    fn from(error: TarError) -> Self {
        if error.is_unsupported() {
            return Self::Unsupported(error.to_string());
        }
        Self::Content(ScanError::Content {
            problem: format!("not a valid tar archive: {error}"),
            offset: None,
            uncompressed_offset: Some(error.offset()),
        })
    }
}

impl From<gzip::GzipError> for Halt {
    fn from(error: gzip::GzipError) -> Self {
        if error.kind.is_unsupported() {
            return Self::Unsupported(error.to_string());
        }
        Self::Content(ScanError::Content {
            problem: error.to_string(),
            offset: Some(error.offset),
            uncompressed_offset: None,
        })
    }
}

fn scan_gzip(source: &mut Source<'_>, request: &ScanRequest<'_>) -> Result<Ztoc, Halt> {
    let mut walker = GzipWalker::new(request.span_size);
    let mut spans = SpanHasher::default();
    let mut tar = TarWalker::new();
    let (mut checkpoints, mut starts): (Vec<Checkpoint>, Vec<SpanStart>) = (Vec::new(), Vec::new());
    while let Some(chunk) = source.next().map_err(Halt::Stopped)? {
        let mut tar_result = Ok(());
        checkpoints.clear();
        walker.feed(
            chunk,
            |bytes| {
                if tar_result.is_ok() {
                    tar_result = tar.feed(bytes);
                }
            },
            &mut checkpoints,
        )?;
        tar_result?;
        starts.clear();
        starts.extend(checkpoints.iter().map(|checkpoint| SpanStart {
            offset: checkpoint.compressed_offset,
            shares_byte: checkpoint.bits != 0,
        }));
        spans.feed(chunk, &starts);
    }
    let (zinfo, _) = walker.finish()?;
    let TarSummary { toc, archive_size, .. } = tar.finish()?;
    Ok(assemble(request, toc, archive_size, Zinfo::Gzip(zinfo), spans))
}

fn scan_tar(source: &mut Source<'_>, request: &ScanRequest<'_>) -> Result<Ztoc, Halt> {
    let mut spans = SpanHasher::default();
    let mut tar = TarWalker::new();
    let mut starts = Vec::new();
    let (mut position, mut next_start) = (0_u64, 0_u64);
    while let Some(chunk) = source.next().map_err(Halt::Stopped)? {
        tar.feed(chunk)?;
        let end = position + chunk.len() as u64;
        starts.clear();
        while next_start < end {
            starts.push(SpanStart { offset: next_start, shares_byte: false });
            next_start = next_start.saturating_add(request.span_size);
        }
        spans.feed(chunk, &starts);
        position = end;
    }
    let TarSummary { toc, archive_size, .. } = tar.finish()?;
    let zinfo = TarZinfo { span_size: request.span_size, size: request.size };
    Ok(assemble(request, toc, archive_size, Zinfo::Tar(zinfo), spans))
}

fn assemble(
    request: &ScanRequest<'_>,
    toc: Toc,
    archive_size: u64,
    zinfo: Zinfo,
    spans: SpanHasher,
) -> Ztoc {
    Ztoc {
        build_tool_identifier: request.build_tool_identifier.to_owned(),
        compressed_archive_size: request.size,
        uncompressed_archive_size: archive_size,
        toc,
        zinfo,
        span_digests: spans.finish(),
    }
}
