//! One layer against its zTOC: the straight pass, every span, every checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Consequence::{IoError, LayerEager, Misleading, Unpullable, WrongBytes};
use super::{Findings, entries};
use crate::commands::parents::{Seen, Watched};
use crate::error::Error;
use crate::layer::content;
use crate::layer::eager::{EagerCause, EagerReason};
use crate::layer::probe::{self, ProbedLayer, Truth};
use crate::layer::{ScanError, ScanObserver, fidelity};
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::opened::OpenBlob;
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;
use crate::progress::steps::Steps;
use crate::threads::each;
use crate::ztoc::toc::{FileType, Toc};
use crate::ztoc::zinfo::{Checkpoint, GzipZinfo, WINDOW_SIZE};
use crate::ztoc::{Zinfo, Ztoc};

/// A layer of the images.
#[derive(Clone, Debug)]
pub(super) struct Layer<'a> {
    /// Its number among the layers of the run.
    pub(super) at: usize,
    pub(super) descriptor: &'a Descriptor,
    /// By the configurations of its images.
    pub(super) diff_ids: BTreeSet<Digest>,
}

/// What all threads work with.
pub(super) struct Work<'a> {
    pub(super) layout: &'a Layout,
    pub(super) steps: &'a Steps<'a>,
    /// How many there may be.
    pub(super) threads: usize,
    /// Directories that are looked after in every layer.
    pub(super) watched: &'a Watched,
}

/// What was compared.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) checkpoints: u64,
    pub(super) files: u64,
    /// What layers say about the watched directories.
    pub(super) seen: BTreeMap<Digest, Seen>,
    /// Why layers cannot be lazy, by their numbers.
    pub(super) eager: BTreeMap<usize, EagerReason>,
    /// Bytes of the largest span of each zTOC that was read.
    pub(super) largest: BTreeMap<Digest, u64>,
}

impl Compared {
    pub(super) fn add(&mut self, other: Self) {
        self.checkpoints += other.checkpoints;
        self.files += other.files;
        self.seen.extend(other.seen);
        self.eager.extend(other.eager);
        self.largest.extend(other.largest);
    }

    /// Notes why the layer with the number `at` cannot be lazy.
    pub(super) fn eager(&mut self, at: usize, cause: EagerCause, text: impl std::fmt::Display) {
        self.eager.insert(at, EagerReason::new(cause, text));
    }
}

