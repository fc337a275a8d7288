//! The zeros between the data of a sparse file.

use std::io::{self, Write};
use std::ops::Range;

use super::delivery::ReadError;
use crate::error::Error;
use crate::layer::tar::SparseMap;
use crate::progress::event::Observer;

/// Takes the data of a sparse file and writes the whole of it.
pub(super) struct Holes<'a> {
    /// What is left of the map.
    parts: std::slice::Iter<'a, Range<u64>>,
    /// Where the next data goes.
    part: Range<u64>,
    /// Bytes of the file that are written.
    written: u64,
    size: u64,
    observer: &'a dyn Observer,
    out: &'a mut dyn Write,
}

impl<'a> Holes<'a> {
    /// For a file of `size` bytes.
    pub(super) fn new(
        map: &'a SparseMap,
        size: u64,
        observer: &'a dyn Observer,
        out: &'a mut dyn Write,
    ) -> Self {
        Self { parts: map.iter(), part: 0..0, written: 0, size, observer, out }
    }

    /// Writes what follows the last data.
    ///
    /// # Errors
    /// [`ReadError::Output`], and that it was cancelled.
    pub(super) fn finish(mut self) -> Result<(), ReadError> {
        let written = self.zeros(self.size);
        if self.observer.cancelled() {
            return Err(Error::Cancelled.into());
        }
        written.map_err(ReadError::Output)
    }

    fn zeros(&mut self, end: u64) -> io::Result<()> {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        while self.written < end {
            if self.observer.cancelled() {
                return Err(io::Error::other("cancelled"));
            }
            let count = (end - self.written).min(ZEROS.len() as u64);
            self.out.write_all(&ZEROS[..count as usize])?;
            self.written += count;
        }
        Ok(())
    }
}

impl Write for Holes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written == self.part.end {
            let Some(next) = self.parts.next() else {
                return Err(io::Error::other("more data than the file has"));
            };
            self.part = next.clone();
            self.zeros(next.start)?;
        }
        let count = bytes.len().min((self.part.end - self.written) as usize);
        self.out.write_all(&bytes[..count])?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
