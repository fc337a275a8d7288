//! The state machine from bytes to entries (`soci-formats` 2.1, 2.3, 2.4, 2.6; Go `archive/tar` `reader.go`
//! `next`, `readHeader`; reference `ztoc/toc_builder.go`).
//!
//! Differences from the reference, all on purpose (more than half a million archives, hand-made and mutated at
//! random, were compared with Go's reader and gave no other):
//!
//! - `uncompressed_size` is 0 for everything but regular files. The reference stores the size field of the
//!   header, although no data follows; its own reader then looks for the next header in the wrong place
//!   (`soci-formats` 9.1 no. 4).
//! - What the reference accepts, but its reader cannot serve, is an *unsupported* error here: sparse files,
//!   owner ids beyond 32 bits, years outside 0 to 9999, hard links without target.
//! - Limits of this crate: the table of contents must fit a zTOC, see [`MAX_TOC_SIZE`], and hard links can be
//!   checked against some eight million files only.

use std::collections::BTreeMap;
use std::mem;

use super::MAX_META_SIZE;
use super::entry::{Merged, Pending, has_data, least_size};
use super::error::{TarError, TarErrorKind};
use super::header::{self, BLOCK_SIZE, Block, Header};
use super::links::LinkTargets;
use super::pax::{PaxRecords, SPARSE_NAME};
use super::sparse::{self, DataMap, Fragments, OldMap, Sparse, SparseMap};
use crate::limits::MAX_SPARSE_FRAGMENTS;
use crate::ztoc::toc::{FileType, Toc, TocFull};

/// Largest flatbuffer, in bytes, the reference can write (`soci-formats` 1.3). Every entry is charged the
/// least it can take there, so a zip bomb of empty entries ends before it fills the memory.
pub const MAX_TOC_SIZE: u64 = 1 << 30;

/// Reads the headers of an uncompressed tar stream and collects the table of contents.
///
/// After an error the walker is spent: every further byte and [`Self::finish`] give the same error again.
#[derive(Debug, Default)]
pub struct TarWalker {
    /// Bytes taken from the stream.
    position: u64,
    /// Offset of the header block being dealt with.
    header_offset: u64,
    state: Phase,
    /// The beginning of a block that came in pieces.
    partial: Vec<u8>,
    pending: Pending,
    /// Prefix and name of the current header joined.
    joined_name: Vec<u8>,
    /// Name of the meta entry or sparse file being read, for messages.
    open_name: Vec<u8>,
    toc: Toc,
    toc_size: u64,
    links: LinkTargets,
    /// Whether it is walked to be shown, not to be indexed.
    unpacking: bool,
    /// Maps of the sparse files, by the positions of their entries, and how many fragments they have in all.
    sparse: BTreeMap<usize, SparseMap>,
    fragments: usize,
}

