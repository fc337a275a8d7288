//! The table of contents of one layer: what the tar headers say, in archive order.
//!
//! A layer can hold a million files, so texts live in one arena and an entry is a fixed-size record
//! of ranges into it. Texts are bytes, never cleaned and not necessarily UTF-8 (`soci-formats` 2.1).

use super::paths::XATTR;

/// Kind of a tar entry, as the zTOC names it (reference: `ztoc/toc_builder.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// Regular file (`reg`).
    Regular,
    /// Hard link to an earlier entry (`hardlink`).
    HardLink,
    /// Symbolic link (`symlink`).
    Symlink,
    /// Character device (`char`).
    CharDevice,
    /// Block device (`block`).
    BlockDevice,
    /// Directory (`dir`).
    Directory,
    /// Named pipe (`fifo`).
    Fifo,
}

impl FileType {
    /// The text stored in the zTOC.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "reg",
            Self::HardLink => "hardlink",
            Self::Symlink => "symlink",
            Self::CharDevice => "char",
            Self::BlockDevice => "block",
            Self::Directory => "dir",
            Self::Fifo => "fifo",
        }
    }

    /// The inverse of [`Self::as_str`].
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"reg" => Self::Regular,
            b"hardlink" => Self::HardLink,
            b"symlink" => Self::Symlink,
            b"char" => Self::CharDevice,
            b"block" => Self::BlockDevice,
            b"dir" => Self::Directory,
            b"fifo" => Self::Fifo,
            _ => return None,
        })
    }
}

/// A point in time as tar gives it: seconds since the Unix epoch and nanoseconds after that second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModTime {
    /// Seconds since 1970-01-01T00:00:00Z, negative before.
    pub seconds: i64,
    /// 0 to 999 999 999, always counted forwards from `seconds`.
    pub nanoseconds: u32,
}

/// One entry as the tar walker hands it over; [`Toc::push`] copies it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Final name (prefix joined, PAX and GNU long names applied), not cleaned.
    pub name: &'a [u8],
    /// Kind of the entry.
    pub file_type: FileType,
    /// Offset of the first byte of file data in the uncompressed archive.
    pub uncompressed_offset: i64,
    /// Bytes of file data.
    pub uncompressed_size: i64,
    /// Link target; empty for most.
    pub linkname: &'a [u8],
    /// Numeric mode field with all its bits.
    pub mode: i64,
    /// Owner id (low 32 bits).
    pub uid: u32,
    /// Group id (low 32 bits).
    pub gid: u32,
    /// Owner name.
    pub uname: &'a [u8],
    /// Group name.
    pub gname: &'a [u8],
    /// Modification time.
    pub mod_time: ModTime,
    /// Major device number.
    pub devmajor: i64,
    /// Minor device number.
    pub devminor: i64,
    /// All PAX records that apply to the entry, sorted by key bytes, keys unique.
    pub pax: &'a [(&'a [u8], &'a [u8])],
}

#[cfg(test)]
impl<'a> Entry<'a> {
    /// An entry of root's with mode 0644 and nothing else to it, for tests to begin with.
    pub(crate) fn plain(name: &'a [u8], file_type: FileType) -> Self {
        Self {
            name,
            file_type,
            uncompressed_offset: 0,
            uncompressed_size: 0,
            linkname: b"",
            mode: 0o644,
            uid: 0,
            gid: 0,
            uname: b"",
            gname: b"",
            mod_time: ModTime::default(),
            devmajor: 0,
            devminor: 0,
            pax: &[],
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Text {
    start: u32,
    len: u32,
}

/// What most entries have in common with one shortly before them: owner, mode, device numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attributes {
    uname: Text,
    gname: Text,
    uid: u32,
    gid: u32,
    mode: i64,
    devmajor: i64,
    devminor: i64,
}

/// 56 bytes an entry: a layer may have millions.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// Name and link target stand in the arena one behind the other.
    texts_start: u32,
    name_len: u32,
    linkname_len: u32,
    /// Position in [`Toc::attributes`].
    attributes: u32,
    pax_start: u32,
    pax_len: u32,
    offset: i64,
    size: i64,
    seconds: i64,
    nanoseconds: u32,
    file_type: FileType,
}

/// The table of contents was about to grow past what a zTOC can hold (1 GiB of texts).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the texts of the table of contents exceed 1 GiB, more than a zTOC can hold")]
pub struct TocFull;

/// All entries of one layer, in archive order.
#[derive(Clone, Debug, Default)]
pub struct Toc {
    arena: Vec<u8>,
    records: Vec<Record>,
    attributes: Vec<Attributes>,
    pax: Vec<(Text, Text)>,
}

/// A flatbuffer ends at 1 GiB in the reference (`soci-formats` 1.3), so more text can never be written.
const MAX_ARENA: usize = 1 << 30;

/// How many attributes are looked back through for equal ones: files and directories of one owner and a
/// few modes are what layers are made of.
const ATTRIBUTES_AGAIN: usize = 8;

impl Toc {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// [`TocFull`] when the texts no longer fit a zTOC.
    pub fn push(&mut self, entry: &Entry<'_>) -> Result<(), TocFull> {
        let name = self.text(entry.name)?;
        let linkname = self.text(entry.linkname)?;
        let attributes = self.attributes(entry)?;
        let pax_start = self.pax.len() as u32;
        for (key, value) in entry.pax {
            let pair = (self.text(key)?, self.text(value)?);
            self.pax.push(pair);
        }
        self.records.push(Record {
            texts_start: if name.len == 0 { linkname.start } else { name.start },
            name_len: name.len,
            linkname_len: linkname.len,
            attributes,
            pax_start,
            pax_len: entry.pax.len() as u32,
            offset: entry.uncompressed_offset,
            size: entry.uncompressed_size,
            seconds: entry.mod_time.seconds,
            nanoseconds: entry.mod_time.nanoseconds,
            file_type: entry.file_type,
        });
        Ok(())
    }

