//! What a real entry's header and the meta entries before it add up to (`soci-formats` 2.1, 2.3, 2.4; Go
//! `archive/tar` `reader.go` `mergePAX`, `next`; reference `ztoc/toc_builder.go` `getType`).

use super::error::TarErrorKind;
use super::header::{Header, text};
use super::pax::{PaxRecords, decimal, time};
use crate::ztoc::paths::XATTR;
use crate::ztoc::toc::{Entry, FileType, ModTime};

/// Least bytes of an entry in the flatbuffer without the bytes of its texts (`soci-formats` 1.3): length and
/// NUL of four strings, the type in 8, the time in 28, the record vector in 4, table 40, its offset 4.
const ENTRY_COST: u64 = 104;

/// The same for a PAX record: length and NUL of two strings, table 12, its offset 4.
const RECORD_COST: u64 = 26;

/// What meta entries said about the next entry. The buffers are used again from entry to entry.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Whether an `x` entry was there; only then [`Self::records`] count.
    pub(super) has_records: bool,
    pub(super) records: PaxRecords,
    /// Payload of the `L` entry; no text in it means no entry.
    pub(super) long_name: Vec<u8>,
    /// Payload of the `K` entry; no text in it means no entry.
    pub(super) long_link: Vec<u8>,
}

impl Pending {
    /// For the next entry.
    pub(super) fn reset(&mut self) {
        self.has_records = false;
        self.long_name.clear();
        self.long_link.clear();
    }

    /// The records that apply.
    pub(super) fn records(&self) -> Option<&PaxRecords> {
        self.has_records.then_some(&self.records)
    }

    /// The name that replaces the one in the header; empty when none does.
    pub(super) fn name(&self) -> &[u8] {
        match (text(&self.long_name), self.records()) {
            (b"", Some(records)) => records.get(b"path"),
            (name, _) => name,
        }
    }
}

/// Whether data blocks follow an entry of this type: Go skips none for links, devices, directories and fifos,
/// whatever their size field says.
pub(super) const fn has_data(type_flag: u8) -> bool {
    !matches!(type_flag, b'1'..=b'6')
}

/// A header with all that replaces its fields applied.
#[derive(Debug)]
pub(super) struct Merged<'a> {
    /// With the old name in `prefix` and `name` replaced, and the type flag resolved.
    pub(super) header: Header<'a>,
    mod_time: ModTime,
}

impl<'a> Merged<'a> {
    /// `name` is the full name the header itself gives.
    ///
    /// # Errors
    /// When a record has a value that its field cannot have, or the final size is negative.
    pub(super) fn new(
        mut header: Header<'a>,
        name: &'a [u8],
        pending: &'a Pending,
    ) -> Result<Self, TarErrorKind> {
        header.name = name;
        let mut mod_time = ModTime { seconds: header.mtime, nanoseconds: 0 };
        if let Some(records) = pending.records() {
            apply(records, &mut header, &mut mod_time)?;
        }
        let (long_name, long_link) = (text(&pending.long_name), text(&pending.long_link));
        if !long_name.is_empty() {
            header.name = long_name;
        }
        if !long_link.is_empty() {
            header.linkname = long_link;
        }
        if header.type_flag == 0 {
            // Archives older than the type flag mark directories by a slash.
            header.type_flag = if header.name.ends_with(b"/") { b'5' } else { b'0' };
        }
        if has_data(header.type_flag) && header.size < 0 {
            return Err(TarErrorKind::NegativeSize(header.size));
        }
        Ok(Self { header, mod_time })
    }

    /// The entry as the zTOC has it, `offset` being that of its data in the uncompressed archive.
    ///
    /// # Errors
    /// When a zTOC cannot hold it.
    pub(super) fn entry<'b>(
        &self,
        offset: i64,
        pax: &'b [(&'b [u8], &'b [u8])],
    ) -> Result<Entry<'b>, TarErrorKind>
    where
        'a: 'b,
    {
        let header = &self.header;
        let file_type = file_type(header.type_flag)?;
        if !self.mod_time.is_representable() {
            return Err(TarErrorKind::ModTimeYear(self.mod_time.seconds));
        }
        check_attributes(pax)?;
        Ok(Entry {
            name: header.name,
            file_type,
            uncompressed_offset: offset,
            uncompressed_size: if file_type == FileType::Regular { header.size } else { 0 },
            linkname: header.linkname,
            mode: header.mode,
            uid: owner("uid", header.uid)?,
            gid: owner("gid", header.gid)?,
            uname: header.uname,
            gname: header.gname,
            mod_time: self.mod_time,
            devmajor: header.devmajor,
            devminor: header.devminor,
            pax,
        })
    }
}

/// Bytes the entry takes in a zTOC at least.
pub(super) fn least_size(entry: &Entry<'_>) -> u64 {
    let texts = [entry.name, entry.linkname, entry.uname, entry.gname];
    let texts = texts.iter().map(|text| text.len() as u64).sum::<u64>();
    let record = |(key, value): &(&[u8], &[u8])| RECORD_COST + (key.len() + value.len()) as u64;
    ENTRY_COST + texts + entry.pax.iter().map(record).sum::<u64>()
}

/// Records with an empty value leave the field as it is. `GNU.sparse.*` is not dealt with here.
fn apply<'a>(
    records: &'a PaxRecords,
    header: &mut Header<'a>,
    mod_time: &mut ModTime,
) -> Result<(), TarErrorKind> {
    let number = |key, value| decimal(value).ok_or(TarErrorKind::PaxValue { key });
    let instant = |key, value| time(value).ok_or(TarErrorKind::PaxValue { key });
    for (key, value) in records.iter().filter(|record| !record.1.is_empty()) {
        match key {
            b"path" => header.name = value,
            b"linkpath" => header.linkname = value,
            b"uname" => header.uname = value,
            b"gname" => header.gname = value,
            b"uid" => header.uid = number("uid", value)?,
            b"gid" => header.gid = number("gid", value)?,
            b"size" => header.size = number("size", value)?,
            b"mtime" => *mod_time = instant("mtime", value)?,
            // Not used, but an error in them is one.
            b"atime" => _ = instant("atime", value)?,
            b"ctime" => _ = instant("ctime", value)?,
            _ => {}
        }
    }
    Ok(())
}

/// Refuses what the reference's metadata store (`metadata/db.go` `writeNodeEntry`) does not keep.
fn check_attributes(pax: &[(&[u8], &[u8])]) -> Result<(), TarErrorKind> {
    let (mut count, mut empty) = (0, false);
    for (key, value) in pax {
        if let Some(name) = key.strip_prefix(XATTR) {
            if name.is_empty() {
                return Err(TarErrorKind::NamelessAttribute);
            }
            count += 1;
            empty |= value.is_empty();
        }
    }
    if empty && count > 1 { Err(TarErrorKind::EmptyAttribute) } else { Ok(()) }
}

fn file_type(type_flag: u8) -> Result<FileType, TarErrorKind> {
    Ok(match type_flag {
        b'0' => FileType::Regular,
        b'1' => FileType::HardLink,
        b'2' => FileType::Symlink,
        b'3' => FileType::CharDevice,
        b'4' => FileType::BlockDevice,
        b'5' => FileType::Directory,
        b'6' => FileType::Fifo,
        other => return Err(TarErrorKind::EntryType(other)),
    })
}

fn owner(field: &'static str, value: i64) -> Result<u32, TarErrorKind> {
    u32::try_from(value).map_err(|_| TarErrorKind::OwnerId { field, value })
}
