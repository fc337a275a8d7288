//! Sparse files. No SOCI reader can serve one (`soci-formats` 2.4, 9.1 no. 5), so for a zTOC all this has to find out is
//! whether the map is valid: an invalid one means a corrupt archive (Go `archive/tar` `reader.go`). Who unpacks the
//! layer needs the map itself.

use std::ops::Range;

use super::MAX_META_SIZE;
use super::entry::has_data;
use super::error::TarErrorKind;
use super::header::{BLOCK_SIZE, Block, Format, Header, numeric};
use super::pax::{PaxRecords, SPARSE_MAP, decimal};

/// The map of a sparse file.
pub(super) enum Sparse {
    /// It is in the records (PAX formats 0.0 and 0.1).
    Known(Fragments),
    /// It is in front of the file data (PAX format 1.0).
    Ahead(Box<DataMap>),
    /// It goes on between header and data (old GNU format).
    Old(OldMap),
}

/// The map when the entry is a sparse file. Unknown versions in the records make it none.
///
/// # Errors
/// When the map is malformed; and for the old GNU format when it is complete, as containerd does not unpack it either.
pub(super) fn find(
    header: &Header<'_>,
    records: Option<&PaxRecords>,
    block: &Block,
) -> Result<Option<Sparse>, TarErrorKind> {
    if header.type_flag == b'S' {
        let map = OldMap::new(header, block)?.ok_or(TarErrorKind::OldGnuSparse)?;
        return Ok(Some(Sparse::Old(map)));
    }
    let Some(pax) = records else { return Ok(None) };
    let ahead = match (pax.get(b"GNU.sparse.major"), pax.get(b"GNU.sparse.minor")) {
        (b"0", b"0" | b"1") => false,
        (b"1", b"0") => true,
        (b"", b"") if !pax.get(SPARSE_MAP).is_empty() => false,
        _ => return Ok(None),
    };
    if !has_data(header.type_flag) {
        return Err(TarErrorKind::SparseMap);
    }
    if !ahead {
        return of_records(pax, header.size).map(|fragments| Some(Sparse::Known(fragments)));
    }
    if header.size.cast_unsigned() < BLOCK_SIZE as u64 {
        return Err(TarErrorKind::SparseMap);
    }
    Ok(Some(Sparse::Ahead(Box::new(DataMap::new(pax, header.size)?))))
}

/// Where the data of a sparse file lies in it, in order; everything else is zeros.
pub(crate) type SparseMap = Vec<Range<u64>>;

/// Takes fragments one by one: in order, without overlap, within the logical size of the file.
#[derive(Debug)]
pub(super) struct Fragments {
    /// The logical size of the file.
    pub(super) size: i64,
    end: i64,
    found: SparseMap,
}

impl Fragments {
    fn new(size: i64) -> Result<Self, TarErrorKind> {
        if size < 0 {
            return Err(TarErrorKind::SparseMap);
        }
        Ok(Self { size, end: 0, found: Vec::new() })
    }

    /// With the logical size the records give, else that of the header.
    fn of_pax(pax: &PaxRecords, header_size: i64) -> Result<Self, TarErrorKind> {
        let mut size = pax.get(b"GNU.sparse.size");
        if size.is_empty() {
            size = pax.get(b"GNU.sparse.realsize");
        }
        if size.is_empty() {
            return Self::new(header_size);
        }
        Self::new(decimal(size).ok_or(TarErrorKind::SparseMap)?)
    }

    fn push(&mut self, offset: Option<i64>, length: Option<i64>) -> Result<(), TarErrorKind> {
        let (Some(offset), Some(length)) = (offset, length) else {
            return Err(TarErrorKind::SparseMap);
        };
        match offset.checked_add(length) {
            Some(end) if offset >= self.end && length >= 0 && end <= self.size => {
                self.end = end;
                // Most maps end with an empty one.
                if length > 0 {
                    self.found.push(offset.cast_unsigned()..end.cast_unsigned());
                }
                Ok(())
            }
            _ => Err(TarErrorKind::SparseMap),
        }
    }

    /// The map of a file with so many bytes of data.
    ///
    /// # Errors
    /// When data is missing or left over (Go: `errMissData`, `errUnrefData`).
    pub(super) fn finish(self, data: u64) -> Result<SparseMap, TarErrorKind> {
        let mapped: u64 = self.found.iter().map(|part| part.end - part.start).sum();
        if mapped == data { Ok(self.found) } else { Err(TarErrorKind::SparseMap) }
    }
}

/// The number of fragments; below 2^62, as Go doubles it.
fn fragment_count(text: &[u8]) -> Result<u64, TarErrorKind> {
    match decimal(text).map(u64::try_from) {
        Some(Ok(count)) if count < 1 << 62 => Ok(count),
        _ => Err(TarErrorKind::SparseMap),
    }
}

