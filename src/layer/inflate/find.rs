//! Guesses where a block begins in the middle of a deflate stream.
//!
//! Nothing in the stream marks the start of a block. A block with codes of its own is told by its header: hardly any
//! other bits make complete codes; a stored one by its length, which stands there twice. Both can be wrong, and
//! blocks with the fixed codes are not found, so a guess counts for nothing until the stream is
//! decoded up to that very bit.

use super::bits::BitReader;
use super::header::Header;
use super::tables::Tables;

/// Where a block that is not the last of its stream seems to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Where the first byte stands that is not read when a block ends in front of this start.
    pub(crate) byte: u64,
    /// The two bytes in front of it, of which a header needs the last only.
    pub(crate) before: [u8; 2],
    /// With how many (0 to 7) high bits of the last of them the header begins. `None` where the length of a stored block
    /// begins at `byte`: where its header begins cannot be told, as it may be filled up with any bits.
    pub(crate) bits: Option<u8>,
}

impl Start {
    /// Whether this is the start of the block behind one that ended `bits` bits in front of `byte`.
    pub(crate) fn is_at(self, byte: u64, bits: u8) -> bool {
        if let Some(own) = self.bits {
            return (byte, bits) == (self.byte, own);
        }
        // The header is three zeros, and fewer than eight bits are in front of the length behind it.
        let header = 8 * byte - u64::from(bits);
        let Some(left) = (8 * self.byte).checked_sub(header + 3) else { return false };
        left < 8 && (u16::from_le_bytes(self.before) >> (13 - left)).trailing_zeros() >= 3
    }
}

/// Looks for starts.
pub(crate) struct Finder {
    header: Header,
    tables: Box<Tables>,
}

impl std::fmt::Debug for Finder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finder").finish_non_exhaustive()
    }
}

impl Finder {
    /// Bytes behind a start that are looked at, at most.
    pub(crate) const MARGIN: usize = 512;

    pub(crate) fn new() -> Self {
        Self { header: Header::new(), tables: Box::new(Tables::new()) }
    }

    /// The first start whose byte is behind the first two of `bytes` and not among the last [`Self::MARGIN`].
    pub(crate) fn find(&mut self, bytes: &[u8]) -> Option<Start> {
        let end = bytes.len().checked_sub(Self::MARGIN)?;
        let start = |byte: usize, bits| {
            let before = [bytes[byte.saturating_sub(2)], bytes[byte - 1]];
            Some(Start { byte: byte as u64, before, bits })
        };
        for at in 1..end {
            let word = word(bytes, at);
            // At bit 0 to 7 of this byte: not the last block, codes of its own.
            let mut places = !word & !(word >> 1) & (word >> 2) & 0xff;
            while places != 0 {
                let bit = places.trailing_zeros();
                places &= places - 1;
                if may_begin(word >> bit, bytes, at, bit) && self.begins(bytes, at, bit) {
                    return start(at + usize::from(bit > 0), Some((8 - bit as u8) % 8));
                }
            }
            if word & 0xe0 == 0 && word >> 8 & 0xffff == !(word >> 24) & 0xffff {
                return start(at + 1, None);
            }
        }
        None
    }

    /// Whether there is a whole header.
    fn begins(&mut self, bytes: &[u8], at: usize, bit: u32) -> bool {
        let mut reader = BitReader { input: bytes, at, word: 0, count: 0 };
        reader.refill();
        reader.skip(bit + 3);
        self.header.restart();
        matches!(self.header.read(&mut reader, &mut self.tables), Ok(true))
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Whether the numbers of codes are allowed, and the code of the code lengths is complete. `head` are the bits from
/// the header on, at least 57.
#[inline]
fn may_begin(head: u64, bytes: &[u8], at: usize, bit: u32) -> bool {
    if head >> 3 & 31 > 29 || head >> 8 & 31 > 29 {
        return false;
    }
    let count = (head >> 13 & 15) as u32 + 4;
    let first = at * 8 + bit as usize + 17;
    let mut lengths = word(bytes, first / 8) >> (first % 8) & ((1 << (3 * count)) - 1);
    let mut sum = 0;
    while lengths != 0 {
        let length = lengths & 7;
        sum += if length > 0 { 128 >> length } else { 0 };
        lengths >>= 3;
    }
    sum == 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_met_at_its_very_bit() {
        let start = Start { byte: 100, bits: Some(3), before: [0, 0] };
        let met: Vec<(u64, u8)> = (98..=101)
            .flat_map(|byte| (0..8).map(move |bits| (byte, bits)))
            .filter(|&(byte, bits)| start.is_at(byte, bits))
            .collect();
        assert_eq!(met, [(100, 3)]);
    }

    #[test]
    fn a_stored_block_is_met_at_each_bit_of_its_header() {
        // Three zeros from bit 2 of the byte in front, then ones as filling.
        let start = Start { byte: 100, bits: None, before: [0xff, 0b1110_0011] };
        let met: Vec<(u64, u8)> = (98..=101)
            .flat_map(|byte| (0..8).map(move |bits| (byte, bits)))
            .filter(|&(byte, bits)| start.is_at(byte, bits))
            .collect();
        assert_eq!(met, [(100, 6)]);
        // Zeros all over: wherever the block before ends, it is the same one.
        let start = Start { byte: 100, bits: None, before: [0, 0] };
        let met = (98..=101).flat_map(|byte| (0..8).map(move |bits| (byte, bits)));
        assert_eq!(met.filter(|&(byte, bits)| start.is_at(byte, bits)).count(), 8);
    }
}
