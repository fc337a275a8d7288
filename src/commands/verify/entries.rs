//! A TOC against what the archive's headers say.

use super::Findings;
use super::finding::Consequence;
use crate::layer::tar::dangling;
use crate::oci::digest::Digest;
use crate::ztoc::toc::{FileRef, FileType, Toc};

/// Compares the TOC of the zTOC `name` with the right one.
pub(super) fn compare(name: Digest, stored: &Toc, right: &Toc, findings: &mut Findings) {
    let blob = Some(name);
    let mut differs = stored.len() != right.len();
    if stored.len() != right.len() {
        let place = "the number of entries";
        let consequence = Consequence::WrongBytes;
        findings.add(consequence, blob, place, None, right.len(), stored.len());
    }
    let (mut header, mut right_header) = (0, 0);
    for (number, (stored, right)) in stored.iter().zip(right.iter()).enumerate() {
        let place = |field: &str| format!("{field} of entry {number} ({})", text(right.name()));
        let offset = Some(right.uncompressed_offset().cast_unsigned());
        for (field, consequence, expected, found) in differences(&stored, &right) {
            differs = true;
            findings.add(consequence, blob, &place(field), offset, expected, found);
        }
        // The reader looks for the header of a file where the entry before it ends.
        if header != right_header && is_read(&stored) {
            let error = Consequence::IoError;
            findings.add(error, blob, &place("header"), offset, right_header, header);
        }
        (header, right_header) = (end(&stored), end(&right));
    }
    if differs && let Some(number) = dangling(stored) {
        let link = stored.get(number);
        let place = format!("linkname of entry {number} ({})", text(link.name()));
        let eager = Consequence::LayerEager;
        let expected = "a name among the entries before it";
        findings.add(eager, blob, &place, None, expected, text(link.linkname()));
    }
}

/// Where the header behind an entry begins, as the reference computes it (`ztoc/ztoc_marshaler.go`).
fn end(file: &FileRef<'_>) -> i64 {
    let end = file.uncompressed_offset().saturating_add(file.uncompressed_size());
    end.saturating_add(511) & !511
}

/// Whether a reader compares the entry with its tar header, and fails when they differ.
fn is_read(file: &FileRef<'_>) -> bool {
    file.file_type() == FileType::Regular
}

type Difference = (&'static str, Consequence, String, String);

/// What the reader compares with the tar header when a file is first read leads to an error there. It does so
/// for regular files only; what is wrong of other entries, or not compared, is simply wrong. Of a hard link it
/// takes the two names, all else from the target (`soci-formats` 7.3; `metadata/reader.go`,
/// `fs/reader/reader.go`).
fn differences(stored: &FileRef<'_>, right: &FileRef<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |field, consequence, expected: String, stored: String| {
        if expected != stored {
            found.push((field, consequence, expected, stored));
        }
    };
    let (wrong, unseen) = (Consequence::WrongBytes, Consequence::Misleading);
    let link = stored.file_type() == FileType::HardLink;
    let attribute = match stored.file_type() {
        FileType::Regular => Consequence::IoError,
        FileType::HardLink => unseen,
        _ => wrong,
    };
    let place = if is_read(stored) { Consequence::IoError } else { unseen };
    // The file is not found under its own name.
    compare("name", wrong, text(right.name()), text(stored.name()));
    let kind = |file: &FileRef<'_>| file.file_type().as_str().to_owned();
    // What is no file and is opened as one has another header than a file.
    let opened =
        is_read(stored) && !matches!(right.file_type(), FileType::HardLink | FileType::Directory);
    let kind_is = if opened { Consequence::IoError } else { wrong };
    compare("type", kind_is, kind(right), kind(stored));
    let offset = |file: &FileRef<'_>| file.uncompressed_offset().to_string();
    compare("uncompressed_offset", place, offset(right), offset(stored));
    let size = |file: &FileRef<'_>| file.uncompressed_size().to_string();
    compare("uncompressed_size", attribute, size(right), size(stored));
    let target = if link { wrong } else { attribute };
    compare("linkname", target, text(right.linkname()), text(stored.linkname()));
    let mode = |file: &FileRef<'_>| format!("{:o}", file.mode());
    compare("mode", attribute, mode(right), mode(stored));
    compare("uid", attribute, right.uid().to_string(), stored.uid().to_string());
    compare("gid", attribute, right.gid().to_string(), stored.gid().to_string());
    compare("uname", unseen, text(right.uname()), text(stored.uname()));
    compare("gname", unseen, text(right.gname()), text(stored.gname()));
    let time = |file: &FileRef<'_>| {
        let time = file.mod_time();
        format!("{}.{:09} s", time.seconds, time.nanoseconds)
    };
    compare("mod_time", attribute, time(right), time(stored));
    let device = |file: &FileRef<'_>| format!("{}:{}", file.devmajor(), file.devminor());
    compare("device number", attribute, device(right), device(stored));
    let records = |file: &FileRef<'_>, attributes: bool| {
        let records = file.pax().filter(|(key, _)| key.starts_with(b"SCHILY.xattr.") == attributes);
        let records: Vec<_> =
            records.map(|(key, value)| format!("{}={}", text(key), text(value))).collect();
        records.join(" ")
    };
    compare("extended attributes", attribute, records(right, true), records(stored, true));
    compare("PAX records", unseen, records(right, false), records(stored, false));
    found
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
