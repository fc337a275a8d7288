//! What can be wrong with a tar stream, and how it is told to people.

use std::fmt;

use crate::ztoc::toc::TocFull;

/// Longest part of a foreign name shown in a message, in bytes: a name may have a megabyte.
const MAX_SHOWN: usize = 1024;

/// A layer that no zTOC can be written for, with the place where the walker noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TarError {
    /// Offset in bytes of the 512-byte header block concerned, in the uncompressed stream.
    pub offset: u64,
    /// Best known name of the entry concerned: raw bytes, empty when there is none.
    pub entry: Vec<u8>,
    /// What is wrong.
    pub kind: TarErrorKind,
}

impl fmt::Display for TarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.entry.is_empty() {
            write!(f, "tar header at byte {}: {}", self.offset, self.kind)
        } else {
            let name = Escaped(&self.entry);
            write!(f, "tar entry \"{name}\" (header at byte {}): {}", self.offset, self.kind)
        }
    }
}

impl std::error::Error for TarError {}

/// What is wrong with a tar entry.
///
/// *Malformed* kinds are those Go's `archive/tar` refuses too, so no runtime can unpack the layer. *Unsupported*
/// kinds are well-formed, but no reader of a zTOC could serve the layer rightly (`soci-formats` 2.3, 2.4, 7.3, 9.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarErrorKind {
    /// The block is not a tar header: its checksum field does not fit its bytes.
    #[error("header checksum does not match")]
    Checksum,
    /// A numeric header field is neither octal nor base-256, or exceeds 64 bits.
    #[error("header field {field} is not a number")]
    Number {
        /// Name of the field as in the USTAR header.
        field: &'static str,
    },
    /// The size of an entry with data is below zero.
    #[error("negative size {0}")]
    NegativeSize(i64),
    /// The payload of an `x`, `g`, `L` or `K` entry is longer than [`MAX_META_SIZE`](super::MAX_META_SIZE).
    #[error("extended header of {0} bytes is longer than 1 MiB")]
    MetaTooLong(u64),
    /// The payload of an `x` or `g` entry is not a list of PAX records.
    #[error("malformed PAX record")]
    PaxRecord,
    /// A PAX record that replaces a header field has a value the field cannot have.
    #[error("PAX record {key} has a malformed value")]
    PaxValue {
        /// Key of the record.
        key: &'static str,
    },
    /// The map of a sparse file is not valid, or the entry cannot have one.
    #[error("malformed sparse file map")]
    SparseMap,
    /// One zero block is followed by something else than a second one.
    #[error("a single zero block is followed by more data")]
    LoneZeroBlock,
    /// The stream ends within something that must be complete.
    #[error("the archive ends within {0}")]
    Truncated(&'static str),
    /// More bytes than a signed 64-bit offset can count.
    #[error("the archive is longer than 2^63 - 1 bytes")]
    TooLong,

    /// A global PAX header (`g`, as `git archive` writes it): the reference fails on it.
    #[error("global PAX header")]
    GlobalHeader,
    /// A sparse file in old GNU format (type `S`): the reference fails on it.
    #[error("sparse file (old GNU format)")]
    OldGnuSparse,
    /// A PAX sparse file, for which a zTOC would give the logical size to the physical bytes.
    #[error("sparse file (PAX format)")]
    PaxSparse,
    /// A type flag the reference has no zTOC type for.
    #[error("entry type {} has no place in a zTOC", Escaped(&[*.0]))]
    EntryType(u8),
    /// An owner id that does not fit the 32 bits a zTOC has for it.
    #[error("{field} {value} is outside 0 to 4294967295")]
    OwnerId {
        /// `uid` or `gid`.
        field: &'static str,
        /// The id.
        value: i64,
    },
    /// A modification time whose year (in UTC) is outside 0 to 9999; the reference would store none.
    #[error("modification time {0} s since 1970 is outside the years 0 to 9999")]
    ModTimeYear(i64),
    /// An extended attribute whose name is empty: the reference's metadata store refuses it, or not, by
    /// the order of a map.
    #[error("an extended attribute has no name")]
    NamelessAttribute,
    /// An extended attribute without a value beside others: the reference's metadata store loses it, and
    /// reading the file is answered with an I/O error, or not, by the order of a map.
    #[error("an extended attribute among several has no value")]
    EmptyAttribute,
    /// A hard link to a name that no earlier entry of the layer provides: mounting the layer would fail.
    #[error("hard link to \"{}\", which no earlier entry of the layer provides", Escaped(target))]
    DanglingHardLink {
        /// The link target, raw bytes.
        target: Vec<u8>,
    },
    /// A layer with hard links has more files and directories than this crate tracks to check their targets.
    #[error("more files and directories than hard links can be checked against")]
    TooManyNames,
    /// The table of contents no longer fits a zTOC.
    #[error(transparent)]
    TocFull(#[from] TocFull),
}

impl TarErrorKind {
    /// Whether the archive is sound as far as read, but its layer must be left without a zTOC.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        match self {
            Self::Checksum
            | Self::Number { .. }
            | Self::NegativeSize(_)
            | Self::MetaTooLong(_)
            | Self::PaxRecord
            | Self::PaxValue { .. }
            | Self::SparseMap
            | Self::LoneZeroBlock
            | Self::Truncated(_)
            | Self::TooLong => false,
            Self::GlobalHeader
            | Self::OldGnuSparse
            | Self::PaxSparse
            | Self::EntryType(_)
            | Self::OwnerId { .. }
            | Self::ModTimeYear(_)
            | Self::NamelessAttribute
            | Self::EmptyAttribute
            | Self::DanglingHardLink { .. }
            | Self::TooManyNames
            | Self::TocFull(_) => true,
        }
    }

    /// Whether the archive is sound and only needs more than a zTOC can hold.
    pub(crate) const fn is_limit(&self) -> bool {
        matches!(self, Self::TooManyNames | Self::TocFull(_))
    }
}

