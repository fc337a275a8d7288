//! One layer against its zTOC: the straight pass, every span, every checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Consequence;
use super::{Findings, entries};
use crate::commands::parents::{Seen, Watched};
use crate::error::Error;
use crate::layer::content;
use crate::layer::eager::{EagerCause, EagerReason};
use crate::layer::probe::{self, ProbedLayer, Truth};
use crate::layer::{ScanError, ScanObserver, fidelity};
use crate::layout::Layout;
use crate::layout::opened::OpenBlob;
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;
use crate::threads::each;
use crate::ztoc::toc::{FileType, Toc};
use crate::ztoc::zinfo::{Checkpoint, GzipZinfo, WINDOW_SIZE};
use crate::ztoc::{Zinfo, Ztoc};

/// A layer that is to be verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// Its number among the layers of the run.
    pub(super) at: usize,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) compression: Compression,
    /// By the configurations of its images.
    pub(super) diff_ids: &'a BTreeSet<Digest>,
    /// The zTOC blob and what it says.
    pub(super) ztoc: Option<(Digest, &'a Ztoc)>,
    /// How many there may be.
    pub(super) threads: usize,
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
    layout: &Layout,
    subject: &Subject<'_>,
    observer: &dyn ScanObserver,
    findings: &mut Findings,
) -> Result<Compared, Error> {
    let Subject { digest, size, .. } = *subject;
    let layer = Some(digest);
    let missing = |findings: &mut Findings, found: String| {
        findings.add(Consequence::Unpullable, layer, "the layer's blob", None, size, found);
    };
    let mut blob = match layout.open_blob(&digest, size) {
        Ok(Some(blob)) => blob,
        Ok(None) => {
            missing(findings, "no such blob".to_owned());
            return Ok(Compared::default());
        }
        Err(Error::BlobSize { found, .. }) => {
            missing(findings, found.to_string());
            return Ok(Compared::default());
        }
        Err(error) => return Err(error),
    };
    let ztoc = subject.ztoc.map(|(_, ztoc)| ztoc);
    let second_thread = subject.threads > 1;
    let probed = ProbedLayer { size, compression: subject.compression, ztoc, second_thread };
    let truth = match probe::straight(&mut blob, &probed, observer) {
        Ok(truth) => truth,
        Err(ScanError::Cancelled) => return Err(Error::Cancelled),
        Err(ScanError::Read(source)) => {
            return Err(Error::io("read", &layout.blob_path(&digest))(source));
        }
        Err(error) => {
            missing(findings, error.to_string());
            return Ok(Compared::default());
        }
    };
    if truth.blob != digest {
        let place = "the layer's blob";
        findings.add(Consequence::Unpullable, layer, place, None, digest, truth.blob);
        // Nothing of what follows could be held against the zTOC.
        return Ok(Compared::default());
    }
    let mut compared = Compared::default();
    let mislabelled = matches!(&truth.tar, Err(reason) if reason.cause == EagerCause::Mislabelled);
    match &truth.tar {
        Err(reason) if subject.ztoc.is_some() => {
            let (place, error) = ("the layer's content", Consequence::IoError);
            findings.add(error, layer, place, None, "a layer that can be read", reason);
        }
        Err(reason) => {
            compared.eager.insert(subject.at, reason.clone());
        }
        Ok(_) => {}
    }
    if mislabelled {
        unpacked_diff_ids(layout, (digest, size), subject.diff_ids, observer, findings)?;
    } else if truth.whole {
        diff_ids(digest, subject.diff_ids, truth.diff_id, findings);
    }
    if let Ok(archive) = &truth.tar {
        compared.seen.insert(digest, subject.watched.look(&archive.toc));
    }
    let Some((name, ztoc)) = subject.ztoc else { return Ok(compared) };
    compared.largest.insert(name, ztoc.largest_span());
    sizes(name, subject, ztoc, &truth, findings);
    spans(name, ztoc, &truth, findings);
    if let Zinfo::Gzip(gzip) = &ztoc.zinfo {
        header(name, gzip, &truth, findings);
        let spans = Spans { name, blob: &blob, size, gzip, ztoc, truth: &truth };
        spans.checkpoints(subject.threads, findings);
        compared.checkpoints = gzip.len() as u64;
    }
    if let Ok(archive) = &truth.tar {
        entries::compare(name, &ztoc.toc, &archive.toc, findings);
        unlike_unpacked(layer, &archive.toc, findings);
        compared.files = ztoc.toc.len() as u64;
    }
    Ok(compared)
}

