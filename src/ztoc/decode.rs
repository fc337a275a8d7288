//! zTOC bytes to values, refusing what the reference's reader refuses.
//!
//! Sources: `ztoc/ztoc_marshaler.go` (entries and running header position), `fs/span-manager`
//! (checkpoint and digest counts, increasing offsets); `soci-formats` 7.3.

use super::toc::{Entry, FileType, ModTime, Toc, TocFull};
use super::zinfo::{GzipZinfo, TarZinfo, ZinfoError};
use super::{Zinfo, Ztoc};
use crate::oci::digest::{Digest, ParseDigestError};
use crate::ztoc::flatbuffer::read::{Bytes, Flat, Table};

/// Why bytes are no zTOC that a reader takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A flatbuffer offset or length leads outside.
    #[error("flatbuffer offset at byte {position} leads outside the blob")]
    OutOfBounds {
        /// Where the offset stands.
        position: usize,
    },
    /// A table is missing.
    #[error("the {0} table is missing")]
    Missing(&'static str),
    /// Another compression than gzip and plain tar.
    #[error("unknown compression algorithm {0}")]
    Algorithm(i8),
    /// A number that cannot be.
    #[error("{what} is {value}")]
    Number {
        /// Name of the field.
        what: &'static str,
        /// Its value.
        value: i64,
    },
    /// A text that is no UTF-8 where one is expected.
    #[error("the build tool identifier is not UTF-8")]
    Identifier,
    /// An entry's type text.
    #[error("entry {index} has the unknown type {found:?}")]
    FileType {
        /// Position of the entry.
        index: usize,
        /// The text.
        found: String,
    },
    /// An entry's time text.
    #[error("entry {index} has the modification time {found:?} (expected RFC 3339 in UTC)")]
    ModTime {
        /// Position of the entry.
        index: usize,
        /// The text.
        found: String,
    },
    /// An entry overlaps the one before it.
    #[error("entry {index} begins at offset {offset}, inside the one before it (ends at {end})")]
    Overlap {
        /// Position of the entry.
        index: usize,
        /// Its data offset.
        offset: i64,
        /// Where the header behind the previous entry would begin.
        end: i64,
    },
    /// Packed checkpoints.
    #[error(transparent)]
    Zinfo(#[from] ZinfoError),
    /// Span count.
    #[error(
        "{spans} spans by the checkpoints, but max_span_id is {max_span_id} and there are {digests} span digests"
    )]
    SpanCount {
        /// By the checkpoints.
        spans: u64,
        /// As stored.
        max_span_id: i32,
        /// As stored.
        digests: usize,
    },
    /// A span that is empty or goes backwards.
    #[error("span {0} does not end behind its beginning")]
    SpanOrder(usize),
    /// A span digest.
    #[error("span digest {index}: {source}")]
    SpanDigest {
        /// Position.
        index: usize,
        /// What is wrong.
        source: ParseDigestError,
    },
    /// Entries that share parts, which no builder writes: a small blob could hold any number of them.
    #[error("the entries add up to more bytes than the blob has")]
    Shared,
    /// Texts beyond what a zTOC can hold.
    #[error(transparent)]
    Full(#[from] TocFull),
}

/// The version text of a zTOC blob, which no reader looks at.
///
/// # Errors
/// [`DecodeError::OutOfBounds`].
pub(crate) fn version(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    Flat(bytes).root()?.bytes(0)
}

impl Ztoc {
    /// Reads a zTOC blob.
    ///
    /// # Errors
    /// [`DecodeError`], the first thing that a reader would refuse.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let root = Flat(bytes).root()?;
        let identifier =
            std::str::from_utf8(root.bytes(1)?).map_err(|_| DecodeError::Identifier)?;
        let toc = match root.table(4)? {
            Some(table) => decode_toc(table, bytes.len())?,
            None => return Err(DecodeError::Missing("TOC")),
        };
        let compressed = size("compressed_archive_size", root.i64(2)?)?;
        let uncompressed = size("uncompressed_archive_size", root.i64(3)?)?;
        let info = root.table(5)?.ok_or(DecodeError::Missing("CompressionInfo"))?;
        let zinfo = match info.i8(0, 1)? {
            1 => Zinfo::Gzip(GzipZinfo::from_bytes(info.bytes(3)?.to_vec())?),
            2 => Zinfo::Tar(tar_zinfo(info.bytes(3)?)?),
            other => return Err(DecodeError::Algorithm(other)),
        };
        check_span_count(info, zinfo.span_count())?;
        let digests = info.offsets(2)?;
        let mut span_digests = Vec::with_capacity(digests.len() as usize);
        for (index, text) in digests.byte_vectors().enumerate() {
            let digest: Result<Digest, _> = String::from_utf8_lossy(text?).parse();
            span_digests.push(digest.map_err(|source| DecodeError::SpanDigest { index, source })?);
        }
        check_spans(&zinfo)?;
        Ok(Self {
            build_tool_identifier: identifier.to_owned(),
            compressed_archive_size: compressed,
            uncompressed_archive_size: uncompressed,
            toc,
            zinfo,
            span_digests,
        })
    }
}

