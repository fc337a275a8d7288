//! Holds a zTOC's claims about a layer against the layer.
//!
//! [`straight`] reads the blob once, as a runtime that unpacks it would, and notes what is true at the
//! places that the zTOC names; [`resume`] begins at a checkpoint, as a reader of the zTOC would. Where a
//! checkpoint may lie is not judged: another builder may have chosen otherwise, and a place is right when
//! inflating from it gives the bytes of the straight pass.

use std::io::Read;
use std::sync::Arc;

use super::content::FirstBytes;
use super::eager::EagerReason;
use super::gzip::GzipWalker;
use super::source::Source;
use super::splitter::{Handle, Splitter};
use super::tar::{TarSummary, TarWalker};
use super::threads::{self, DIVISION, Division};
use super::{ScanError, ScanObserver, unpack};
use crate::oci::digest::{Digest, Hasher};
use crate::oci::media_type::Compression;
use crate::ztoc::zinfo::{Checkpoint, WINDOW_SIZE};
use crate::ztoc::{Zinfo, Ztoc};

/// What is true of a layer.
#[derive(Debug)]
pub(crate) struct Truth {
    /// Digest of the blob.
    pub(crate) blob: Digest,
    /// Digest of its uncompressed content, if it could be read to its end.
    pub(crate) diff_id: Digest,
    /// Bytes of uncompressed content.
    pub(crate) output: u64,
    /// Whether the content was read to its end, so that `diff_id` is that of the whole.
    pub(crate) whole: bool,
    /// The archive, or why it is none.
    pub(crate) tar: Result<TarSummary, EagerReason>,
    /// Where the first gzip member's header ends, in the blob.
    pub(crate) header: Option<u64>,
    /// Digest of each span that begins inside the blob.
    pub(crate) spans: Vec<Digest>,
    /// For each checkpoint that lies inside the content.
    pub(crate) places: Vec<CheckpointTruth>,
}

/// What is true at a checkpoint's uncompressed offset.
#[derive(Debug)]
pub(crate) struct CheckpointTruth {
    /// Whether inflating went through this very place, with no bit of difference.
    pub(crate) proven: bool,
    /// Where the stored window first differs from the content before it: position in the window, what is
    /// there, what should be.
    pub(crate) window: Option<(usize, u8, u8)>,
    /// CRC-32 of the content from here to the next checkpoint or the end.
    pub(crate) crc: u32,
    /// Bytes of it.
    pub(crate) length: u64,
}

/// Watches the uncompressed content go by.
struct Content<'a> {
    tar: TarWalker,
    halted: Option<EagerReason>,
    diff_id: Hasher,
    position: u64,
    /// The last bytes, at most [`WINDOW_SIZE`].
    tail: Vec<u8>,
    claims: Vec<(u64, &'a [u8])>,
    places: Vec<CheckpointTruth>,
    crc: crc32fast::Hasher,
}

impl Content<'_> {
    fn take(&mut self, bytes: &[u8]) {
        if self.halted.is_none()
            && let Err(error) = self.tar.feed(bytes)
        {
            self.halted = Some(error.into());
        }
        self.diff_id.update(bytes);
        let mut from = 0;
        while let Some((offset, window)) = self.claims.get(self.places.len()).copied()
            && offset <= self.position + bytes.len() as u64
        {
            let at = offset.saturating_sub(self.position) as usize;
            self.advance(&bytes[from..at]);
            from = at;
            self.close();
            let differs = self.compare(&bytes[..at], window);
            self.places.push(CheckpointTruth { proven: false, window: differs, crc: 0, length: 0 });
        }
        self.advance(&bytes[from..]);
        self.position += bytes.len() as u64;
        let keep = WINDOW_SIZE.saturating_sub(bytes.len()).min(self.tail.len());
        self.tail.drain(..self.tail.len() - keep);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(WINDOW_SIZE)..]);
    }

    fn advance(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        if let Some(place) = self.places.last_mut() {
            place.length += bytes.len() as u64;
        }
    }

    /// Ends the stretch behind the last checkpoint.
    fn close(&mut self) {
        let crc = std::mem::take(&mut self.crc).finalize();
        if let Some(place) = self.places.last_mut() {
            place.crc = crc;
        }
    }

    /// Compares a window with the content in front of it: `fresh` and, before that, the tail.
    fn compare(&self, fresh: &[u8], window: &[u8]) -> Option<(usize, u8, u8)> {
        let content = fresh.iter().rev().chain(self.tail.iter().rev());
        // Before the first byte of content a window holds zeros.
        let right = content.copied().chain(std::iter::repeat(0));
        let mut differs = None;
        for (back, (stored, right)) in window.iter().rev().zip(right).enumerate() {
            if *stored != right {
                differs = Some((window.len() - 1 - back, *stored, right));
            }
        }
        differs
    }
}

/// A layer's blob and what is said of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProbedLayer<'a> {
    /// Bytes of the blob.
    pub(crate) size: u64,
    /// By the layer's media type.
    pub(crate) compression: Compression,
    pub(crate) ztoc: Option<&'a Ztoc>,
    /// Whether a second thread may read and hash, and inflate ahead as in a scan.
    pub(crate) second_thread: bool,
}

