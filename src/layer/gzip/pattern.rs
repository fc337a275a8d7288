//! What members look like in this blob, to find where another begins.

use super::member::FIXED;

/// What members look like here, learned from those the walker has passed: the fixed part of their headers
/// without the time. Content that holds gzip files of its own is seldom written by the same program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderPattern {
    /// Magic, method, flags.
    begin: [u8; 4],
    /// Extra flags, operating system.
    end: [u8; 2],
}

impl HeaderPattern {
    /// Bytes that are looked at.
    pub(crate) const LENGTH: usize = FIXED;

    pub(super) fn of(header: &[u8; FIXED]) -> Self {
        let [magic, sign, method, flags, .., extra_flags, system] = *header;
        Self { begin: [magic, sign, method, flags], end: [extra_flags, system] }
    }

    /// Where in `bytes` the first such header begins that ends in them.
    pub(crate) fn find(self, bytes: &[u8]) -> Option<usize> {
        /// Bytes that are passed over at once when the magic begins at none of them.
        const BLOCK: usize = 64;
        let last = bytes.len().checked_sub(FIXED - 1)?;
        let [first, second, ..] = self.begin;
        let mut at = 0;
        while at < last {
            let end = last.min(at + BLOCK);
            let pairs = bytes[at..end].iter().zip(&bytes[at + 1..=end]);
            // Without a way out of the loop the compiler makes it one of wide comparisons.
            let both = |(&a, &b)| u8::from(a == first) & u8::from(b == second);
            if pairs.map(both).fold(0, |seen, pair| seen | pair) != 0 {
                let is_here = |at: &usize| self.is_here(&bytes[*at..*at + FIXED]);
                if let Some(found) = (at..end).find(is_here) {
                    return Some(found);
                }
            }
            at = end;
        }
        None
    }

    fn is_here(self, header: &[u8]) -> bool {
        header[..4] == self.begin && header[8..] == self.end
    }
}