/// Foreign bytes for a terminal: control and bidirectional-override characters, quotes and backslashes are
/// escaped, bytes that are not UTF-8 appear as `\xNN`, and overlong text ends in `…`.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..MAX_SHOWN).unwrap_or(self.0);
        for chunk in shown.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' | '"' => write!(f, "\\{c}")?,
                    '\n' | '\r' | '\t' => write!(f, "{}", c.escape_default())?,
                    _ if is_deceptive(c) => write!(f, "{}", c.escape_unicode())?,
                    _ => write!(f, "{c}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if shown.len() < self.0.len() {
            f.write_str("…")?;
        }
        Ok(())
    }
}

/// Characters that move the cursor, reorder the line or are not seen at all.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_escaped() {
        for (raw, shown) in [
            (&b"usr/bin/caf\xc3\xa9"[..], "usr/bin/café"),
            (b"a\x1b[31m\n\x00", "a\\u{1b}[31m\\n\\u{0}"),
            ("x\u{202e}gpj.exe\u{2066}".as_bytes(), "x\\u{202e}gpj.exe\\u{2066}"),
            (b"\xff\xc3(", "\\xff\\xc3("),
            (br#"a"b\c"#, r#"a\"b\\c"#),
        ] {
            assert_eq!(Escaped(raw).to_string(), shown);
        }
        let long = Escaped(&[b'a'; MAX_SHOWN + 1]).to_string();
        assert_eq!(long.chars().count(), MAX_SHOWN + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn messages_name_place_and_entry() {
        let error = |entry: &[u8], kind| TarError { offset: 512, entry: entry.to_vec(), kind };
        let kind = TarErrorKind::DanglingHardLink { target: b"t\n".to_vec() };
        assert_eq!(
            error(b"a", kind).to_string(),
            "tar entry \"a\" (header at byte 512): hard link to \"t\\n\", which no earlier entry of the layer provides"
        );
        let unnamed = error(b"", TarErrorKind::EntryType(b'\x07'));
        assert_eq!(
            unnamed.to_string(),
            "tar header at byte 512: entry type \\u{7} has no place in a zTOC"
        );
        assert!(unnamed.kind.is_unsupported());
        assert!(!error(b"", TarErrorKind::Checksum).kind.is_unsupported());
    }
}
