//! An open blob: a file of the layout's directory, or one that comes from elsewhere while it is read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
#[cfg(feature = "registry")]
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::oci::digest::Digest;

/// Has blobs that the directory of a layout does not have.
pub(crate) trait Elsewhere: fmt::Debug + Send + Sync {
    /// Size of a blob in bytes; `None` when it is not there either.
    ///
    /// # Errors
    /// When that cannot be told.
    fn size(&self, digest: &Digest) -> Result<Option<u64>, Error>;

    /// The bytes from `start` to `end` of a blob. Nothing happens before the first is read.
    fn read(self: Arc<Self>, digest: Digest, start: u64, end: u64) -> Stream;

    /// Its name, for messages.
    fn place(&self) -> String;
}

/// Bytes as they come.
pub(crate) type Stream = Box<dyn Read + Send>;

/// An open blob.
#[derive(Debug)]
pub(crate) enum OpenBlob {
    File(File),
    Elsewhere(Remote),
}

/// A blob of elsewhere, by its digest and size.
pub(crate) struct Remote {
    from: Arc<dyn Elsewhere>,
    digest: Digest,
    size: u64,
    /// What is read from front to back, once that has begun.
    stream: Mutex<Option<Stream>>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl OpenBlob {
    pub(super) fn elsewhere(from: Arc<dyn Elsewhere>, digest: Digest, size: u64) -> Self {
        Self::Elsewhere(Remote { from, digest, size, stream: Mutex::default() })
    }

    /// A part of it, which several threads may read.
    pub(crate) fn part(&self, start: u64, end: u64) -> Part<'_> {
        let (bytes, end) = match self {
            Self::File(file) => (Bytes::File(file), end),
            Self::Elsewhere(blob) => {
                let end = end.clamp(start, blob.size.max(start));
                (Bytes::Stream(Arc::clone(&blob.from).read(blob.digest, start, end)), end)
            }
        };
        Part { bytes, at: start, end }
    }

    /// All from `start` to `end`, as [`Self::part`].
    ///
    /// # Errors
    /// Of the system.
    #[cfg(feature = "registry")]
    pub(crate) fn into_part(self, start: u64, end: u64) -> io::Result<Box<dyn Read>> {
        match self {
            Self::File(mut file) => {
                file.seek(SeekFrom::Start(start))?;
                Ok(Box::new(file.take(end.saturating_sub(start))))
            }
            Self::Elsewhere(Remote { from, digest, .. }) => Ok(from.read(digest, start, end)),
        }
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.part(offset, offset.saturating_add(buffer.len() as u64)).read_exact(buffer)
    }
}

impl Read for OpenBlob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Elsewhere(blob) => {
                let stream = blob.stream.get_mut().unwrap_or_else(PoisonError::into_inner);
                let begin = || Arc::clone(&blob.from).read(blob.digest, 0, blob.size);
                stream.get_or_insert_with(begin).read(buffer)
            }
        }
    }
}

/// A part of a blob.
pub(crate) struct Part<'a> {
    bytes: Bytes<'a>,
    /// Offset of the next byte.
    pub(crate) at: u64,
    end: u64,
}

enum Bytes<'a> {
    File(&'a File),
    Stream(Stream),
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let count = match &mut self.bytes {
            Bytes::File(file) => file.read_at(&mut buffer[..want], self.at)?,
            Bytes::Stream(stream) => stream.read(&mut buffer[..want])?,
        };
        self.at += count as u64;
        Ok(count)
    }
}