/// What a lazy mount shows otherwise than unpacking, although the zTOC is right.
fn unlike_unpacked(layer: Option<Digest>, toc: &Toc, findings: &mut Findings) {
    if let Some(difference) = fidelity::difference(toc) {
        let file = toc.get(difference.entry);
        let place = difference.to_string();
        let offset = Some(file.uncompressed_offset().cast_unsigned());
        let expected = "a lazy mount that shows what unpacking gives";
        let found = "the reference's reader shows something else";
        findings.add(Consequence::WrongBytes, layer, &place, offset, expected, found);
    }
}

fn diff_ids(layer: Digest, stated: &BTreeSet<Digest>, right: Digest, findings: &mut Findings) {
    for diff_id in stated.iter().filter(|diff_id| **diff_id != right) {
        let (place, broken) = ("its diff ID in the image's configuration", Consequence::Unpullable);
        findings.add(broken, Some(layer), place, None, right, diff_id);
    }
}

/// Compares the diff IDs of a layer whose type does not say how it is to be read: by its first bytes, as runtimes
/// do. What cannot be unpacked has none.
///
/// # Errors
/// [`Error::Cancelled`], [`Error::Io`] and [`Error::BlobType`].
pub(super) fn unpacked_diff_ids(
    layout: &Layout,
    (layer, size): (Digest, u64),
    stated: &BTreeSet<Digest>,
    observer: &dyn ScanObserver,
    findings: &mut Findings,
) -> Result<(), Error> {
    let Some(mut blob) = layout.open_blob(&layer, size)?.filter(|_| !stated.is_empty()) else {
        return Ok(());
    };
    match content::diff_id(&mut blob, observer) {
        Ok(Some(right)) => diff_ids(layer, stated, right, findings),
        Err(ScanError::Cancelled) => return Err(Error::Cancelled),
        Err(ScanError::Read(source)) => {
            return Err(Error::io("read", &layout.blob_path(&layer))(source));
        }
        Ok(None) | Err(_) => {}
    }
    Ok(())
}

fn sizes(name: Digest, subject: &Subject<'_>, ztoc: &Ztoc, truth: &Truth, findings: &mut Findings) {
    let blob = Some(name);
    let found = ztoc.compressed_archive_size;
    if found != subject.size {
        let place = "compressed_archive_size";
        findings.add(Consequence::IoError, blob, place, None, subject.size, found);
    }
    let found = ztoc.uncompressed_archive_size;
    // The reference stores where the archive ends; its reader takes the whole length as well.
    let ends = truth.tar.as_ref().map_or(truth.output, |archive| archive.archive_size);
    if found != ends && found != truth.output {
        // Behind its end the reader waits for content for ever; in front of it, it takes files to be cut off.
        let last = truth.tar.as_ref().map_or(truth.output, |archive| last_byte(&archive.toc));
        let harmless = (last..=truth.output).contains(&found);
        let consequence = if harmless { Consequence::Misleading } else { Consequence::IoError };
        findings.add(consequence, blob, "uncompressed_archive_size", None, ends, found);
    }
    if let Zinfo::Tar(tar) = &ztoc.zinfo
        && tar.size != subject.size
    {
        let place = "the size in its span table";
        findings.add(Consequence::IoError, blob, place, None, subject.size, tar.size);
    }
    if ztoc.zinfo.compression() != subject.compression {
        let expected = format!("that of the layer ({:?})", subject.compression);
        let place = "the compression algorithm";
        findings.add(Consequence::IoError, blob, place, None, expected, "the other one");
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
        let offset = Some(start);
        findings.add(Consequence::LayerEager, Some(name), place, offset, end, start);
    }
}