/// The map of formats 0.0 and 0.1.
fn of_records(pax: &PaxRecords, header_size: i64) -> Result<Fragments, TarErrorKind> {
    let mut fragments = Fragments::of_pax(pax, header_size)?;
    let count = fragment_count(pax.get(b"GNU.sparse.numblocks"))?;
    let map = pax.get(SPARSE_MAP);
    let mut seen = 0u64;
    if !map.is_empty() {
        let mut numbers = map.split(|byte| *byte == b',');
        while let Some(offset) = numbers.next() {
            fragments.push(decimal(offset), numbers.next().and_then(decimal))?;
            seen += 1;
        }
    }
    if seen == count { Ok(fragments) } else { Err(TarErrorKind::SparseMap) }
}

/// The map of format 1.0 on its way through the first blocks of the file data: decimal numbers, each with a
/// line feed, the first being the number of fragments.
#[derive(Debug)]
pub(super) struct DataMap {
    /// What a complete map says.
    pub(super) fragments: Fragments,
    text: Vec<u8>,
    lines: u64,
    /// Length of the first line and the lines needed in all, once known.
    count: Option<(usize, u64)>,
}

impl DataMap {
    /// For the entry with these records.
    fn new(pax: &PaxRecords, header_size: i64) -> Result<Self, TarErrorKind> {
        let fragments = Fragments::of_pax(pax, header_size)?;
        Ok(Self { fragments, text: Vec::new(), lines: 0, count: None })
    }

    /// Takes the next block of data; true when the map was complete and valid.
    ///
    /// # Errors
    /// When the map is not valid or longer than Go's limit of 1 MiB.
    pub(super) fn block(&mut self, block: &Block) -> Result<bool, TarErrorKind> {
        if self.text.len() + block.len() > MAX_META_SIZE {
            return Err(TarErrorKind::SparseMap);
        }
        self.text.extend_from_slice(block);
        self.lines += block.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        if self.lines == 0 {
            return Ok(false);
        }
        let (first, needed) = if let Some(count) = self.count {
            count
        } else {
            let first = self.text.iter().take_while(|byte| **byte != b'\n').count();
            (first, fragment_count(&self.text[..first])? * 2 + 1)
        };
        self.count = Some((first, needed));
        if self.lines < needed {
            return Ok(false);
        }
        let mut numbers = self.text[first + 1..].split(|byte| *byte == b'\n').map(decimal);
        for _ in 0..needed / 2 {
            self.fragments.push(numbers.next().flatten(), numbers.next().flatten())?;
        }
        Ok(true)
    }
}

/// The map of the old GNU format: in the header block, then in blocks between header and data.
#[derive(Debug)]
pub(super) struct OldMap {
    fragments: Fragments,
    bytes: usize,
}

/// Bytes of one fragment: two numeric fields of 12.
const OLD_FRAGMENT: usize = 24;
const OLD_HEADER_MAP: Range<usize> = 386..483;
const OLD_HEADER_FRAGMENTS: usize = 4;
const OLD_BLOCK_FRAGMENTS: usize = 21;

impl OldMap {
    /// Reads the part in the header; `None` when that was all of it.
    ///
    /// # Errors
    /// When the map is not valid, or the header not of GNU format: other formats lay it out differently.
    fn new(header: &Header<'_>, block: &Block) -> Result<Option<Self>, TarErrorKind> {
        if header.format != Format::Gnu {
            return Err(TarErrorKind::SparseMap);
        }
        let size = numeric(&block[483..495]).ok_or(TarErrorKind::SparseMap)?;
        let mut map = Self { fragments: Fragments::new(size)?, bytes: 0 };
        let more = map.part(&block[OLD_HEADER_MAP], OLD_HEADER_FRAGMENTS)?;
        Ok(more.then_some(map))
    }

    /// Takes the next block; true when the map was complete and valid.
    pub(super) fn block(&mut self, block: &Block) -> Result<bool, TarErrorKind> {
        Ok(!self.part(block, OLD_BLOCK_FRAGMENTS)?)
    }

    /// One part of the map: fragments, then a byte that tells whether another block follows.
    fn part(&mut self, part: &[u8], capacity: usize) -> Result<bool, TarErrorKind> {
        self.bytes += part.len();
        if self.bytes >= MAX_META_SIZE {
            return Err(TarErrorKind::SparseMap);
        }
        let end = capacity * OLD_FRAGMENT;
        for fragment in part[..end].chunks_exact(OLD_FRAGMENT) {
            if fragment[0] == 0 {
                break;
            }
            self.fragments.push(numeric(&fragment[..12]), numeric(&fragment[12..]))?;
        }
        Ok(part[end] != 0)
    }
}