/// Reads the blob from end to end, and compares what its zTOC claims.
///
/// # Errors
/// [`ScanError::Read`], [`ScanError::Cancelled`], [`ScanError::Size`]. All else is in the [`Truth`].
pub(crate) fn straight(
    blob: &mut (dyn Read + Send),
    layer: &ProbedLayer<'_>,
    observer: &dyn ScanObserver,
) -> Result<Truth, ScanError> {
    divided(blob, layer, observer, DIVISION)
}

/// [`straight`], with the work of two threads divided in this way.
pub(super) fn divided(
    blob: &mut (dyn Read + Send),
    layer: &ProbedLayer<'_>,
    observer: &dyn ScanObserver,
    division: Division,
) -> Result<Truth, ScanError> {
    let zinfo = layer.ztoc.map(|ztoc| &ztoc.zinfo);
    let starts =
        zinfo.into_iter().flat_map(|zinfo| (0..zinfo.span_count()).map(|n| zinfo.checkpoint(n)));
    let starts: Vec<Checkpoint> = starts.collect();
    let gzip = match zinfo {
        Some(Zinfo::Gzip(gzip)) => Some(gzip),
        Some(Zinfo::Tar(_)) | None => None,
    };
    let offsets = starts.iter().map(|checkpoint| checkpoint.uncompressed_offset);
    let windows = gzip.into_iter().flat_map(|gzip| (0..gzip.len()).map(|n| gzip.window(n)));
    let mut content = Content {
        tar: TarWalker::new(),
        halted: None,
        diff_id: Hasher::new(),
        position: 0,
        tail: Vec::new(),
        claims: offsets.zip(windows.map(<[u8; WINDOW_SIZE]>::as_slice)).collect(),
        places: Vec::new(),
        crc: crc32fast::Hasher::new(),
    };
    // A checkpoint at the beginning is one of empty content, too.
    content.take(&[]);
    let mut walker = GzipWalker::proving(gzip.map_or_else(Vec::new, |_| starts.clone()));
    let mut starts = starts.as_slice();
    let splitter = Arc::new(Splitter::new(division.split, layer.compression == Compression::Gzip));
    if layer.second_thread {
        walker.set_ahead(Box::new(Handle::new(Arc::clone(&splitter))));
    }
    let (mut broken, mut ignored, mut read) = (None, Vec::new(), 0_u64);
    let mut first = FirstBytes::new(layer.compression);
    let walk = |chunk: &[u8], begun: &mut Vec<Checkpoint>| {
        first.blob.feed(chunk);
        read += chunk.len() as u64;
        let (here, later) =
            starts.split_at(starts.partition_point(|start| start.compressed_offset <= read));
        begun.extend_from_slice(here);
        starts = later;
        match layer.compression {
            Compression::None => content.take(chunk),
            Compression::Gzip if broken.is_none() => {
                let output = |bytes: &[u8]| {
                    first.inner.feed(bytes);
                    content.take(bytes);
                };
                broken = walker.feed(chunk, output, &mut ignored).err();
                if broken.is_some() {
                    splitter.close();
                }
            }
            Compression::Gzip => {}
        }
    };
    let mut source = Source::new(blob, layer.size);
    let hasher = if layer.second_thread {
        threads::together(&mut source, walk, observer, division, &splitter, gzip)?
    } else {
        threads::alone(&mut source, walk, observer)?
    };
    content.close();
    let header = walker.header();
    for (place, proven) in content.places.iter_mut().zip(walker.proven()) {
        place.proven = *proven;
    }
    if layer.compression == Compression::Gzip && broken.is_none() {
        broken = walker.finish().err();
    }
    let (blob, spans) = hasher.finish();
    let whole = broken.is_none();
    let tar = match (broken, content.halted) {
        // As in a scan: what is wrong inside was met before what is wrong outside.
        (_, Some(reason)) => Err(reason),
        (Some(error), None) => Err(error.into()),
        (None, None) => content.tar.finish().map_err(EagerReason::from),
    };
    let tar = tar.map_err(|reason| first.explain(reason));
    let (output, places, diff_id) = (content.position, content.places, content.diff_id.finish());
    Ok(Truth { blob, diff_id, output, whole, tar, header, spans, places })
}

/// Inflates from a checkpoint to the end of `span`, the bytes of the blob from the checkpoint's
/// `compressed_offset` to that of the next one. `byte` is the one before them. Gives the CRC-32 of the first
/// `wanted` bytes of output and the length of all.
///
/// # Errors
/// What a reader would stumble over, for people.
pub(crate) fn resume(
    checkpoint: &Checkpoint,
    byte: u8,
    window: &[u8; WINDOW_SIZE],
    wanted: u64,
    span: &mut dyn Read,
) -> Result<(u32, u64), String> {
    let (mut crc, mut length) = (crc32fast::Hasher::new(), 0_u64);
    let resumed = unpack::resume(checkpoint, byte, window, span, &mut |bytes| {
        let left = usize::try_from(wanted.saturating_sub(length)).unwrap_or(usize::MAX);
        crc.update(&bytes[..bytes.len().min(left)]);
        length += bytes.len() as u64;
        true
    });
    match resumed {
        Ok(_) => Ok((crc.finalize(), length)),
        Err(ScanError::Content { problem, offset: Some(offset), .. }) => {
            Err(format!("{problem} at offset {offset} of the blob"))
        }
        Err(error) => Err(error.to_string()),
    }
}
