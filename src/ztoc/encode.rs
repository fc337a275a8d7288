//! zTOC values to bytes.
//!
//! A flatbuffer's bytes depend on the order in which its parts are created, so this follows the
//! reference's marshaller call by call (`ztoc/ztoc_marshaler.go`, `soci-formats` 1.3). A flatbuffer
//! grows from its end, and the reference creates the files last to first: what lies in the blob is the
//! root, the checkpoints, the offsets of the files, the files in archive order, two short texts. So a
//! blob is first laid out ([`Encoding`]: where each file goes, 4 bytes a file) and then written front
//! to back in parts; it never is in memory as a whole unless somebody asks ([`Ztoc::encode`]).
//!
//! Texts are bytes: names need not be UTF-8.

use super::toc::FileRef;
use super::{ZTOC_VERSION, Zinfo, Ztoc};
use crate::ztoc::flatbuffer::write::{Back, Count, Fill, OFFSET, Position, Table, Vtables};

/// The reference's builder refuses to grow past this (`soci-formats` 1.3), so no reader of such a zTOC
/// exists.
const MAX_SIZE: u64 = 1 << 30;

/// Files of which a part is made: some 180 KiB, so that a part stays in the cache until it is hashed and
/// written.
const FILES_PER_PART: usize = 1024;

/// The zTOC would exceed 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the zTOC would exceed 1 GiB, the most that a reader takes")]
pub struct ZtocTooLarge;

/// The value of a zTOC's `compression_algorithm` for plain tar; gzip (1) is the default and is omitted.
pub(super) const ALGORITHM_GZIP: i8 = 1;
pub(super) const ALGORITHM_TAR: i8 = 2;

/// A zTOC blob whose layout is decided.
#[derive(Debug)]
pub struct Encoding<'a> {
    ztoc: &'a Ztoc,
    checkpoints: std::borrow::Cow<'a, [u8]>,
    algorithm: i8,
    /// Position of each file's table, in archive order. Below 1 GiB.
    tables: Vec<u32>,
    /// Position at which each group of [`FILES_PER_PART`] files begins, in archive order, and, behind
    /// the last group, the one at which it ends.
    parts: Vec<Position>,
    /// Where the bytes of the checkpoints begin.
    checkpoints_start: Position,
    /// The table of contents.
    toc: Position,
    version: Position,
    tool: Position,
    vtables: std::cell::RefCell<Vtables>,
    /// Alignment of the whole: 8 when any number of 8 bytes is stored.
    alignment: u64,
    size: u64,
}

impl Ztoc {
    /// The zTOC blob.
    ///
    /// # Errors
    /// [`ZtocTooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, ZtocTooLarge> {
        let encoding = self.encoding()?;
        let mut bytes = Vec::with_capacity(encoding.size as usize);
        let Ok(()) = encoding.parts(|part| {
            bytes.extend_from_slice(part);
            Ok::<(), std::convert::Infallible>(())
        });
        Ok(bytes)
    }

    /// Lays the zTOC blob out.
    ///
    /// # Errors
    /// [`ZtocTooLarge`].
    pub fn encoding(&self) -> Result<Encoding<'_>, ZtocTooLarge> {
        let (checkpoints, algorithm) = match &self.zinfo {
            Zinfo::Gzip(gzip) => (gzip.as_bytes().into(), ALGORITHM_GZIP),
            Zinfo::Tar(tar) => (tar.encode().into(), ALGORITHM_TAR),
        };
        let has_sizes = (self.compressed_archive_size, self.uncompressed_archive_size) != (0, 0);
        let mut out = Count::default();
        let mut encoding = Encoding {
            ztoc: self,
            checkpoints,
            algorithm,
            tables: vec![0; self.toc.len()],
            parts: vec![0; self.toc.len().div_ceil(FILES_PER_PART) + 1],
            checkpoints_start: 0,
            version: out.string(ZTOC_VERSION.as_bytes()),
            tool: out.string(self.build_tool_identifier.as_bytes()),
            vtables: std::cell::RefCell::default(),
            alignment: if has_sizes { 8 } else { OFFSET },
            toc: 0,
            size: 0,
        };
        let groups = encoding.parts.len() - 1;
        encoding.parts[groups] = out.used();
        let mut scratch = Scratch::default();
        for (position, file) in self.toc.iter().enumerate().rev() {
            let (table, has_long) = scratch.file(&mut out, encoding.vtables.get_mut(), &file);
            if out.used() > MAX_SIZE {
                return Err(ZtocTooLarge);
            }
            encoding.tables[position] = table as u32;
            if has_long {
                encoding.alignment = 8;
            }
            if position % FILES_PER_PART == 0 {
                encoding.parts[position / FILES_PER_PART] = out.used();
            }
        }
        encoding.toc = encoding.put_toc(&mut out);
        out.align(encoding.checkpoints.len() as u64, OFFSET);
        // Their bytes are not read here.
        out.pad(encoding.checkpoints.len() as u64);
        encoding.checkpoints_start = out.used();
        encoding.head(&mut out);
        encoding.size = out.used();
        if encoding.size > MAX_SIZE { Err(ZtocTooLarge) } else { Ok(encoding) }
    }
}

