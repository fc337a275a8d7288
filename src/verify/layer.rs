//! One layer against its zTOC: the straight pass, every span, every checkpoint, every entry.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use rayon::prelude::*;

use super::Findings;
use super::finding::Consequence;
use crate::digest::Digest;
use crate::error::Error;
use crate::layout::Layout;
use crate::media_type::Compression;
use crate::scan::probe::{self, Claimed, Place, Truth};
use crate::scan::{ScanError, ScanObserver};
use crate::ztoc::toc::{FileRef, Toc};
use crate::ztoc::zinfo::{Checkpoint, GzipZinfo, WINDOW_SIZE};
use crate::ztoc::{Zinfo, Ztoc};

/// A layer that is to be verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) compression: Compression,
    /// By the image's configuration.
    pub(super) diff_id: Option<Digest>,
    /// The zTOC blob and what it says.
    pub(super) ztoc: Option<(Digest, &'a Ztoc)>,
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compared {
    pub(super) checkpoints: u64,
    pub(super) files: u64,
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
    let claimed = Claimed { size, compression: subject.compression, ztoc, second_thread: true };
    let truth = match probe::straight(&mut blob, &claimed, observer) {
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
    if let Err(no_archive) = &truth.tar {
        let place = "the layer's content";
        let (offset, problem) = (no_archive.offset, &no_archive.problem);
        let consequence = match subject.ztoc {
            Some(_) => Consequence::IoError,
            None => Consequence::Unpullable,
        };
        findings.add(consequence, layer, place, offset, "a layer that can be read", problem);
    } else if let Some(diff_id) = subject.diff_id
        && diff_id != truth.diff_id
    {
        let place = "its diff ID in the image's configuration";
        findings.add(Consequence::Unpullable, layer, place, None, truth.diff_id, diff_id);
    }
    let Some((name, ztoc)) = subject.ztoc else { return Ok(Compared::default()) };
    sizes(name, subject, ztoc, &truth, findings);
    spans(name, ztoc, &truth, findings);
    let mut compared = Compared::default();
    if let Zinfo::Gzip(gzip) = &ztoc.zinfo {
        checkpoints(name, &blob, size, gzip, &truth, findings);
        compared.checkpoints = gzip.len() as u64;
    }
    if let Ok(archive) = &truth.tar {
        entries(name, &ztoc.toc, &archive.toc, findings);
        compared.files = ztoc.toc.len() as u64;
    }
    Ok(compared)
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
        let consequence =
            if found > truth.output { Consequence::IoError } else { Consequence::WrongBytes };
        findings.add(consequence, blob, "uncompressed_archive_size", None, ends, found);
    }
    if let Zinfo::Tar(tar) = &ztoc.zinfo
        && tar.size != subject.size
    {
        let place = "the size in its span table";
        findings.add(Consequence::IoError, blob, place, None, subject.size, tar.size);
    }
    let fits = matches!(
        (&ztoc.zinfo, subject.compression),
        (Zinfo::Gzip(_), Compression::Gzip) | (Zinfo::Tar(_), Compression::None)
    );
    if !fits {
        let expected = format!("that of the layer ({:?})", subject.compression);
        let place = "the compression algorithm";
        findings.add(Consequence::IoError, blob, place, None, expected, "the other one");
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

/// Inflates from each checkpoint, on all threads of the pool.
fn checkpoints(
    name: Digest,
    blob: &File,
    size: u64,
    gzip: &GzipZinfo,
    truth: &Truth,
    findings: &mut Findings,
) {
    let found: Vec<Findings> = (0..gzip.len())
        .into_par_iter()
        .map(|number| {
            let mut findings = Findings::default();
            match truth.places.get(number) {
                Some(place) => checkpoint(name, blob, size, gzip, number, place, &mut findings),
                None => findings.add(
                    Consequence::IoError,
                    Some(name),
                    &format!("checkpoint {number}"),
                    None,
                    format!("an uncompressed offset up to {}", truth.output),
                    gzip.checkpoint(number).uncompressed_offset,
                ),
            }
            findings
        })
        .collect();
    for more in found {
        findings.extend(more);
    }
}

fn checkpoint(
    name: Digest,
    blob: &File,
    size: u64,
    gzip: &GzipZinfo,
    number: usize,
    truth: &Place,
    findings: &mut Findings,
) {
    let checkpoint = gzip.checkpoint(number);
    let Checkpoint { compressed_offset, uncompressed_offset, bits } = checkpoint;
    let wrong = Consequence::WrongBytes;
    if let Some((at, stored, right)) = truth.window {
        let place = format!("window of checkpoint {number}, byte {at}");
        let offset = Some(uncompressed_offset.saturating_sub((WINDOW_SIZE - at) as u64));
        findings.add(wrong, Some(name), &place, offset, hex(right), hex(stored));
    }
    let end =
        if number + 1 < gzip.len() { gzip.checkpoint(number + 1).compressed_offset } else { size };
    let place = format!("checkpoint {number}");
    let offset = Some(compressed_offset);
    let mut byte = [0];
    let before = compressed_offset.checked_sub(1);
    let readable = bits < 8
        && compressed_offset <= end
        && end <= size
        && (bits == 0 || before.is_some_and(|at| blob.read_exact_at(&mut byte, at).is_ok()));
    if !readable {
        let expected = "a place inside the blob";
        let found = format!("offset {compressed_offset}, {bits} bits, next span at {end}");
        findings.add(Consequence::IoError, Some(name), &place, offset, expected, found);
        return;
    }
    let mut span = Part { file: blob, at: compressed_offset, end };
    match probe::resume(&checkpoint, byte[0], gzip.window(number), &mut span) {
        Err(problem) => {
            let expected = "deflate data from here to the next checkpoint";
            findings.add(Consequence::IoError, Some(name), &place, offset, expected, problem);
        }
        Ok((_, length)) if length != truth.length => {
            let expected = format!("{} bytes of content", truth.length);
            let found = format!("{length} bytes");
            findings.add(wrong, Some(name), &place, offset, expected, found);
        }
        Ok((crc, _)) if crc != truth.crc => {
            let expected = format!("content with CRC-32 {:08x}", truth.crc);
            findings.add(wrong, Some(name), &place, offset, expected, format!("{crc:08x}"));
        }
        Ok(_) => {}
    }
}

/// A part of a file that several threads read.
struct Part<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let count = self.file.read_at(&mut buffer[..want], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

fn hex(byte: u8) -> String {
    format!("{byte:#04x}")
}

/// Compares the TOC with what the archive's headers say.
fn entries(name: Digest, stored: &Toc, right: &Toc, findings: &mut Findings) {
    let blob = Some(name);
    if stored.len() != right.len() {
        let place = "the number of entries";
        let consequence = Consequence::WrongBytes;
        findings.add(consequence, blob, place, None, right.len(), stored.len());
    }
    for (number, (stored, right)) in stored.iter().zip(right.iter()).enumerate() {
        for (field, consequence, expected, found) in differences(&stored, &right) {
            let place = format!("{field} of entry {number} ({})", text(right.name()));
            let offset = Some(right.uncompressed_offset().cast_unsigned());
            findings.add(consequence, blob, &place, offset, expected, found);
        }
    }
}

type Difference = (&'static str, Consequence, String, String);

/// What the reader compares with the tar header when a file is first read leads to an error there; what
/// it does not compare is simply wrong (`soci-formats` 7.3).
fn differences(stored: &FileRef<'_>, right: &FileRef<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |field, consequence, expected: String, stored: String| {
        if expected != stored {
            found.push((field, consequence, expected, stored));
        }
    };
    let (error, wrong) = (Consequence::IoError, Consequence::WrongBytes);
    compare("name", error, text(right.name()), text(stored.name()));
    let kind = |file: &FileRef<'_>| file.file_type().as_str().to_owned();
    compare("type", wrong, kind(right), kind(stored));
    let offset = |file: &FileRef<'_>| file.uncompressed_offset().to_string();
    compare("uncompressed_offset", error, offset(right), offset(stored));
    let size = |file: &FileRef<'_>| file.uncompressed_size().to_string();
    compare("uncompressed_size", error, size(right), size(stored));
    compare("linkname", error, text(right.linkname()), text(stored.linkname()));
    let mode = |file: &FileRef<'_>| format!("{:o}", file.mode());
    compare("mode", error, mode(right), mode(stored));
    compare("uid", error, right.uid().to_string(), stored.uid().to_string());
    compare("gid", error, right.gid().to_string(), stored.gid().to_string());
    compare("uname", Consequence::Misleading, text(right.uname()), text(stored.uname()));
    compare("gname", Consequence::Misleading, text(right.gname()), text(stored.gname()));
    let time = |file: &FileRef<'_>| {
        let time = file.mod_time();
        format!("{}.{:09} s", time.seconds, time.nanoseconds)
    };
    compare("mod_time", error, time(right), time(stored));
    let device = |file: &FileRef<'_>| format!("{}:{}", file.devmajor(), file.devminor());
    compare("device number", error, device(right), device(stored));
    let records = |file: &FileRef<'_>, attributes: bool| {
        let records = file.pax().filter(|(key, _)| key.starts_with(b"SCHILY.xattr.") == attributes);
        let records: Vec<_> =
            records.map(|(key, value)| format!("{}={}", text(key), text(value))).collect();
        records.join(" ")
    };
    compare("extended attributes", error, records(right, true), records(stored, true));
    let other = Consequence::Misleading;
    compare("PAX records", other, records(right, false), records(stored, false));
    found
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
