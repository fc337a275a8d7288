//! Writes a layout as an archive whose bytes depend on the layout alone.
//!
//! The form is `BuildKit`'s: directories and blobs in the order of their names, then the documents;
//! owner 0, time 0, blobs 0444. Only what `index.json` (or Docker's `manifest.json`) leads to is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use tokio_tar::{EntryType, Header};

use super::policy::{Document, MAX_OCTAL_SIZE};
use crate::error::Error;
use crate::layer::{Buffer, CHUNK};
use crate::layout::Layout;
use crate::layout::reach::{Reached, Search};
use crate::layout::tree;
use crate::progress::event::Step;
use crate::progress::steps::Steps;

const BLOCK: u64 = 512;

/// A file of the layout and its mode in the archive.
struct Member {
    path: PathBuf,
    size: u64,
    mode: u32,
}

/// Writes the archive of `layout` to `out`, which errors call `name`.
pub(super) fn pack(
    layout: &Layout,
    out: &mut dyn Write,
    name: &Path,
    steps: &Steps<'_>,
    step: &Step,
) -> Result<(), Error> {
    let members = members(layout)?;
    let total = members.values().flatten().map(|member| member.size).sum();
    let mut packer = Packer { out, name, steps, step, done: 0, total };
    for (path, member) in &members {
        packer.member(path, member.as_ref())?;
    }
    packer.write(&[0; 2 * BLOCK as usize])?;
    packer.out.flush().map_err(Error::io("write", name))
}

/// What is written, by name; directories have no file.
fn members(layout: &Layout) -> Result<BTreeMap<String, Option<Member>>, Error> {
    let mut members = BTreeMap::new();
    for document in Document::ALL {
        let path = layout.path().join(document.name());
        let Ok(metadata) = path.symlink_metadata() else { continue };
        let mode = if document == Document::OciLayout { 0o444 } else { 0o644 };
        let member = Member { path, size: metadata.len(), mode };
        members.insert(document.name().to_owned(), Some(member));
    }
    let tree = tree::read(layout)?;
    let reachable = Search::layout(&tree.index_json).tree(&tree).run(layout)?;
    if let Some(doubt) = reachable.doubt {
        return Err(doubt);
    }
    members.insert("blobs/".to_owned(), None);
    members.insert("blobs/sha256/".to_owned(), None);
    for (digest, Reached { size, .. }) in reachable.sha256 {
        let member = Member { path: layout.blob_path(&digest), size, mode: 0o444 };
        members.insert(format!("blobs/sha256/{}", digest.hex()), Some(member));
    }
    for (place, size) in reachable.others {
        let name = format!("blobs/{place}");
        let directory = name.rfind('/').map_or("", |end| &name[..=end]);
        members.insert(directory.to_owned(), None);
        members.insert(
            name.clone(),
            Some(Member { path: layout.path().join(name), size, mode: 0o444 }),
        );
    }
    Ok(members)
}

struct Packer<'a> {
    out: &'a mut dyn Write,
    name: &'a Path,
    steps: &'a Steps<'a>,
    step: &'a Step,
    done: u64,
    total: u64,
}

impl Packer<'_> {
    fn member(&mut self, name: &str, member: Option<&Member>) -> Result<(), Error> {
        let Some(Member { path, size, mode }) = member else {
            return self.header(name, EntryType::Directory, 0, 0o755);
        };
        // sha512 names do not fit a header.
        let mut pax = Vec::new();
        if name.len() > 100 {
            pax.extend(record("path", name));
        }
        // A size that the header does not hold stands in a record alone, as Go writes it.
        if *size > MAX_OCTAL_SIZE {
            pax.extend(record("size", &size.to_string()));
        }
        if !pax.is_empty() {
            self.header("PaxHeaders.0/blob", EntryType::XHeader, pax.len() as u64, 0o644)?;
            self.write(&pax)?;
            self.pad(pax.len() as u64)?;
        }
        let in_header = if *size > MAX_OCTAL_SIZE { 0 } else { *size };
        self.header(name.get(..100).unwrap_or(name), EntryType::Regular, in_header, *mode)?;
        self.content(path, *size)?;
        self.pad(*size)
    }

    fn header(&mut self, name: &str, kind: EntryType, size: u64, mode: u32) -> Result<(), Error> {
        let mut header = Header::new_ustar();
        header.set_path(name).map_err(Error::io("write", self.name))?;
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        self.write(header.as_bytes())
    }

    fn content(&mut self, path: &Path, size: u64) -> Result<(), Error> {
        let mut file = File::open(path).map_err(Error::io("read", path))?.take(size);
        let mut buffer = Buffer::new(CHUNK);
        let mut left = size;
        while left > 0 {
            if self.steps.cancelled() {
                return Err(Error::Cancelled);
            }
            let count = match file.read(&mut buffer) {
                Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                result => result,
            };
            let count = count.map_err(Error::io("read", path))?;
            self.write(&buffer[..count])?;
            left -= count as u64;
            self.done += count as u64;
            self.steps.progress(self.step, self.done, self.total);
        }
        Ok(())
    }

    fn pad(&mut self, size: u64) -> Result<(), Error> {
        self.write(&[0; BLOCK as usize][..(size.next_multiple_of(BLOCK) - size) as usize])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(Error::io("write", self.name))
    }
}

/// A PAX record; its length counts its own digits.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length = length.to_string().len() + rest.len();
    }
    format!("{length}{rest}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_records_count_themselves() {
        for length in 1..300 {
            let value = "v".repeat(length);
            let text = String::from_utf8(record("path", &value)).expect("text");
            let (digits, rest) = text.split_once(' ').expect("a length");
            assert_eq!(digits.parse(), Ok(text.len()), "{text}");
            assert_eq!(rest, format!("path={value}\n"));
        }
    }
}