fn spans(name: Digest, ztoc: &Ztoc, truth: &Truth, findings: &mut Findings) {
    for (number, stored) in ztoc.span_digests.iter().enumerate() {
        let place = format!("digest of span {number}");
        match truth.spans.get(number) {
            Some(right) if right == stored => {}
            Some(right) => {
                findings.add(Consequence::IoError, Some(name), &place, None, right, stored);
            }
            None => {
                let expected = "no span: the layer ends before it";
                findings.add(Consequence::IoError, Some(name), &place, None, expected, stored);
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
        let mut found = each(threads, doubtful.len(), |position| {
            let (number, mut findings) = (doubtful[position], Findings::default());
            self.checkpoint(number, &mut findings);
            (number, findings)
        });
        found.sort_by_key(|(number, _)| *number);
        for (_, more) in found {
            findings.extend(more);
        }
    }

    fn checkpoint(&self, number: usize, findings: &mut Findings) {
        let Self { name, blob, size, gzip, ztoc, truth } = *self;
        let checkpoint = gzip.checkpoint(number);
        let Checkpoint { compressed_offset, uncompressed_offset, bits } = checkpoint;
        let error = Consequence::IoError;
        let place = format!("checkpoint {number}");
        let Some(right) = truth.places.get(number) else {
            let expected = format!("an uncompressed offset up to {}", truth.output);
            findings.add(error, Some(name), &place, None, expected, uncompressed_offset);
            return;
        };
        let span = ztoc.zinfo.span(number as u64, size);
        let offset = Some(compressed_offset);
        let mut byte = [0];
        let readable = span.lies_inside(size)
            && (bits == 0 || blob.read_exact_at(&mut byte, span.start()).is_ok());
        if !readable {
            let expected = "a place inside the blob";
            let end = span.end;
            let found = format!("offset {compressed_offset}, {bits} bits, next span at {end}");
            findings.add(error, Some(name), &place, offset, expected, found);
            return;
        }
        // A reader compares the digest first, and then does not inflate.
        let fetched = truth.spans.get(number) == ztoc.span_digests.get(number);
        let wrong = if fetched { Consequence::WrongBytes } else { error };
        let mut span = blob.part(compressed_offset, span.end);
        let inflated =
            probe::resume(&checkpoint, byte[0], gzip.window(number), right.length, &mut span);
        let same =
            matches!(&inflated, Ok((crc, length)) if *crc == right.crc && *length == right.length);
        if let Some((at, stored, right)) = right.window {
            let place = format!("window of checkpoint {number}, byte {at}");
            let offset = Some(uncompressed_offset.saturating_sub((WINDOW_SIZE - at) as u64));
            // No part of the span may refer to that byte.
            let consequence = if same { Consequence::Misleading } else { wrong };
            findings.add(consequence, Some(name), &place, offset, hex(right), hex(stored));
        }
        match inflated {
            _ if same => {}
            Err(problem) => {
                let expected = "deflate data from here to the next checkpoint";
                findings.add(error, Some(name), &place, offset, expected, problem);
            }
            Ok((crc, length)) => {
                if length != right.length {
                    // Too little, and the reader waits for more for ever; of too much it takes what it needs.
                    let few = length < right.length;
                    let consequence = if few { error } else { Consequence::Misleading };
                    let expected = format!("{} bytes of content", right.length);
                    let found = format!("{length} bytes");
                    findings.add(consequence, Some(name), &place, offset, expected, found);
                }
                if crc != right.crc && length >= right.length {
                    let expected = format!("content with CRC-32 {:08x}", right.crc);
                    findings.add(wrong, Some(name), &place, offset, expected, format!("{crc:08x}"));
                }
            }
        }
    }
}

fn hex(byte: u8) -> String {
    format!("{byte:#04x}")
}
