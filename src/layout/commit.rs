//! The order of durability, and the swap.
//!
//! 1. New blobs are written to temporary files beside their final place ([`LockedLayout::stage`]).
//! 2. When all of them are synced, they are renamed to their digests and the directory is synced.
//! 3. The new `index.json` is written to a temporary file and synced.
//! 4. `index.json` is compared with what the run began with, the new one is renamed over it, and the
//!    layout directory is synced.
//!
//! Until the rename in 4 readers see the old layout; whatever an interrupted run leaves are blobs that
//! nothing refers to and temporary files, which the next run removes.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use super::Layout;
use super::found::entries;
use super::lock::LockedLayout;
use super::sync::{SYNC_AT_ONCE, sync_path, sync_together};
use crate::error::Error;
use crate::oci::digest::Digest;
use crate::unfinished::{self, Mark};

/// Beginning of every temporary file's name.
pub(crate) const PREFIX: &str = ".soci-layout-";
/// And its end.
pub(crate) const SUFFIX: &str = ".tmp";

/// A blob that is written, but not yet in its place. Dropping it removes it.
///
/// Its file is closed: a layout may have more blobs than a process may have open files.
#[derive(Debug)]
pub(crate) struct StagedBlob {
    digest: Digest,
    size: u64,
    path: TempPath,
    mark: Mark,
    synced: bool,
}

impl StagedBlob {
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// Its content.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Error> {
        fs::read(&self.path).map_err(Error::io("read", &self.path))
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Committed {
    pub(crate) blobs: u64,
    pub(crate) bytes: u64,
    pub(crate) index_json: bool,
}

/// A blob that is being written beside its place. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct BlobWriter {
    file: NamedTempFile,
    mark: Mark,
    size: u64,
}

impl BlobWriter {
    pub(crate) fn write(&mut self, part: &[u8]) -> Result<(), Error> {
        self.size += part.len() as u64;
        write(&mut self.file, part)
    }

    /// The whole content is written, and this is its digest.
    pub(crate) fn finish(self, digest: Digest) -> Result<StagedBlob, Error> {
        let synced = self.size >= SYNC_AT_ONCE;
        if synced {
            sync(&self.file)?;
        }
        let Self { file, mark, size } = self;
        Ok(StagedBlob { digest, size, path: file.into_temp_path(), mark, synced })
    }
}

/// Whether a path is that of a temporary file of this program.
pub(crate) fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
}

