//! What lies in a layout's blob store, from any program.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use walkdir::WalkDir;

use super::Layout;
use super::found::if_there;
use crate::error::Error;
use crate::oci::digest::Digest;

/// A file below `blobs/`.
#[derive(Clone, Debug)]
pub(crate) struct StoredFile {
    pub(crate) path: PathBuf,
    /// Its digest by its name; `None` for what is no sha256 blob: another name, another place, no
    /// regular file.
    pub(crate) digest: Option<Digest>,
    /// In bytes.
    pub(crate) size: u64,
    /// When it was last changed or put in its place, whichever is later: unpacking an archive sets the
    /// first to the past.
    pub(crate) since: SystemTime,
}

impl Layout {
    /// Where the blobs are when that is outside of the layout, behind a link; `None` when they are in it.
    ///
    /// # Errors
    /// [`Error::Io`] when that cannot be told.
    pub(crate) fn external_blobs(&self) -> Result<Option<PathBuf>, Error> {
        let resolve = |path: &Path| if_there(path.canonicalize(), "read", path);
        let root = resolve(self.path())?;
        let blobs = resolve(&self.blobs())?;
        Ok(blobs.filter(|blobs| root.is_none_or(|root| !blobs.starts_with(root))))
    }

    /// Refuses a layout whose blobs are outside of it, before any of them is removed.
    ///
    /// # Errors
    /// [`Error::ExternalBlobs`], [`Error::Io`].
    pub(crate) fn refuse_external_blobs(&self) -> Result<(), Error> {
        match self.external_blobs()? {
            None => Ok(()),
            Some(target) => Err(Error::ExternalBlobs { path: self.blobs(), target }),
        }
    }

    /// Everything below `blobs/` that is no directory, by path, with temporary files of this program
    /// left out. Links are not followed.
    ///
    /// # Errors
    /// [`Error::Io`] when a directory cannot be read.
    pub(crate) fn stored_files(&self) -> Result<Vec<StoredFile>, Error> {
        let root = self.path().join("blobs");
        let own = self.blobs();
        let io_error = |error: walkdir::Error| {
            error.into_io_error().unwrap_or_else(|| io::Error::other("a loop"))
        };
        let mut files = Vec::new();
        // `blobs` and `blobs/sha256` may be links to directories.
        for (directory, depth) in [(own.clone(), 1), (root, usize::MAX)] {
            let walk = WalkDir::new(&directory).max_depth(depth).sort_by_file_name();
            let outside = depth > 1;
            let entries = walk.into_iter().filter_entry(|e| !outside || e.path() != own);
            for entry in entries {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        let path = error.path().unwrap_or(&directory).to_owned();
                        if_there(Err::<(), _>(io_error(error)), "list", &path)?;
                        continue;
                    }
                };
                let path = entry.path();
                if entry.depth() == 0
                    || entry.file_type().is_dir()
                    || super::commit::is_temporary(path)
                {
                    continue;
                }
                let metadata = entry.metadata().map_err(io_error);
                let metadata = metadata.map_err(Error::io("read", path))?;
                let name = entry.file_name().to_str();
                let regular = metadata.is_file() && !outside;
                let changed = UNIX_EPOCH
                    + Duration::from_secs(metadata.ctime().max(0).cast_unsigned())
                    + Duration::from_nanos(metadata.ctime_nsec().max(0).cast_unsigned());
                files.push(StoredFile {
                    path: path.to_owned(),
                    digest: name.filter(|_| regular).and_then(Digest::from_hex),
                    size: metadata.len(),
                    since: metadata.modified().map_or(changed, |modified| modified.max(changed)),
                });
            }
        }
        Ok(files)
    }
}
