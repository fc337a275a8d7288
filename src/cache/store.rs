//! The directory: looking an entry up, and putting one in its place.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use tempfile::NamedTempFile;

use super::entry::{self, EntryProblem, Head};
use super::key::CacheKey;
use crate::oci::digest::Digest;
use crate::unfinished::Mark;
use crate::ztoc::{Encoding, Ztoc};

/// Beginning and end of a file that is being written, as in layouts.
pub(super) const PREFIX: &str = ".soci-layout-";
pub(super) const TEMPORARY: &str = ".tmp";
/// Random characters between them: many machines may write at a time.
const RANDOM: usize = 16;

/// How exact the time of the last use is: a hit writes no more often than this.
const TOUCH_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Mode of a directory that is made here: a zTOC holds names, and a 32 KiB window of content per span,
/// of what may be private images; and everyone who can write is trusted.
const DIRECTORY_MODE: u32 = 0o700;

/// A cache directory, which need not exist yet.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

/// What a look into the cache gave.
#[derive(Debug)]
pub(crate) enum Found {
    /// No entry.
    Nothing,
    /// There is one, but it cannot be used.
    Unusable(EntryProblem),
    /// A zTOC that is whole and fits by all that it says itself. Whether it is true of the layer is not
    /// known.
    Entry(Box<CachedZtoc>),
}

/// A zTOC from the cache.
#[derive(Debug)]
pub(crate) struct CachedZtoc {
    /// The zTOC.
    pub(crate) ztoc: Ztoc,
    /// Digest of the blob that it was read from.
    pub(crate) digest: Digest,
    /// Size of that blob in bytes.
    pub(crate) size: u64,
    file: File,
}

impl Cache {
    /// The cache in `directory`.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether the directory is there. Links to a directory are followed here, and nowhere below.
    ///
    /// # Errors
    /// When it is something else, or its metadata cannot be read.
    pub fn exists(&self) -> io::Result<bool> {
        match fs::metadata(&self.directory) {
            Ok(metadata) if metadata.is_dir() => Ok(true),
            Ok(_) => Err(ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The zTOC for `key`. Changes nothing.
    #[must_use]
    pub(crate) fn get(&self, key: &CacheKey) -> Found {
        let (file, size) = match entry::open(&self.directory.join(key.file_name())) {
            Ok(opened) => opened,
            Err(EntryProblem::Read(error)) if error.kind() == ErrorKind::NotFound => {
                return Found::Nothing;
            }
            Err(problem) => return Found::Unusable(problem),
        };
        match entry::read(&file, size, |head| head.expect(key)) {
            Ok((Head { ztoc: digest, ztoc_size, .. }, ztoc)) => {
                Found::Entry(Box::new(CachedZtoc { ztoc, digest, size: ztoc_size, file }))
            }
            Err(problem) => Found::Unusable(problem),
        }
    }

    /// Puts a zTOC in its place and gives the size of the entry in bytes. The directory is made if it is
    /// not there; an entry that is there is replaced, whatever it is.
    ///
    /// # Errors
    /// What the operating system said; then nothing has changed.
    pub(crate) fn put(
        &self,
        key: &CacheKey,
        digest: Digest,
        encoding: &Encoding<'_>,
    ) -> io::Result<u64> {
        let head = Head { key: key.clone(), ztoc: digest, ztoc_size: encoding.size() };
        let Some(head) = head.render() else {
            let problem = "the build tool identifier is too long for a cache entry";
            return Err(io::Error::new(ErrorKind::InvalidInput, problem));
        };
        let directory_mode = self.make()?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).suffix(TEMPORARY).rand_bytes(RANDOM);
        // With errors of the system alone: a random name has no place in a report.
        let make = || {
            builder.make_in(&self.directory, |path| {
                File::options().write(true).create_new(true).mode(0o600).open(path)
            })
        };
        let (mark, mut file) = Mark::make(make, NamedTempFile::path)?;
        file.as_file_mut().write_all(&head)?;
        encoding.parts(|part| file.as_file_mut().write_all(part))?;
        // Some file systems have no modes; then the entry is its owner's alone.
        let _ = file.as_file().set_permissions(Permissions::from_mode(entry_mode(directory_mode)));
        match file.as_file().sync_all() {
            // Some network and FUSE file systems cannot sync.
            Err(error)
                if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) =>
            {
                return Err(error);
            }
            _ => {}
        }
        // The directory is not synced: a name that is lost with the power is a miss, no more.
        let path = self.directory.join(key.file_name());
        mark.settle(|| file.persist(path)).map_err(|error| error.error)?;
        Ok(head.len() as u64 + encoding.size())
    }

    /// Makes the directory unless it is there; its mode.
    fn make(&self) -> io::Result<u32> {
        match fs::metadata(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&self.directory)?;
                Ok(fs::metadata(&self.directory)?.mode())
            }
            found => Ok(found?.mode()),
        }
    }
}

impl CachedZtoc {
    /// Notes that the entry was used. Where that is not permitted its last use stays unknown, which is
    /// of concern to pruning only.
    pub(crate) fn used(&self) {
        let Ok(modified) = self.file.metadata().and_then(|metadata| metadata.modified()) else {
            return;
        };
        let now = SystemTime::now();
        // A time that lies in the future is put right as well.
        let apart = now.duration_since(modified).unwrap_or_else(|future| future.duration());
        if apart < TOUCH_AFTER {
            return;
        }
        // "Now" instead of a time of ours: it is the file server's clock, and everyone who may write the file may
        // set it, not its owner alone.
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        };
        let _ = rustix::fs::futimens(&self.file, &times);
    }
}

/// Who may read and write the directory may read and write (that is, mark as used) its entries; only where the
/// directory is sticky, so that files of other users cannot be replaced, they cannot be written either.
fn entry_mode(directory: u32) -> u32 {
    const STICKY: u32 = 0o1000;
    directory & if directory & STICKY == 0 { 0o666 } else { 0o644 }
}

#[cfg(test)]
mod tests {
    use super::entry_mode;

    #[test]
    fn modes() {
        for (directory, entry) in
            [(0o700, 0o600), (0o755, 0o644), (0o2775, 0o664), (0o777, 0o666), (0o1777, 0o644)]
        {
            assert_eq!(entry_mode(directory), entry, "{directory:o}");
        }
    }
}
