//! A TOC against what the archive's headers say.

use super::Findings;
use super::finding::Consequence::{self, IoError, LayerEager, Misleading, WrongBytes};
use crate::layer::tar::dangling;
use crate::oci::digest::Digest;
use crate::ztoc::compare::{Field, differences};
use crate::ztoc::toc::{FileRef, FileType, Toc};

/// Compares the TOC of the zTOC `name` with the right one.
pub(super) fn compare(name: Digest, stored: &Toc, right: &Toc, findings: &mut Findings) {
    let mut differs = stored.len() != right.len();
    if stored.len() != right.len() {
        findings.add(WrongBytes, name, "the number of entries", right.len(), stored.len());
    }
    let (mut header, mut right_header) = (0, 0);
    for (number, (stored, right)) in stored.iter().zip(right.iter()).enumerate() {
        let place = |field: &str| format!("{field} of entry {number} ({})", text(right.name()));
        let offset = right.uncompressed_offset().cast_unsigned();
        for field in differences(&Field::ALL, &stored, &right) {
            differs = true;
            let (consequence, place) = (consequence(field, &stored, &right), place(field.name()));
            let (expected, found) = (field.text(&right), field.text(&stored));
            findings.add_at(offset, consequence, name, place, expected, found);
        }
        // The reader looks for the header of a file where the entry before it ends.
        if header != right_header && is_read(&stored) {
            findings.add_at(offset, IoError, name, place("header"), right_header, header);
        }
        (header, right_header) = (end(&stored), end(&right));
    }
    if differs && let Some(number) = dangling(stored) {
        let link = stored.get(number);
        let place = format!("linkname of entry {number} ({})", text(link.name()));
        let expected = "a name among the entries before it";
        findings.add(LayerEager, name, place, expected, text(link.linkname()));
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

/// What comes of a field that is wrong.
///
/// What the reader compares with the tar header when a file is first read leads to an error there. It does so
/// for regular files only; what is wrong of other entries, or not compared, is simply wrong. Of a hard link it
/// takes the two names, all else from the target (`soci-formats` 7.3; `metadata/reader.go`,
/// `fs/reader/reader.go`).
fn consequence(field: Field, stored: &FileRef<'_>, right: &FileRef<'_>) -> Consequence {
    let kind = stored.file_type();
    match field {
        // The file is not found under its own name.
        Field::Name => WrongBytes,
        // What is no file and is opened as one has another header than a file.
        Field::Type => match right.file_type() {
            FileType::HardLink | FileType::Directory => WrongBytes,
            _ if is_read(stored) => IoError,
            _ => WrongBytes,
        },
        Field::Offset if is_read(stored) => IoError,
        Field::Offset | Field::Uname | Field::Gname | Field::Pax => Misleading,
        Field::Linkname if kind == FileType::HardLink => WrongBytes,
        _ => match kind {
            FileType::Regular => IoError,
            FileType::HardLink => Misleading,
            _ => WrongBytes,
        },
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