/// Verifies one layer.
///
/// # Errors
/// [`Error::Cancelled`], [`Error::Io`] and [`Error::BlobType`]; everything else is a finding.
pub(super) fn verify(
    work: &Work<'_>,
    (layer, compression): (&Layer<'_>, Compression),
    ztoc: Option<(Digest, &Ztoc)>,
    observer: &dyn ScanObserver,
    findings: &mut Findings,
) -> Result<Compared, Error> {
    let &Work { layout, threads, watched, .. } = work;
    let Descriptor { digest, size, .. } = *layer.descriptor;
    let missing = |findings: &mut Findings, found: &dyn ToString| {
        findings.add(Unpullable, digest, "the layer's blob", size, found.to_string());
        Ok(Compared::default())
    };
    let mut blob = match layout.open_blob(&digest, size) {
        Ok(Some(blob)) => blob,
        Ok(None) => return missing(findings, &"no such blob"),
        Err(Error::BlobSize { found, .. }) => return missing(findings, &found),
        Err(error) => return Err(error),
    };
    let second_thread = threads > 1;
    let probed = ProbedLayer { size, compression, ztoc: ztoc.map(|(_, ztoc)| ztoc), second_thread };
    let truth = match probe::straight(&mut blob, &probed, observer) {
        Ok(truth) => truth,
        Err(error @ (ScanError::Cancelled | ScanError::Read(_))) => {
            return Err(Error::scan(error, layout.blob_path(&digest), digest, size));
        }
        Err(error) => return missing(findings, &error),
    };
    if truth.blob != digest {
        findings.add(Unpullable, digest, "the layer's blob", digest, truth.blob);
        // Nothing of what follows could be held against the zTOC.
        return Ok(Compared::default());
    }
    let mut compared = Compared::default();
    let mislabelled = matches!(&truth.tar, Err(reason) if reason.cause == EagerCause::Mislabelled);
    match &truth.tar {
        Err(reason) if ztoc.is_some() => {
            let expected = "a layer that can be read";
            findings.add(IoError, digest, "the layer's content", expected, reason);
        }
        Err(reason) => drop(compared.eager.insert(layer.at, reason.clone())),
        Ok(archive) => drop(compared.seen.insert(digest, watched.look(&archive.toc))),
    }
    if mislabelled {
        unpacked_diff_ids(layout, layer, observer, findings)?;
    } else if truth.whole {
        diff_ids(layer, truth.diff_id, findings);
    }
    let Some((name, ztoc)) = ztoc else { return Ok(compared) };
    compared.largest.insert(name, ztoc.largest_span());
    sizes(name, (size, compression), ztoc, &truth, findings);
    spans(name, ztoc, &truth, findings);
    if let Zinfo::Gzip(gzip) = &ztoc.zinfo {
        header(name, gzip, &truth, findings);
        let spans = Spans { name, blob: &blob, size, gzip, ztoc, truth: &truth };
        spans.checkpoints(threads, findings);
        compared.checkpoints = gzip.len() as u64;
    }
    if let Ok(archive) = &truth.tar {
        entries::compare(name, &ztoc.toc, &archive.toc, findings);
        unlike_unpacked(digest, &archive.toc, findings);
        compared.files = ztoc.toc.len() as u64;
    }
    Ok(compared)
}

/// What a lazy mount shows otherwise than unpacking, although the zTOC is right.
fn unlike_unpacked(layer: Digest, toc: &Toc, findings: &mut Findings) {
    if let Some(difference) = fidelity::difference(toc) {
        let offset = toc.get(difference.entry).uncompressed_offset().cast_unsigned();
        let expected = "a lazy mount that shows what unpacking gives";
        let found = "the reference's reader shows something else";
        findings.add_at(offset, WrongBytes, layer, difference.to_string(), expected, found);
    }
}

fn diff_ids(layer: &Layer<'_>, right: Digest, findings: &mut Findings) {
    for diff_id in layer.diff_ids.iter().filter(|diff_id| **diff_id != right) {
        let place = "its diff ID in the image's configuration";
        findings.add(Unpullable, layer.descriptor.digest, place, right, diff_id);
    }
}

/// Compares the diff IDs of a layer whose type does not say how it is to be read: by its first bytes, as runtimes
/// do. What cannot be unpacked has none.
///
/// # Errors
/// [`Error::Cancelled`], [`Error::Io`] and [`Error::BlobType`].
pub(super) fn unpacked_diff_ids(
    layout: &Layout,
    layer: &Layer<'_>,
    observer: &dyn ScanObserver,
    findings: &mut Findings,
) -> Result<(), Error> {
    let Descriptor { digest, size, .. } = *layer.descriptor;
    let blob = layout.open_blob(&digest, size)?.filter(|_| !layer.diff_ids.is_empty());
    let Some(mut blob) = blob else { return Ok(()) };
    match content::diff_id(&mut blob, observer) {
        Ok(Some(right)) => diff_ids(layer, right, findings),
        Err(error @ (ScanError::Cancelled | ScanError::Read(_))) => {
            return Err(Error::scan(error, layout.blob_path(&digest), digest, size));
        }
        Ok(None) | Err(_) => {}
    }
    Ok(())
}

/// Sizes and compression; those of the layer are known.
fn sizes(
    name: Digest,
    (size, compression): (u64, Compression),
    ztoc: &Ztoc,
    truth: &Truth,
    findings: &mut Findings,
) {
    let found = ztoc.compressed_archive_size;
    if found != size {
        findings.add(IoError, name, "compressed_archive_size", size, found);
    }
    let found = ztoc.uncompressed_archive_size;
    // The reference stores where the archive ends; its reader takes the whole length as well.
    let ends = truth.tar.as_ref().map_or(truth.output, |archive| archive.archive_size);
    if found != ends && found != truth.output {
        // Behind its end the reader waits for content for ever; in front of it, it takes files to be cut off.
        let last = truth.tar.as_ref().map_or(truth.output, |archive| last_byte(&archive.toc));
        let harmless = (last..=truth.output).contains(&found);
        let consequence = if harmless { Misleading } else { IoError };
        findings.add(consequence, name, "uncompressed_archive_size", ends, found);
    }
    if let Zinfo::Tar(tar) = &ztoc.zinfo
        && tar.size != size
    {
        findings.add(IoError, name, "the size in its span table", size, tar.size);
    }
    if ztoc.zinfo.compression() != compression {
        let expected = format!("that of the layer ({compression:?})");
        findings.add(IoError, name, "the compression algorithm", expected, "the other one");
    }
}

/// Where the content of the last file ends.
fn last_byte(toc: &Toc) -> u64 {
    let files = toc.iter().filter(|file| file.file_type() == FileType::Regular);
    let ends =
        files.map(|file| file.uncompressed_offset().saturating_add(file.uncompressed_size()));
    ends.max().map_or(0, |end| u64::try_from(end).unwrap_or_default())
}

/// The bytes in front of the first span must be a whole gzip header, or the mount fails.
fn header(name: Digest, gzip: &GzipZinfo, truth: &Truth, findings: &mut Findings) {
    let start = gzip.checkpoint(0).span_start();
    if let Some(end) = truth.header
        && start < end
    {
        let place = "checkpoint 0, the gzip header in front of it";
        findings.add_at(start, LayerEager, name, place, end, start);
    }
}

fn spans(name: Digest, ztoc: &Ztoc, truth: &Truth, findings: &mut Findings) {
    for (number, stored) in ztoc.span_digests.iter().enumerate() {
        let place = format!("digest of span {number}");
        match truth.spans.get(number) {
            Some(right) if right == stored => {}
            Some(right) => findings.add(IoError, name, place, right, stored),
            None => {
                let expected = "no span: the layer ends before it";
                findings.add(IoError, name, place, expected, stored);
            }
        }
    }
}

/// The spans of a gzip layer and what is true of them.
#[derive(Clone, Copy)]
struct Spans<'a> {
    name: Digest,
    blob: &'a OpenBlob,
    size: u64,
    gzip: &'a GzipZinfo,
    ztoc: &'a Ztoc,
    truth: &'a Truth,
}

