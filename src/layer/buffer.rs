//! Memory that the operating system reads files into.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, at which such memory begins.
///
/// malloc takes large pieces from mmap and gives them out from the 16th byte of a page on. Linux copies out of its page
/// cache with `rep movsb`, and on AMD's processors that takes eight times as long when the target begins just so far behind
/// the source, seen in their pages.
const LINE: usize = 64;

/// A piece of such memory.
#[derive(Debug)]
pub(crate) struct Buffer {
    memory: Vec<u8>,
    begin: usize,
}

impl Buffer {
    /// Zeros.
    pub(crate) fn new(size: usize) -> Self {
        let mut memory = vec![0; size + LINE];
        let begin = memory.as_ptr().align_offset(LINE).min(LINE);
        memory.truncate(begin + size);
        Self { memory, begin }
    }

    /// Leaves the first `size` bytes.
    #[cfg(feature = "archives")]
    pub(crate) fn truncate(&mut self, size: usize) {
        self.memory.truncate(self.begin + size);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.begin..]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.begin..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_at_a_line_and_has_the_size() {
        for size in [0, 1, 63, 64, 4096, 256 << 10] {
            let buffer = Buffer::new(size);
            assert_eq!((buffer.len(), buffer.as_ptr().addr() % LINE), (size, 0));
        }
    }
}
