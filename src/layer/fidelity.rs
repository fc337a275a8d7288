//! Whether a lazy mount of a layer shows what unpacking it gives.
//!
//! The reference's reader makes files of a table of contents by rules of its own (`metadata/reader.go`,
//! `fs/layer/node.go`), containerd by others (`pkg/archive/tar.go`: plainly, or in a directory of its own for
//! overlayfs). For most layers all three come to the same. Here are the entries for which they do not; each class
//! is in `docs/lazy-loading.md`, and `tests/peer` (`TestLazyIsWhatUnpackingGives`) tries them out. One pass over
//! the entries, a few dozen bytes a name; the first difference ends it.

use std::fmt;

use super::name_key::{NameKey, NameKeys, NameMap};
use crate::ztoc::paths::{Whiteout, clean, is_name, split, whiteout};
use crate::ztoc::toc::{FileRef, FileType, Toc};

/// Longest name in a directory, in bytes (`NAME_MAX`).
const MAX_NAME: usize = 255;
/// Longest path that containerd can unpack wherever its directory is: `PATH_MAX` less some room for that.
const MAX_PATH: usize = 4000;
/// Longest target of a symbolic link.
const MAX_TARGET: usize = 4095;
/// Largest value of an extended attribute (`XATTR_SIZE_MAX`).
const MAX_ATTRIBUTE: usize = 64 << 10;
/// Most directories without an entry that are tracked. A name of 4,000 bytes may have two thousand of them.
const MAX_IMPLIED: usize = 1 << 20;
/// The latest time in nanoseconds that containerd sets; it makes 1970 of later ones, and of those before.
const LAST_TIME: (i64, u32) = (i64::MAX / 1_000_000_000, (i64::MAX % 1_000_000_000) as u32);
/// A directory that the snapshotter shows in the root of every mount.
const STATE_DIRECTORY: &[u8] = b".soci-snapshotter";
const CAPABILITY: &[u8] = b"security.capability";

/// An entry of which a lazy mount would show something else than unpacking gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Position in the table of contents.
    pub(crate) entry: usize,
    name: Vec<u8>,
    /// What is the matter, for people.
    pub(crate) what: What,
}

/// The classes of differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum What {
    #[error("a directory that is listed before with other attributes: the lazy mount mixes both")]
    DirectoryTwice,
    #[error("a directory, and something else of its name before it: the lazy mount mixes both")]
    OtherThenDirectory,
    #[error(
        "it replaces a directory of the same layer: unpacking gives it the directory's time, or fails"
    )]
    DirectoryReplaced,
    #[error("it replaces a name of a file that has several: the lazy mount counts the links wrong")]
    LinkReplaced,
    #[error("a hard link whose header has another {0} than its file: the lazy mount ignores it")]
    LinkAttributes(&'static str),
    #[error("a hard link that containerd cannot make, or resolves otherwise than the lazy mount")]
    LinkTarget,
    #[error("it is below something that is no directory: containerd follows or refuses it")]
    BelowOther,
    #[error(
        "a whiteout of a name of the same layer: unpacking removes it, the lazy mount shows it"
    )]
    WhiteoutOfOwn,
    #[error("a directory in place of a whiteout: unpackers differ in what it has from below")]
    DirectoryForWhiteout,
    #[error("a whiteout that names nothing, or is no plain one")]
    OddWhiteout,
    #[error("an opaque marker in the root, of which overlayfs takes no notice")]
    OpaqueRoot,
    #[error("an opaque marker after directories without an entry: unpacking removes them")]
    OpaqueAfterImplied,
    #[error("a name that the snapshotter shows as a directory of its own")]
    StateDirectory,
    #[error("a name, path or link target that cannot be unpacked (too long, or empty)")]
    Length,
    #[error("an extended attribute that unpacking drops or refuses")]
    Attribute,
    #[error("a mode that says it is no file: reading it lazily is an I/O error")]
    TypeBits,
    #[error("owner 4294967295, which cannot be set")]
    Owner,
    #[error("a modification time that unpacking replaces by 1970")]
    Time,
    #[error("a device 0:0, which overlayfs takes for a whiteout")]
    WhiteoutDevice,
    #[error("more directories without an entry than this program tracks")]
    TooMany,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.name[..self.name.len().min(MAX_NAME)];
        let cut = if shown.len() < self.name.len() { "…" } else { "" };
        write!(f, "entry {} ({}{cut}): {}", self.entry, shown.escape_ascii(), self.what)
    }
}

/// The first entry of which a lazy mount would show something else than unpacking gives.
pub(crate) fn difference(toc: &Toc) -> Option<Difference> {
    let (known, keys) = (NameMap::default(), NameKeys::default());
    let mut names = Names { toc, known, implied: 0, keys, last: None };
    toc.iter().enumerate().find_map(|(position, file)| {
        let what = names.entry(position as u32, &file).err()?;
        Some(Difference { entry: position, name: file.name().to_vec(), what })
    })
}