#[derive(Debug, Default)]
enum Phase {
    /// A header block is next.
    #[default]
    Header,
    /// One zero block was seen.
    ZeroBlock,
    /// Data and padding are next, `left` bytes in all. Of these the padding may be missing at the end.
    Skip {
        left: u64,
        padding: u64,
    },
    /// `left` bytes of payload and then padding are next.
    Meta {
        kind: Meta,
        left: usize,
        padding: u64,
    },
    /// Blocks of the map of an old GNU sparse file are next.
    OldSparse(OldMap),
    /// Blocks of the map of a PAX sparse file are next, within `left` bytes of data.
    SparseData {
        map: Box<DataMap>,
        left: u64,
        header: Box<Block>,
    },
    /// Two zero blocks were seen.
    End,
    Failed(Box<TarError>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meta {
    Records,
    GlobalRecords,
    LongName,
    LongLink,
}

/// What the tar headers of a stream say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TarSummary {
    /// The entries in archive order.
    pub toc: Toc,
    /// The `uncompressed_archive_size` of the zTOC: bytes up to and including the two zero blocks at the end,
    /// or all bytes when the stream ends without them (`soci-formats` 2.6).
    pub archive_size: u64,
    /// Maps of the sparse files by the positions of their entries, where the archive is unpacked.
    pub(crate) sparse: BTreeMap<usize, SparseMap>,
}

impl TarWalker {
    /// A walker at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For what unpacking makes of an archive: global PAX headers are passed over, as containerd does
    /// (`pkg/archive/tar.go`, `createTarFile`).
    pub(crate) fn unpacking() -> Self {
        Self { unpacking: true, ..Self::new() }
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The entries so far.
    #[must_use]
    pub fn toc(&self) -> &Toc {
        &self.toc
    }

    /// Takes the next bytes of the uncompressed stream. File data is skipped unread, and
    /// everything after the end of the archive is ignored.
    ///
    /// # Errors
    /// The first problem in stream order. Within one entry, what makes the archive malformed comes first.
    pub fn feed(&mut self, mut data: &[u8]) -> Result<(), TarError> {
        while !data.is_empty() {
            match &mut self.state {
                Phase::End => return Ok(()),
                Phase::Failed(error) => return Err((**error).clone()),
                Phase::Skip { left, .. } => {
                    let taken =
                        usize::try_from(*left).map_or(data.len(), |left| left.min(data.len()));
                    *left -= taken as u64;
                    if *left == 0 {
                        self.state = Phase::Header;
                    }
                    data = &data[taken..];
                    self.advance(taken)?;
                }
                Phase::Meta { kind, left, padding } => {
                    let (taken, rest) = data.split_at(data.len().min(*left));
                    *left -= taken.len();
                    kind.payload(&mut self.pending).extend_from_slice(taken);
                    let complete = (*left == 0).then_some((*kind, *padding));
                    data = rest;
                    self.advance(taken.len())?;
                    if let Some((kind, padding)) = complete {
                        self.meta_complete(kind, padding)?;
                    }
                }
                Phase::Header
                | Phase::ZeroBlock
                | Phase::OldSparse(_)
                | Phase::SparseData { .. } => data = self.block_bytes(data)?,
            }
        }
        Ok(())
    }

    /// Whether the end of the archive was seen: two zero blocks.
    #[must_use]
    pub const fn at_end(&self) -> bool {
        matches!(self.state, Phase::End)
    }

    /// How many of the next bytes the walker would pass over without looking at them: the rest of file data
    /// and padding, or `u64::MAX` after the end of the archive.
    #[must_use]
    pub const fn skippable(&self) -> u64 {
        match self.state {
            Phase::Skip { left, .. } => left,
            Phase::End => u64::MAX,
            _ => 0,
        }
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// The error [`Self::feed`] returned, or when the stream ends within a header, an extended header, file
    /// data or the end of archive marker. Missing padding and a missing marker are not errors.
    pub fn finish(mut self) -> Result<TarSummary, TarError> {
        let (what, name) = match &self.state {
            Phase::Failed(error) => return Err((**error).clone()),
            Phase::Header if !self.partial.is_empty() => {
                self.header_offset = self.position - self.partial.len() as u64;
                ("a header", self.pending.name())
            }
            Phase::ZeroBlock if !self.partial.is_empty() => ("the end of archive marker", &[][..]),
            Phase::Skip { left, padding } if left > padding => (
                "the data of a file",
                self.toc.iter().next_back().map_or(&[][..], |entry| entry.name()),
            ),
            Phase::Meta { .. } => ("an extended header", &self.open_name[..]),
            Phase::OldSparse(_) | Phase::SparseData { .. } => {
                ("a sparse file map", &self.open_name[..])
            }
            Phase::Header | Phase::ZeroBlock | Phase::Skip { .. } | Phase::End => {
                let (toc, archive_size, sparse) = (self.toc, self.position, self.sparse);
                return Ok(TarSummary { toc, archive_size, sparse });
            }
        };
        let entry = name.to_vec();
        Err(TarError { offset: self.header_offset, entry, kind: TarErrorKind::Truncated(what) })
    }

    /// Takes the next block or a piece of it, and gives back what is left.
    fn block_bytes<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], TarError> {
        // Most headers lie within one chunk and need no copy.
        if self.partial.is_empty()
            && let Some((block, rest)) = data.split_first_chunk()
        {
            self.advance(BLOCK_SIZE)?;
            self.block(block)?;
            return Ok(rest);
        }
        let (taken, rest) = data.split_at(data.len().min(BLOCK_SIZE - self.partial.len()));
        self.partial.extend_from_slice(taken);
        self.advance(taken.len())?;
        if let Some(block) = self.partial.first_chunk().copied() {
            self.partial.clear();
            self.block(&block)?;
        }
        Ok(rest)
    }

    /// Counts bytes; offsets in a zTOC are signed.
    fn advance(&mut self, bytes: usize) -> Result<(), TarError> {
        match self.position.checked_add(bytes as u64) {
            Some(position) if i64::try_from(position).is_ok() => {
                self.position = position;
                Ok(())
            }
            _ => Err(self.fail(TarErrorKind::TooLong, Vec::new())),
        }
    }

    /// Enters the failed state.
    fn fail(&mut self, kind: TarErrorKind, entry: Vec<u8>) -> TarError {
        let error = TarError { offset: self.header_offset, entry, kind };
        self.state = Phase::Failed(Box::new(error.clone()));
        error
    }

    /// Takes one whole block in a state that is about blocks.
    fn block(&mut self, block: &Block) -> Result<(), TarError> {
        let complete = match &mut self.state {
            Phase::Header => return self.header_block(block),
            Phase::ZeroBlock if header::is_zero(block) => {
                self.state = Phase::End;
                return Ok(());
            }
            Phase::ZeroBlock => return Err(self.fail(TarErrorKind::LoneZeroBlock, Vec::new())),
            Phase::OldSparse(map) => {
                map.block(block).map(|complete| complete.then_some(TarErrorKind::OldGnuSparse))
            }
            Phase::SparseData { map, left, .. } => {
                *left -= BLOCK_SIZE as u64;
                let too_short = *left < BLOCK_SIZE as u64;
                map.block(block).and_then(|complete| match complete {
                    true => Ok(Some(TarErrorKind::PaxSparse)),
                    false if too_short => Err(TarErrorKind::SparseMap),
                    false => Ok(None),
                })
            }
            Phase::Skip { .. } | Phase::Meta { .. } | Phase::End | Phase::Failed(_) => Ok(None),
        };
        match complete {
            Ok(None) => Ok(()),
            Ok(Some(TarErrorKind::PaxSparse)) if self.unpacking => self.sparse_mapped(),
            Ok(Some(kind)) | Err(kind) => Err(self.fail(kind, self.open_name.clone())),
        }
    }

    fn header_block(&mut self, block: &Block) -> Result<(), TarError> {
        self.header_offset = self.position - BLOCK_SIZE as u64;
        if header::is_zero(block) {
            self.state = Phase::ZeroBlock;
            return Ok(());
        }
        let header = match Header::parse(block) {
            Ok(header) => header,
            Err(kind) => {
                let own = match kind {
                    TarErrorKind::Checksum => &[],
                    _ => header::raw_name(block),
                };
                return Err(self.fail(kind, self.best_name(own)));
            }
        };
        let mut joined = mem::take(&mut self.joined_name);
        let name = header.full_name(&mut joined);
        let result = self.header(header, name, block);
        self.joined_name = joined;
        result
    }

    fn header(&mut self, header: Header<'_>, name: &[u8], block: &Block) -> Result<(), TarError> {
        // Go checks the header's own size before anything that may replace it.
        if has_data(header.type_flag) && header.size < 0 {
            let kind = TarErrorKind::NegativeSize(header.size);
            return Err(self.fail(kind, self.best_name(name)));
        }
        if let Some(kind) = Meta::of(header.type_flag) {
            return self.meta_begin(kind, header.size.cast_unsigned(), name);
        }
        let mut pending = mem::take(&mut self.pending);
        let result = self.entry(header, name, &pending, block);
        // A map in front of the data comes first.
        if !matches!(result, Err(_) | Ok(Phase::SparseData { .. })) {
            pending.reset();
        }
        self.pending = pending;
        match result {
            Ok(state) => {
                self.state = state;
                Ok(())
            }
            Err(kind) => Err(self.fail(kind, self.best_name(name))),
        }
    }

    /// The name an entry would have whose header says `own`.
    fn best_name(&self, own: &[u8]) -> Vec<u8> {
        match self.pending.name() {
            b"" => own.to_vec(),
            name => name.to_vec(),
        }
    }

    fn meta_begin(&mut self, kind: Meta, size: u64, name: &[u8]) -> Result<(), TarError> {
        let left = match usize::try_from(size) {
            Ok(left) if left <= MAX_META_SIZE => left,
            _ => return Err(self.fail(TarErrorKind::MetaTooLong(size), name.to_vec())),
        };
        self.open_name.clear();
        self.open_name.extend_from_slice(name);
        if matches!(kind, Meta::Records | Meta::GlobalRecords) {
            self.pending.has_records = false;
        }
        kind.payload(&mut self.pending).clear();
        let padding = padding(size);
        if left == 0 {
            return self.meta_complete(kind, padding);
        }
        self.state = Phase::Meta { kind, left, padding };
        Ok(())
    }

    fn meta_complete(&mut self, kind: Meta, padding: u64) -> Result<(), TarError> {
        let problem = match kind {
            Meta::Records => {
                self.pending.has_records = true;
                self.pending.records.parse().err()
            }
            // Go parses them as well, before the reference refuses the type. They count for no entry.
            Meta::GlobalRecords if self.unpacking => {
                let problem = self.pending.records.parse().err();
                self.pending.reset();
                problem
            }
            Meta::GlobalRecords => {
                self.pending.records.parse().err().or(Some(TarErrorKind::GlobalHeader))
            }
            Meta::LongName | Meta::LongLink => None,
        };
        if let Some(problem) = problem {
            return Err(self.fail(problem, self.open_name.clone()));
        }
        self.state = skip(0, padding);
        Ok(())
    }

    /// Adds a real entry and tells what comes after its header.
    fn entry(
        &mut self,
        header: Header<'_>,
        name: &[u8],
        pending: &Pending,
        block: &Block,
    ) -> Result<Phase, TarErrorKind> {
        let merged = Merged::new(header, name, pending)?;
        let header = &merged.header;
        let state = match sparse::find(header, pending.records(), block)? {
            None => {
                let size = self.push(&merged, pending)?;
                return Ok(skip(size, padding(size)));
            }
            Some(Sparse::Known(fragments)) if self.unpacking => {
                return self.sparse_entry(merged, pending, fragments);
            }
            Some(Sparse::Known(_)) => return Err(TarErrorKind::PaxSparse),
            Some(Sparse::Old(map)) => Phase::OldSparse(map),
            Some(Sparse::Ahead(map)) => {
                let left = header.size.cast_unsigned();
                Phase::SparseData { map, left, header: Box::new(*block) }
            }
        };
        self.open_name.clear();
        self.open_name.extend_from_slice(header.name);
        Ok(state)
    }

    /// The map in front of the data of a sparse file is complete.
    fn sparse_mapped(&mut self) -> Result<(), TarError> {
        let Phase::SparseData { map, left, header } = mem::replace(&mut self.state, Phase::Header)
        else {
            return Ok(());
        };
        let pending = mem::take(&mut self.pending);
        let mut joined = Vec::new();
        let next = Header::parse(&header).and_then(|header| {
            let name = header.full_name(&mut joined);
            let mut merged = Merged::new(header, name, &pending)?;
            merged.header.size = left.cast_signed();
            self.sparse_entry(merged, &pending, map.fragments)
        });
        match next {
            Ok(state) => {
                self.state = state;
                Ok(())
            }
            Err(kind) => Err(self.fail(kind, self.open_name.clone())),
        }
    }

    /// Adds a sparse file whose map is known; the size in `merged` is that of its data.
    fn sparse_entry<'b>(
        &mut self,
        mut merged: Merged<'b>,
        pending: &'b Pending,
        fragments: Fragments,
    ) -> Result<Phase, TarErrorKind> {
        let data = merged.header.size.cast_unsigned();
        merged.header.size = fragments.size;
        if let Some(name) = pending.records().map(|records| records.get(SPARSE_NAME))
            && !name.is_empty()
        {
            merged.header.name = name;
        }
        let map = fragments.finish(data)?;
        self.fragments += map.len();
        if self.fragments > MAX_SPARSE_FRAGMENTS {
            return Err(TarErrorKind::PaxSparse);
        }
        self.sparse.insert(self.toc.len(), map);
        self.push(&merged, pending)?;
        Ok(skip(data, padding(data)))
    }