    /// The entry at `position`, in archive order.
    ///
    /// # Panics
    /// When `position` is not below [`Self::len`].
    #[must_use]
    pub fn get(&self, position: usize) -> FileRef<'_> {
        self.file(&self.records[position])
    }

    /// All entries in archive order.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = FileRef<'_>> + ExactSizeIterator {
        self.records.iter().map(|record| self.file(record))
    }

    fn file<'a>(&'a self, record: &'a Record) -> FileRef<'a> {
        FileRef { toc: self, record, attributes: &self.attributes[record.attributes as usize] }
    }

    fn text(&mut self, bytes: &[u8]) -> Result<Text, TocFull> {
        if bytes.is_empty() {
            return Ok(Text::default());
        }
        let start = self.arena.len();
        if bytes.len() > MAX_ARENA - start {
            return Err(TocFull);
        }
        self.arena.extend_from_slice(bytes);
        Ok(Text { start: start as u32, len: bytes.len() as u32 })
    }

    /// The position of the entry's attributes, which are added unless equal ones stand near the end.
    fn attributes(&mut self, entry: &Entry<'_>) -> Result<u32, TocFull> {
        let start = self.attributes.len().saturating_sub(ATTRIBUTES_AGAIN);
        let again = self.attributes[start..].iter().rposition(|known| {
            known.mode == entry.mode
                && (known.uid, known.gid) == (entry.uid, entry.gid)
                && (known.devmajor, known.devminor) == (entry.devmajor, entry.devminor)
                && self.bytes(known.uname) == entry.uname
                && self.bytes(known.gname) == entry.gname
        });
        if let Some(position) = again {
            return Ok((start + position) as u32);
        }
        let last = self.attributes.last().map(|last| (last.uname, last.gname));
        let uname = self.text_like(entry.uname, last.map(|last| last.0))?;
        let gname = self.text_like(entry.gname, last.map(|last| last.1))?;
        let Entry { uid, gid, mode, devmajor, devminor, .. } = *entry;
        self.attributes.push(Attributes { uname, gname, uid, gid, mode, devmajor, devminor });
        Ok((self.attributes.len() - 1) as u32)
    }

    fn text_like(&mut self, bytes: &[u8], last: Option<Text>) -> Result<Text, TocFull> {
        match last {
            Some(text) if self.bytes(text) == bytes => Ok(text),
            _ => self.text(bytes),
        }
    }

    fn bytes(&self, text: Text) -> &[u8] {
        &self.arena[text.start as usize..][..text.len as usize]
    }
}

/// A view of one entry of a [`Toc`].
#[derive(Clone, Copy, Debug)]
pub struct FileRef<'a> {
    toc: &'a Toc,
    record: &'a Record,
    attributes: &'a Attributes,
}

macro_rules! values {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $($path:ident).+),* $(,)?) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self) -> $type {
            self.$($path).+
        }
    )* };
}

impl<'a> FileRef<'a> {
    values! {
        /// Kind of the entry.
        file_type: FileType = record.file_type,
        /// Offset of the file data in the uncompressed archive, in bytes.
        uncompressed_offset: i64 = record.offset,
        /// Length of the file data in bytes.
        uncompressed_size: i64 = record.size,
        /// Numeric mode, all bits.
        mode: i64 = attributes.mode,
        /// Owner id.
        uid: u32 = attributes.uid,
        /// Group id.
        gid: u32 = attributes.gid,
        /// Major device number.
        devmajor: i64 = attributes.devmajor,
        /// Minor device number.
        devminor: i64 = attributes.devminor,
    }

    /// Final name, raw bytes.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        &self.toc.arena[self.record.texts_start as usize..][..self.record.name_len as usize]
    }

    /// Link target, raw bytes.
    #[must_use]
    pub fn linkname(&self) -> &'a [u8] {
        let start = self.record.texts_start as usize + self.record.name_len as usize;
        &self.toc.arena[start..][..self.record.linkname_len as usize]
    }

    /// Owner name.
    #[must_use]
    pub fn uname(&self) -> &'a [u8] {
        self.toc.bytes(self.attributes.uname)
    }

    /// Group name.
    #[must_use]
    pub fn gname(&self) -> &'a [u8] {
        self.toc.bytes(self.attributes.gname)
    }

    /// Modification time.
    #[must_use]
    pub fn mod_time(&self) -> ModTime {
        ModTime { seconds: self.record.seconds, nanoseconds: self.record.nanoseconds }
    }

    /// PAX records in key order.
    #[must_use]
    pub fn pax(&self) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let toc = self.toc;
        toc.pax[self.record.pax_start as usize..][..self.record.pax_len as usize]
            .iter()
            .map(move |(key, value)| (toc.bytes(*key), toc.bytes(*value)))
    }

    /// Extended attributes, sorted by name: the PAX records `SCHILY.xattr.NAME`.
    pub fn xattrs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.pax().filter_map(|(key, value)| Some((key.strip_prefix(XATTR)?, value)))
    }

    /// The PAX records that give no extended attribute.
    pub(crate) fn other_pax(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.pax().filter(|(key, _)| !key.starts_with(XATTR))
    }
}