/// What a name stands for so far.
#[derive(Clone, Copy, Debug)]
struct Known {
    kind: Kind,
    /// The entry with its attributes; for a hard link, the file's.
    entry: u32,
    /// A file that has several names.
    linked: bool,
    /// A directory below which others have no entry.
    above_implied: bool,
}

impl Known {
    fn without_entry(kind: Kind) -> Self {
        Self { kind, entry: 0, linked: false, above_implied: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Implied,
    Directory,
    Other,
    Whiteout,
}

/// The root of a layer; what lies in a directory has a key of the directory's.
const ROOT: NameKey = (0, 0);

struct Names<'a> {
    toc: &'a Toc,
    known: NameMap<Known>,
    implied: usize,
    keys: NameKeys,
    /// The directory of the entry before, as its name spells it.
    last: Option<(&'a [u8], NameKey)>,
}

impl<'a> Names<'a> {
    fn entry(&mut self, position: u32, file: &FileRef<'a>) -> Result<(), What> {
        let path = clean(file.name());
        let Some((base, parents)) = path.split_last() else {
            // Neither side makes anything of an entry for the root, whatever it is.
            return if file.file_type() == FileType::HardLink {
                Err(What::LinkTarget)
            } else {
                Ok(())
            };
        };
        let length = path.iter().map(|name| name.len() + 1).sum::<usize>();
        if length > MAX_PATH || path.iter().any(|name| name.len() > MAX_NAME) {
            return Err(What::Length);
        }
        if path[0] == STATE_DIRECTORY {
            return Err(What::StateDirectory);
        }
        if parents.iter().any(|name| whiteout(name).is_some()) {
            return Err(What::OddWhiteout);
        }
        let removed = whiteout(base);
        // What a hard link leads to counts as it was before the link's own directories come into being.
        let target = match file.file_type() {
            FileType::HardLink if removed.is_some() => return Err(What::OddWhiteout),
            FileType::HardLink => Some(self.target(file)?),
            _ => None,
        };
        // Most entries lie beside the one before. What would make something else of its directory ends the pass.
        let (spelled, own) = split(file.name());
        let directory = match self.last {
            Some((last, directory)) if last == spelled && is_name(own) => directory,
            _ => self.parents(parents)?,
        };
        self.last = is_name(own).then_some((spelled, directory));
        if let Some(removed) = removed {
            return self.whiteout(removed, parents.is_empty(), directory);
        }
        attributes(file)?;
        let key = self.keys.key(directory, base);
        let before = self.known.get(&key).copied();
        let is_directory = file.file_type() == FileType::Directory;
        match before {
            Some(Known { kind: Kind::Whiteout, .. }) if is_directory => {
                return Err(What::DirectoryForWhiteout);
            }
            Some(Known { kind: Kind::Directory, entry, .. }) if is_directory => {
                Self::twice(&self.toc.get(entry as usize), file)?;
            }
            Some(Known { kind: Kind::Other, .. }) if is_directory => {
                return Err(What::OtherThenDirectory);
            }
            Some(Known { kind: Kind::Directory | Kind::Implied, .. }) if !is_directory => {
                return Err(What::DirectoryReplaced);
            }
            Some(Known { linked: true, .. }) => return Err(What::LinkReplaced),
            _ => {}
        }
        let mut now = Known {
            kind: if is_directory { Kind::Directory } else { Kind::Other },
            entry: position,
            linked: false,
            above_implied: before.is_some_and(|known| known.above_implied),
        };
        if let Some((key_of_target, entry)) = target {
            if key_of_target == key {
                return Err(What::LinkTarget);
            }
            now.entry = entry;
            now.linked = true;
            if let Some(known) = self.known.get_mut(&key_of_target) {
                known.linked = true;
            }
        }
        self.known.insert(key, now);
        Ok(())
    }

    /// Walks down to a directory; those that are not there come into being. Gives its key.
    fn parents(&mut self, path: &[&[u8]]) -> Result<NameKey, What> {
        let mut key = ROOT;
        let mut created = None;
        for (depth, name) in path.iter().enumerate() {
            key = self.keys.key(key, name);
            match self.known.get(&key).map(|known| known.kind) {
                Some(Kind::Directory | Kind::Implied) => {}
                Some(Kind::Other) => return Err(What::BelowOther),
                Some(Kind::Whiteout) => return Err(What::DirectoryForWhiteout),
                None if self.implied >= MAX_IMPLIED => return Err(What::TooMany),
                None => {
                    self.known.insert(key, Known::without_entry(Kind::Implied));
                    self.implied += 1;
                    created = Some(depth);
                }
            }
        }
        if let Some(depth) = created {
            let mut above = ROOT;
            for name in &path[..depth] {
                above = self.keys.key(above, name);
                if let Some(known) = self.known.get_mut(&above) {
                    known.above_implied = true;
                }
            }
        }
        Ok(key)
    }

    fn whiteout(
        &mut self,
        removed: Whiteout<'_>,
        in_root: bool,
        directory: NameKey,
    ) -> Result<(), What> {
        let Whiteout::Of(hidden) = removed else {
            if in_root {
                return Err(What::OpaqueRoot);
            }
            let known = self.known.get(&directory);
            let removes = known.is_some_and(|known| known.above_implied);
            return if removes { Err(What::OpaqueAfterImplied) } else { Ok(()) };
        };
        if !is_name(hidden) || whiteout(hidden).is_some() {
            return Err(What::OddWhiteout);
        }
        let known = Known::without_entry(Kind::Whiteout);
        match self.known.insert(self.keys.key(directory, hidden), known) {
            Some(_) => Err(What::WhiteoutOfOwn),
            None => Ok(()),
        }
    }

    /// The name that a hard link leads to, and the entry with that file's attributes.
    fn target(&self, link: &FileRef<'_>) -> Result<(NameKey, u32), What> {
        let target = link.linkname();
        let base = target.rsplit(|byte| *byte == b'/').next().unwrap_or(target);
        let climbs = target.split(|byte| *byte == b'/').any(|name| name == b"..");
        if climbs || matches!(base, b"" | b".") {
            return Err(What::LinkTarget);
        }
        let mut key = ROOT;
        let mut components = clean(target).into_iter().peekable();
        while let Some(name) = components.next() {
            key = self.keys.key(key, name);
            let kind = self.known.get(&key).map(|known| known.kind);
            let last = components.peek().is_none();
            if !last && kind == Some(Kind::Other) {
                return Err(What::LinkTarget);
            }
        }
        match self.known.get(&key) {
            Some(Known { kind: Kind::Other, entry, .. }) => {
                let file = self.toc.get(*entry as usize);
                link_attributes(&file, link).map_err(What::LinkAttributes)?;
                Ok((key, *entry))
            }
            _ => Err(What::LinkTarget),
        }
    }

    /// A directory that is listed again. Of the second entry the reader takes what is not 0 or empty
    /// (`writeNodeEntry`), unpacking takes all of it and adds its extended attributes.
    fn twice(before: &FileRef<'_>, again: &FileRef<'_>) -> Result<(), What> {
        let kept =
            (again.uid() == 0 && before.uid() != 0) || (again.gid() == 0 && before.gid() != 0);
        let lost = before.xattrs().any(|(name, _)| again.xattrs().all(|(other, _)| other != name));
        if kept || lost { Err(What::DirectoryTwice) } else { Ok(()) }
    }
}

/// What unpacking cannot set as a single entry has it, or sets otherwise than the lazy mount shows it.
fn attributes(file: &FileRef<'_>) -> Result<(), What> {
    let kind = file.file_type();
    for (name, value) in file.xattrs() {
        let kept = match name {
            _ if name.len() > MAX_NAME || value.len() > MAX_ATTRIBUTE => false,
            // In this namespace only files and directories may have any.
            _ if name.starts_with(b"user.") => {
                name.len() > 5
                    && matches!(kind, FileType::Regular | FileType::Directory | FileType::HardLink)
            }
            CAPABILITY => is_capability(value),
            _ => name.starts_with(b"security.") && name.len() > 9,
        };
        if !kept {
            return Err(What::Attribute);
        }
    }
    if file.uid() == u32::MAX || file.gid() == u32::MAX {
        return Err(What::Owner);
    }
    let time = file.mod_time();
    if time.seconds < 0 || (time.seconds, time.nanoseconds) > LAST_TIME {
        return Err(What::Time);
    }
    match kind {
        FileType::Regular
            if matches!(
                file.mode() & !0o7777,
                0o1_0000 | 0o2_0000 | 0o4_0000 | 0o6_0000 | 0o12_0000 | 0o14_0000
            ) =>
        {
            Err(What::TypeBits)
        }
        // The kernel takes 12 and 20 bits of the numbers.
        FileType::CharDevice
            if file.devmajor().trailing_zeros() >= 12 && file.devminor().trailing_zeros() >= 20 =>
        {
            Err(What::WhiteoutDevice)
        }
        FileType::Symlink if !(1..=MAX_TARGET).contains(&file.linkname().len()) => {
            Err(What::Length)
        }
        _ => Ok(()),
    }
}

/// What a hard link's header would change of its file, if anything.
fn link_attributes(file: &FileRef<'_>, link: &FileRef<'_>) -> Result<(), &'static str> {
    let is_symlink = file.file_type() == FileType::Symlink;
    if !is_symlink && (file.mode() ^ link.mode()) & 0o7777 != 0 {
        return Err("mode");
    }
    if (file.uid(), file.gid()) != (link.uid(), link.gid()) {
        return Err("owner");
    }
    if file.mod_time() != link.mod_time() {
        return Err("modification time");
    }
    let added = link.xattrs().any(|one| file.xattrs().all(|other| other != one));
    // A change of owner, even to the same one, takes capabilities away.
    let capable = |file: &FileRef<'_>| file.xattrs().any(|(name, _)| name == CAPABILITY);
    if added || capable(file) && !capable(link) {
        return Err("set of extended attributes");
    }
    Ok(())
}

/// Whether the kernel takes it (`cap_convert_nscap`): revisions 2 and 3 with their lengths.
fn is_capability(value: &[u8]) -> bool {
    matches!((value.get(3), value.len()), (Some(2), 20) | (Some(3), 24))
}