    /// Adds an entry whose data is next, and gives its size.
    fn push(&mut self, merged: &Merged<'_>, pending: &Pending) -> Result<u64, TarErrorKind> {
        let pax: Vec<_> = pending.records().into_iter().flat_map(PaxRecords::iter).collect();
        let entry = merged.entry(self.position.cast_signed(), &pax)?;
        if entry.file_type == FileType::HardLink
            // Who unpacks may find it in a lower layer.
            && !self.unpacking
            && !self.links.contains(&self.toc, self.toc.len(), entry.linkname)?
        {
            return Err(TarErrorKind::DanglingHardLink { target: entry.linkname.to_vec() });
        }
        self.toc_size = self.toc_size.saturating_add(least_size(&entry));
        if self.toc_size > MAX_TOC_SIZE {
            return Err(TocFull.into());
        }
        self.toc.push(&entry)?;
        Ok(entry.uncompressed_size.cast_unsigned())
    }
}

impl Meta {
    const fn of(type_flag: u8) -> Option<Self> {
        Some(match type_flag {
            b'x' => Self::Records,
            b'g' => Self::GlobalRecords,
            b'L' => Self::LongName,
            b'K' => Self::LongLink,
            _ => return None,
        })
    }

    /// Where the payload is collected. A `g` entry may overwrite what an `x` entry said: it ends the walk.
    fn payload(self, pending: &mut Pending) -> &mut Vec<u8> {
        match self {
            Self::Records | Self::GlobalRecords => pending.records.payload(),
            Self::LongName => &mut pending.long_name,
            Self::LongLink => &mut pending.long_link,
        }
    }
}

/// Zero bytes from the end of `size` bytes to the next block.
const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK_SIZE as u64
}

