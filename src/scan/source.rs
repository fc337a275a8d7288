//! Reads a blob in large pieces, hashing it and holding it to its descriptor's size.

use std::io::{ErrorKind, Read};

use super::{ScanError, ScanObserver, ScanRequest};
use crate::digest::{Digest, Hasher};

/// Bytes per read: large enough that calls cost nothing, small enough to stay in the cache between
/// hashing and inflating.
const CHUNK: usize = 256 << 10;

/// The blob of one layer.
pub(crate) struct Source<'a> {
    blob: &'a mut dyn Read,
    observer: &'a dyn ScanObserver,
    digest: Digest,
    size: u64,
    position: u64,
    hasher: Hasher,
    buffer: Box<[u8]>,
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("position", &self.position).finish_non_exhaustive()
    }
}

impl<'a> Source<'a> {
    pub(crate) fn new(
        blob: &'a mut dyn Read,
        request: &ScanRequest<'_>,
        observer: &'a dyn ScanObserver,
    ) -> Self {
        Self {
            blob,
            observer,
            digest: request.digest,
            size: request.size,
            position: 0,
            hasher: Hasher::new(),
            buffer: vec![0; CHUNK].into_boxed_slice(),
        }
    }

    /// The next piece; `None` at the end. Never reads more than one byte past the declared size.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, ScanError> {
        if self.observer.cancelled() {
            return Err(ScanError::Cancelled);
        }
        let left = self.size - self.position;
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
        let mut filled = 0;
        while filled < want.max(1) {
            let room =
                if want == 0 { &mut self.buffer[..1] } else { &mut self.buffer[filled..want] };
            match self.blob.read(room) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if filled != want {
            // Short of its size, or a byte behind it.
            return Err(ScanError::Size { found: self.position + filled as u64 });
        }
        if want == 0 {
            return Ok(None);
        }
        let chunk = &self.buffer[..filled];
        self.hasher.update(chunk);
        self.position += filled as u64;
        self.observer.progress(self.position);
        Ok(Some(chunk))
    }

    /// Reads what is left and compares the digest.
    pub(crate) fn finish(mut self) -> Result<(), ScanError> {
        while self.next()?.is_some() {}
        let found = self.hasher.finish();
        if found == self.digest { Ok(()) } else { Err(ScanError::Digest { found }) }
    }
}
