//! Reading blobs: by digest, as regular files only, checked against size and digest.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use super::Layout;
use super::found::{if_there, within};
use super::opened::OpenBlob;
use crate::error::Error;
use crate::layer::pieces;
use crate::oci::digest::{Digest, Hasher};

impl Layout {
    /// Where the blob of `digest` is.
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Size of the blob in bytes; `None` when it does not exist.
    pub(crate) fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        match (self.file_size(digest)?, &self.elsewhere) {
            (None, Some(elsewhere)) => elsewhere.size(digest),
            (size, _) => Ok(size),
        }
    }

    /// Size of the blob's file in bytes; `None` when there is none.
    fn file_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let path = self.blob_path(digest);
        match if_there(fs::symlink_metadata(&path), "read", &path)? {
            Some(metadata) if !metadata.is_file() => {
                Err(Error::BlobType { digest: *digest, found: type_name(metadata.file_type()) })
            }
            metadata => Ok(metadata.map(|metadata| metadata.len())),
        }
    }

    /// Opens a blob for reading; `None` when it does not exist.
    ///
    /// # Errors
    /// [`Error::BlobType`] for links and everything that is no regular file, [`Error::BlobSize`] when
    /// the file's size is not `size`, [`Error::Io`].
    pub(crate) fn open_blob(&self, digest: &Digest, size: u64) -> Result<Option<OpenBlob>, Error> {
        let Some(found) = self.blob_size(digest)? else { return Ok(None) };
        if found != size {
            return Err(Error::BlobSize { digest: *digest, expected: size, found });
        }
        if let Some(elsewhere) = &self.elsewhere
            && self.file_size(digest)?.is_none()
        {
            return Ok(Some(OpenBlob::elsewhere(Arc::clone(elsewhere), *digest, size)));
        }
        let path = self.blob_path(digest);
        // Between the look and the opening the file may be exchanged: no link is followed, and a fifo
        // cannot block.
        let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.cast_signed())
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let metadata = file.metadata().map_err(Error::io("read", &path))?;
        if !metadata.is_file() {
            return Err(Error::BlobType {
                digest: *digest,
                found: type_name(metadata.file_type()),
            });
        }
        Ok(Some(OpenBlob::File(file)))
    }

    /// A whole blob, checked against its digest; `None` when it does not exist. `limit` bounds `size`,
    /// and so what is read.
    ///
    /// # Errors
    /// As [`Self::open_blob`]; [`Error::Limit`], [`Error::BlobDigest`].
    pub(crate) fn read_blob(
        &self,
        digest: &Digest,
        size: u64,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        within(limit, size, "its size in bytes", format_args!("blob {digest}"))?;
        let Some(bytes) = self.read_trusted_blob(digest, size)? else {
            return Ok(None);
        };
        let found = Digest::of(&bytes);
        if found == *digest {
            Ok(Some(bytes))
        } else {
            Err(Error::BlobDigest { digest: *digest, found })
        }
    }

    /// A whole blob by its name and size alone; `None` when it does not exist.
    ///
    /// # Errors
    /// As [`Self::open_blob`].
    pub(crate) fn read_trusted_blob(
        &self,
        digest: &Digest,
        size: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(file) = self.open_blob(digest, size)? else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(size as usize + 1);
        // One byte more, so that a file that grows meanwhile is noticed by its digest.
        file.take(size + 1)
            .read_to_end(&mut bytes)
            .map_err(Error::io("read", &self.blob_path(digest)))?;
        Ok(Some(bytes))
    }

    /// Whether the directory itself has the blob, with exactly this content's digest.
    pub(crate) fn has_sound_file(&self, digest: &Digest, size: u64) -> Result<bool, Error> {
        Ok(self.file_size(digest)?.is_some() && self.has_sound_blob(digest, size)?)
    }

    /// Whether the blob is there with exactly this content's digest.
    pub(crate) fn has_sound_blob(&self, digest: &Digest, size: u64) -> Result<bool, Error> {
        let mut file = match self.open_blob(digest, size) {
            Ok(Some(file)) => file,
            Ok(None) | Err(Error::BlobSize { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut hasher = Hasher::new();
        let read = pieces(&mut file, &mut |piece| {
            hasher.update(piece);
            true
        });
        read.map_err(Error::io("read", &self.blob_path(digest)))?;
        Ok(hasher.finish() == *digest)
    }
}

fn type_name(file_type: fs::FileType) -> &'static str {
    if file_type.is_symlink() {
        "a symbolic link"
    } else if file_type.is_dir() {
        "a directory"
    } else if file_type.is_fifo() {
        "a named pipe"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