/// `size` is at most `i64::MAX` and `padding` below a block, so the sum fits.
const fn skip(size: u64, padding: u64) -> Phase {
    match size + padding {
        0 => Phase::Header,
        left => Phase::Skip { left, padding },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_sparse_files_are_limited() {
        let records = b"22 GNU.sparse.major=0\n22 GNU.sparse.minor=1\n21 GNU.sparse.size=9\n26 GNU.sparse.numblocks=1\n22 GNU.sparse.map=2,3\n";
        let header = |kind, size: usize| {
            let mut block = [0; BLOCK_SIZE];
            block[..1].copy_from_slice(b"a");
            block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
            block[156] = kind;
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            block
        };
        let mut archive = header(b'x', records.len()).to_vec();
        archive.extend(records);
        archive.resize(1024, 0);
        archive.extend(header(b'0', 3));
        archive.resize(2048, 0);
        for (fragments, expected) in
            [(0, Ok(())), (MAX_SPARSE_FRAGMENTS, Err(TarErrorKind::PaxSparse))]
        {
            let mut walker = TarWalker { fragments, ..TarWalker::unpacking() };
            assert_eq!(walker.feed(&archive).map_err(|error| error.kind), expected);
            if expected.is_ok() {
                let summary = walker.finish().expect("complete");
                let map: SparseMap = std::iter::once(2..5).collect();
                assert_eq!(summary.sparse, BTreeMap::from([(0, map)]));
                assert_eq!(summary.toc.get(0).uncompressed_size(), 9);
            }
        }
    }

    #[test]
    fn limits_are_errors() {
        let mut block = [0; BLOCK_SIZE];
        block[..1].copy_from_slice(b"a");
        block[148..155].copy_from_slice(b"000541\0");
        let failed = |walker: TarWalker| {
            let mut walker = walker;
            let error = walker.feed(&block).expect_err("beyond the limit");
            assert_eq!(walker.feed(&[]), Ok(()), "nothing more to say");
            assert_eq!(walker.finish().expect_err("failed"), error);
            error.kind
        };
        let mut full = TarWalker { toc_size: MAX_TOC_SIZE - 200, ..TarWalker::new() };
        full.feed(&block).expect("fits");
        assert_eq!(failed(full), TarErrorKind::TocFull(TocFull));
        let position = i64::MAX.cast_unsigned() - BLOCK_SIZE as u64;
        let mut long = TarWalker { position, ..TarWalker::new() };
        long.feed(&block).expect("the last offset");
        assert_eq!(failed(long), TarErrorKind::TooLong);
    }
}