impl Encoding<'_> {
    /// Size of the blob in bytes, at most 1 GiB.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives the blob to `write`, front to back, in parts of moderate size.
    ///
    /// # Errors
    /// Those of `write`, which is then not called again.
    pub fn parts<E>(&self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut buffer = Vec::new();
        let files_start = self.parts[0];
        let checkpoints_end = self.checkpoints_start - self.checkpoints.len() as u64;

        let head = resize(&mut buffer, self.size - self.checkpoints_start);
        self.head(&mut Fill::new(head, self.checkpoints_start));
        write(head)?;
        write(&self.checkpoints)?;
        let middle = resize(&mut buffer, checkpoints_end - files_start);
        let mut fill = Fill::new(middle, files_start);
        self.put_toc(&mut fill);
        fill.align(self.checkpoints.len() as u64, OFFSET);
        write(middle)?;
        let mut scratch = Scratch::default();
        for (group, ends) in self.parts.windows(2).enumerate() {
            let part = resize(&mut buffer, ends[0] - ends[1]);
            let mut fill = Fill::new(part, ends[1]);
            let first = group * FILES_PER_PART;
            let last = self.ztoc.toc.len().min(first + FILES_PER_PART);
            for position in (first..last).rev() {
                let file = self.ztoc.toc.get(position);
                scratch.file(&mut fill, &mut self.vtables.borrow_mut(), &file);
            }
            write(part)?;
        }
        let tail = resize(&mut buffer, self.parts[self.parts.len() - 1]);
        let mut fill = Fill::new(tail, 0);
        fill.string(ZTOC_VERSION.as_bytes());
        fill.string(self.ztoc.build_tool_identifier.as_bytes());
        write(tail)
    }

    /// The offsets of the files, and the table that holds them.
    fn put_toc(&self, out: &mut impl Back) -> Position {
        let metadata = out.offsets(self.tables.iter().map(|table| Position::from(*table)));
        let mut table = Table::new(out);
        table.offset(out, 0, metadata);
        table.end(out, &mut self.vtables.borrow_mut())
    }

    /// What stands before the bytes of the checkpoints.
    fn head(&self, out: &mut impl Back) {
        let ztoc = self.ztoc;
        let vtables = &mut self.vtables.borrow_mut();
        out.put(&(self.checkpoints.len() as u32).to_le_bytes());
        let checkpoints = out.used();
        let digests: Vec<_> = ztoc
            .span_digests
            .iter()
            .map(|digest| out.string(digest.to_string().as_bytes()))
            .collect();
        let digests = out.offsets(digests.into_iter());
        let mut table = Table::new(out);
        // An empty tar has no span, and the reference stores -1 for it.
        let max_span_id = ztoc.span_digests.len() as i32 - 1;
        table.int(out, 1, max_span_id.cast_unsigned());
        table.offset(out, 2, digests);
        table.offset(out, 3, checkpoints);
        table.byte(out, 0, self.algorithm, ALGORITHM_GZIP);
        let compression = table.end(out, vtables);

        let mut table = Table::new(out);
        table.offset(out, 0, self.version);
        table.offset(out, 1, self.tool);
        table.offset(out, 4, self.toc);
        table.long(out, 2, ztoc.compressed_archive_size as i64);
        table.long(out, 3, ztoc.uncompressed_archive_size as i64);
        table.offset(out, 5, compression);
        let root = table.end(out, vtables);
        out.align(OFFSET, self.alignment);
        out.offset(root);
    }
}

/// The part of a buffer that is used next.
fn resize(buffer: &mut Vec<u8>, size: u64) -> &mut [u8] {
    if buffer.len() < size as usize {
        buffer.resize(size as usize, 0);
    }
    &mut buffer[..size as usize]
}

/// Buffers that are reused from file to file.
#[derive(Default)]
struct Scratch {
    time: Vec<u8>,
    pax: Vec<Position>,
}

impl Scratch {
    /// One file's texts, records and table; whether the table has a number of 8 bytes.
    fn file(
        &mut self,
        out: &mut impl Back,
        vtables: &mut Vtables,
        file: &FileRef<'_>,
    ) -> (Position, bool) {
        self.time.clear();
        file.mod_time().write(&mut self.time);
        let name = out.string(file.name());
        let file_type = out.string(file.file_type().as_str().as_bytes());
        let linkname = out.string(file.linkname());
        let uname = out.string(file.uname());
        let gname = out.string(file.gname());
        let mod_time = out.string(&self.time);
        self.pax.clear();
        for (key, value) in file.pax() {
            let key = out.string(key);
            let value = out.string(value);
            let mut table = Table::new(out);
            table.offset(out, 0, key);
            table.offset(out, 1, value);
            self.pax.push(table.end(out, vtables));
        }
        let pax = out.offsets(self.pax.iter().copied());
        let mut table = Table::new(out);
        table.offset(out, 0, name);
        table.offset(out, 1, file_type);
        table.long(out, 2, file.uncompressed_offset());
        table.long(out, 3, file.uncompressed_size());
        table.offset(out, 4, linkname);
        table.long(out, 5, file.mode());
        table.int(out, 6, file.uid());
        table.int(out, 7, file.gid());
        table.offset(out, 8, uname);
        table.offset(out, 9, gname);
        table.offset(out, 10, mod_time);
        table.long(out, 11, file.devmajor());
        table.long(out, 12, file.devminor());
        table.offset(out, 13, pax);
        let has_long = table.has_long;
        (table.end(out, vtables), has_long)
    }
}