/// Holds what the table says about the number of spans against that of the checkpoints.
pub(super) fn check_span_count<B: Bytes>(info: Table<B>, spans: u64) -> Result<(), B::Error> {
    let ((_, digests), max_span_id) = (info.vector(2, 4)?, info.i32(1)?);
    if digests == spans && i64::from(max_span_id) == spans as i64 - 1 {
        return Ok(());
    }
    let digests = digests as usize;
    Err(DecodeError::SpanCount { spans, max_span_id, digests }.into())
}

pub(super) fn size(what: &'static str, value: i64) -> Result<u64, DecodeError> {
    u64::try_from(value).map_err(|_| DecodeError::Number { what, value })
}

pub(super) fn tar_zinfo(bytes: &[u8]) -> Result<TarZinfo, DecodeError> {
    let root = Flat(bytes).root()?;
    let span_size = root.i64(1)?;
    if span_size < 1 {
        return Err(DecodeError::Number { what: "span size", value: span_size });
    }
    Ok(TarZinfo { span_size: span_size.unsigned_abs(), size: size("layer size", root.i64(2)?)? })
}

fn check_spans(zinfo: &Zinfo) -> Result<(), DecodeError> {
    let Zinfo::Gzip(gzip) = zinfo else {
        return Ok(());
    };
    let increasing = |position: usize| {
        let (this, next) = (gzip.checkpoint(position), gzip.checkpoint(position + 1));
        this.compressed_offset > 0
            && this.span_start() < next.compressed_offset
            && this.uncompressed_offset < next.uncompressed_offset
    };
    match (0..gzip.len() - 1).find(|position| !increasing(*position)) {
        Some(position) => Err(DecodeError::SpanOrder(position)),
        None => Ok(()),
    }
}

/// Least bytes of an entry besides its texts: table, offset, length and NUL of six strings, a vector.
const ENTRY_COST: usize = 64;
/// The same for a PAX record.
const RECORD_COST: usize = 24;

fn decode_toc(table: Table<&[u8]>, size: usize) -> Result<Toc, DecodeError> {
    let mut toc = Toc::new();
    let mut left = size;
    let mut charge = |bytes: usize| match left.checked_sub(bytes) {
        Some(rest) => {
            left = rest;
            Ok(())
        }
        None => Err(DecodeError::Shared),
    };
    let mut header = 0_i64;
    let mut pax = Vec::new();
    for (index, file) in table.offsets(0)?.tables().enumerate() {
        let file = file?;
        let type_text = file.bytes(1)?;
        let file_type = FileType::from_name(type_text).ok_or_else(|| DecodeError::FileType {
            index,
            found: String::from_utf8_lossy(type_text).into_owned(),
        })?;
        let time = file.bytes(10)?;
        let mod_time = ModTime::parse(time).ok_or_else(|| DecodeError::ModTime {
            index,
            found: String::from_utf8_lossy(time).into_owned(),
        })?;
        let (offset, size) = (file.i64(2)?, file.i64(3)?);
        if offset < header {
            return Err(DecodeError::Overlap { index, offset, end: header });
        }
        header = offset
            .checked_add(size)
            .and_then(|end| end.checked_add(511))
            .filter(|_| size >= 0)
            .ok_or(DecodeError::Number { what: "uncompressed size", value: size })?
            & !511;
        let texts = [file.bytes(0)?, file.bytes(4)?, file.bytes(8)?, file.bytes(9)?];
        charge(ENTRY_COST + texts.iter().map(|text| text.len()).sum::<usize>())?;
        pax.clear();
        for record in file.offsets(13)?.tables() {
            let record = record?;
            let (key, value) = (record.bytes(0)?, record.bytes(1)?);
            charge(RECORD_COST + key.len() + value.len())?;
            pax.push((key, value));
        }
        let [name, linkname, uname, gname] = texts;
        toc.push(&Entry {
            name,
            file_type,
            uncompressed_offset: offset,
            uncompressed_size: size,
            linkname,
            mode: file.i64(5)?,
            uid: file.u32(6)?,
            gid: file.u32(7)?,
            uname,
            gname,
            mod_time,
            devmajor: file.i64(11)?,
            devminor: file.i64(12)?,
            pax: &pax,
        })?;
    }
    Ok(toc)
}
