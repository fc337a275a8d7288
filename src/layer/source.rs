//! Reads a blob in large pieces and holds it to its descriptor's size.

use std::io::{self, ErrorKind, Read};

use super::buffer::Buffer;
use super::{ScanError, ScanObserver};

/// Bytes per read: large enough that calls cost nothing, small enough to stay in the cache between
/// inflating and hashing.
pub(crate) const CHUNK: usize = 256 << 10;

/// Takes the next bytes and tells whether more are wanted.
pub(crate) type Taker<'a> = dyn FnMut(&[u8]) -> bool + 'a;

/// Hands out all that can be read, in large pieces, until `take` wants no more.
///
/// # Errors
/// Those of reading.
pub(crate) fn pieces(input: &mut dyn Read, take: &mut Taker<'_>) -> io::Result<()> {
    let mut buffer = Buffer::new(CHUNK);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) if take(&buffer[..count]) => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A piece of the blob.
#[derive(Debug)]
pub(crate) struct Chunk {
    buffer: Buffer,
    len: usize,
}

impl Chunk {
    /// A piece of at most `size` (not zero) bytes.
    pub(crate) fn new(size: usize) -> Self {
        Self { buffer: Buffer::new(size), len: 0 }
    }

    #[cfg(test)]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut buffer = Buffer::new(bytes.len());
        buffer.copy_from_slice(bytes);
        Self { buffer, len: bytes.len() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

/// The blob of one layer.
pub(crate) struct Source<'a> {
    blob: &'a mut (dyn Read + Send),
    size: u64,
    position: u64,
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("position", &self.position).finish_non_exhaustive()
    }
}

impl<'a> Source<'a> {
    pub(crate) fn new(blob: &'a mut (dyn Read + Send), size: u64) -> Self {
        Self { blob, size, position: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// As [`Self::read`], telling an observer, unless it wants no more.
    pub(crate) fn next(
        &mut self,
        chunk: &mut Chunk,
        observer: &dyn ScanObserver,
    ) -> Result<bool, ScanError> {
        if observer.cancelled() {
            return Err(ScanError::Cancelled);
        }
        let more = self.read(chunk)?;
        observer.progress(self.position);
        Ok(more)
    }

    /// Reads the next piece; `false` at the end. Never reads more than one byte past the declared size.
    pub(crate) fn read(&mut self, chunk: &mut Chunk) -> Result<bool, ScanError> {
        let left = self.size - self.position;
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.buffer.len());
        chunk.len = 0;
        while chunk.len < want.max(1) {
            match self.blob.read(&mut chunk.buffer[chunk.len..want.max(1)]) {
                Ok(0) => break,
                Ok(count) => chunk.len += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.position += chunk.len as u64;
        if chunk.len != want {
            // Short of its size, or a byte behind it.
            return Err(ScanError::Size { found: self.position });
        }
        Ok(want > 0)
    }
}