impl Layout {
    /// Temporary files of runs that were interrupted (or, without the lock, are under way), sorted.
    pub(crate) fn leftovers(&self) -> Result<Vec<PathBuf>, Error> {
        let mut found = Vec::new();
        // Those in a store that others use may be of a run of theirs.
        let blobs = self.external_blobs()?.is_none().then(|| self.blobs());
        for directory in [self.path().to_owned()].into_iter().chain(blobs) {
            for entry in entries(&directory)? {
                let path = entry.path();
                // A directory is none of a layout's: an archive's run may be at work in it.
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_temporary(&path) && !is_directory {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

impl LockedLayout {
    /// Removes what an interrupted run left. The lock is held, so no other run needs it.
    pub(crate) fn remove_leftovers(&self) -> Result<(), Error> {
        for path in self.leftovers()? {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }

    /// Removes a blob that nothing refers to any more.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn remove_blob(&self, digest: &Digest) -> Result<(), Error> {
        let path = self.blob_path(digest);
        fs::remove_file(&path).map_err(Error::io("remove", &path))
    }

    /// Brings `index.json` to the disk as it is now, even when another program wrote it: before blobs go that only an older one
    /// leads to.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn sync_index_json(&self) -> Result<(), Error> {
        sync_path(&self.index_json())?;
        sync_path(self.path())
    }

    /// Writes a blob beside its place; `None` when the layout has it already. `like` is a file whose
    /// mode and owner the new one gets.
    pub(crate) fn stage(
        &self,
        digest: Digest,
        bytes: &[u8],
        like: &Path,
    ) -> Result<Option<StagedBlob>, Error> {
        if self.has_sound_file(&digest, bytes.len() as u64)? {
            return Ok(None);
        }
        let mut writer = self.stage_parts(like)?;
        writer.write(bytes)?;
        writer.finish(digest).map(Some)
    }

    /// Begins a blob whose content comes in parts, and its digest after them. `like` as for
    /// [`Self::stage`].
    pub(crate) fn stage_parts(&self, like: &Path) -> Result<BlobWriter, Error> {
        let (mark, file) = create_temporary(&self.blobs(), like)?;
        Ok(BlobWriter { file, mark, size: 0 })
    }

    /// Moves the blobs to their places and replaces `index.json`.
    ///
    /// # Errors
    /// [`Error::Changed`] when `index.json` is no longer `before`; [`Error::Io`]. In both cases the
    /// layout is the old one for its readers.
    pub(crate) fn commit(
        &self,
        blobs: Vec<StagedBlob>,
        before: &str,
        after: &str,
    ) -> Result<Committed, Error> {
        let mut done = Committed::default();
        let waiting: Vec<&StagedBlob> = blobs.iter().filter(|blob| !blob.synced).collect();
        sync_together(&waiting, |blob| sync_path(&blob.path))?;
        for blob in blobs {
            let path = self.blob_path(&blob.digest);
            let (mark, staged) = (blob.mark, blob.path);
            mark.settle(|| staged.persist(&path))
                .map_err(|error| Error::io("create", &path)(error.error))?;
            done.blobs += 1;
            done.bytes += blob.size;
        }
        if done.blobs > 0 || after != before {
            // Also when all blobs were there: a killed run may have renamed them without this sync.
            sync_path(&self.blobs())?;
        }
        let path = self.index_json();
        let unchanged = || {
            if self.read_index_json()? == before {
                Ok(())
            } else {
                Err(Error::Changed { path: path.clone() })
            }
        };
        if after == before {
            unchanged()?;
            return Ok(done);
        }
        let (_mark, mut file) = create_temporary(self.path(), &path)?;
        write(&mut file, after.as_bytes())?;
        sync(&file)?;
        unfinished::commit(|| {
            // As late as possible: what others do after this look is lost.
            unchanged()?;
            file.persist(&path).map_err(|error| Error::io("replace", &path)(error.error))?;
            sync_path(self.path())
        })?;
        done.bytes += after.len() as u64;
        done.index_json = true;
        Ok(done)
    }
}

fn sync(file: &NamedTempFile) -> Result<(), Error> {
    file.as_file().sync_all().map_err(Error::io("sync", file.path()))
}

fn write(file: &mut NamedTempFile, bytes: &[u8]) -> Result<(), Error> {
    let written = file.write_all(bytes);
    written.map_err(|error| Error::io("write", file.path())(error))
}

/// An empty temporary file with the mode and (where that is possible) owner of `like`.
fn create_temporary(directory: &Path, like: &Path) -> Result<(Mark, NamedTempFile), Error> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    let (mark, file) = Mark::make(|| builder.tempfile_in(directory), NamedTempFile::path)
        .map_err(Error::io("create a file in", directory))?;
    let path = file.path();
    let model = fs::metadata(like).map_err(Error::io("read", like))?;
    let own = file.as_file().metadata().map_err(Error::io("read", path))?;
    if (own.uid(), own.gid()) != (model.uid(), model.gid()) {
        // Root in a container must not take a user's layout away; anybody else cannot give away.
        let _ = std::os::unix::fs::fchown(file.as_file(), Some(model.uid()), Some(model.gid()));
    }
    let mode = Permissions::from_mode(model.mode() & 0o777);
    file.as_file().set_permissions(mode).map_err(Error::io("set the mode of", path))?;
    Ok((mark, file))
}
