//! Where output goes, and what is said of input that is none.

use super::symbol::Symbol;

/// The input is not a deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid deflate data: {message}")]
pub(crate) struct DataError {
    /// What is wrong, in zlib's words.
    pub(crate) message: &'static str,
}

pub(super) fn data_error<T>(message: &'static str) -> Result<T, DataError> {
    Err(DataError { message })
}

/// Where output goes.
#[derive(Debug)]
pub(super) struct Output<'a, S> {
    pub(super) buffer: &'a mut [S],
    /// Where to write.
    pub(super) at: usize,
    /// Where to stop.
    pub(super) end: usize,
    /// Where history begins.
    pub(super) lowest: usize,
}

impl<S: Symbol> Output<'_, S> {
    /// Writes a match as far as there is room, and returns how much of it is left.
    pub(super) fn copy_match(&mut self, length: usize, distance: usize) -> usize {
        let now = length.min(self.end - self.at);
        for at in self.at..self.at + now {
            self.buffer[at] = self.buffer[at - distance];
        }
        self.at += now;
        length - now
    }
}