impl Spans<'_> {
    /// Checks each checkpoint. The straight pass went through most of them, or all, with the very window that
    /// is stored: from there on, nothing can come out differently. From the others is inflated.
    fn checkpoints(&self, threads: usize, findings: &mut Findings) {
        let proven = |number: usize| {
            let place = self.truth.places.get(number);
            place.is_some_and(|place| place.proven && place.window.is_none())
        };
        // A span ends where the next one begins.
        let ends = |number: usize| {
            number + 1 == self.gzip.len()
                || self.truth.places.get(number + 1).is_some_and(|next| next.proven)
        };
        let doubtful: Vec<usize> =
            (0..self.gzip.len()).filter(|number| !proven(*number) || !ends(*number)).collect();
        let found = each(threads, doubtful.len(), |position| {
            let mut findings = Findings::default();
            self.checkpoint(doubtful[position], &mut findings);
            findings
        });
        for more in found {
            findings.extend(more);
        }
    }

    fn checkpoint(&self, number: usize, findings: &mut Findings) {
        let Self { name, blob, size, gzip, ztoc, truth } = *self;
        let checkpoint = gzip.checkpoint(number);
        let Checkpoint { compressed_offset, uncompressed_offset, bits } = checkpoint;
        let place = format!("checkpoint {number}");
        let Some(right) = truth.places.get(number) else {
            let expected = format!("an uncompressed offset up to {}", truth.output);
            findings.add(IoError, name, place, expected, uncompressed_offset);
            return;
        };
        let span = ztoc.zinfo.span(number as u64, size);
        let offset = compressed_offset;
        let mut byte = [0];
        let readable = span.lies_inside(size)
            && (bits == 0 || blob.read_exact_at(&mut byte, span.start()).is_ok());
        if !readable {
            let expected = "a place inside the blob";
            let end = span.end;
            let found = format!("offset {offset}, {bits} bits, next span at {end}");
            findings.add_at(offset, IoError, name, place, expected, found);
            return;
        }
        // A reader compares the digest first, and then does not inflate.
        let fetched = truth.spans.get(number) == ztoc.span_digests.get(number);
        let wrong = if fetched { WrongBytes } else { IoError };
        let mut span = blob.part(compressed_offset, span.end);
        let inflated =
            probe::resume(&checkpoint, byte[0], gzip.window(number), right.length, &mut span);
        let same =
            matches!(&inflated, Ok((crc, length)) if *crc == right.crc && *length == right.length);
        if let Some((at, stored, right)) = right.window {
            let place = format!("window of checkpoint {number}, byte {at}");
            let offset = uncompressed_offset.saturating_sub((WINDOW_SIZE - at) as u64);
            // No part of the span may refer to that byte.
            let consequence = if same { Misleading } else { wrong };
            findings.add_at(offset, consequence, name, place, hex(right), hex(stored));
        }
        match inflated {
            _ if same => {}
            Err(problem) => {
                let expected = "deflate data from here to the next checkpoint";
                findings.add_at(offset, IoError, name, place, expected, problem);
            }
            Ok((crc, length)) => {
                if length != right.length {
                    // Too little, and the reader waits for more for ever; of too much it takes what it needs.
                    let consequence = if length < right.length { IoError } else { Misleading };
                    let expected = format!("{} bytes of content", right.length);
                    let found = format!("{length} bytes");
                    findings.add_at(offset, consequence, name, &place, expected, found);
                }
                if crc != right.crc && length >= right.length {
                    let expected = format!("content with CRC-32 {:08x}", right.crc);
                    findings.add_at(offset, wrong, name, place, expected, format!("{crc:08x}"));
                }
            }
        }
    }
}

fn hex(byte: u8) -> String {
    format!("{byte:#04x}")
}
