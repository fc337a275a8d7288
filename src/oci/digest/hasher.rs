//! SHA-256 over `sha2`'s block function, alone or two streams at a time.
//!
//! A layer's bytes go into two digests, the blob's and the current span's. One stream leaves most of a
//! core idle: each round waits for the one before. So both are advanced together, round by round where the
//! processor has instructions for it ([`super::interleaved`]), else block by block.

use sha2::block_api::compress256;

use super::interleaved;
use super::value::Digest;

const BLOCK: usize = 64;

/// First 32 bits of the fractional parts of the square roots of the first eight primes (FIPS 180-4).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A running SHA-256.
#[derive(Clone)]
pub(crate) struct Hasher {
    state: [u32; 8],
    /// Bytes that do not fill a block yet.
    partial: [u8; BLOCK],
    partial_len: usize,
    length: u64,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self { state: INITIAL, partial: [0; BLOCK], partial_len: 0, length: 0 }
    }
}

impl Hasher {
    /// A hasher that has seen nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes in.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let rest = self.fill(bytes);
        let (blocks, tail) = rest.as_chunks::<BLOCK>();
        compress256(&mut self.state, blocks);
        self.keep(tail);
    }

    /// Takes the same bytes into both hashers.
    pub(crate) fn update_both(&mut self, other: &mut Self, bytes: &[u8]) {
        let (mine, theirs) = (self.fill(bytes), other.fill(bytes));
        let (my_blocks, my_tail) = mine.as_chunks::<BLOCK>();
        let (their_blocks, their_tail) = theirs.as_chunks::<BLOCK>();
        let common = my_blocks.len().min(their_blocks.len());
        let done =
            interleaved::compress(&mut self.state, my_blocks, &mut other.state, their_blocks);
        for (mine, theirs) in my_blocks.iter().zip(their_blocks).skip(done) {
            compress256(&mut self.state, std::slice::from_ref(mine));
            compress256(&mut other.state, std::slice::from_ref(theirs));
        }
        compress256(&mut self.state, &my_blocks[common..]);
        compress256(&mut other.state, &their_blocks[common..]);
        self.keep(my_tail);
        other.keep(their_tail);
    }

    /// The digest of all bytes so far.
    pub(crate) fn finish(mut self) -> Digest {
        let bits = self.length.wrapping_mul(8);
        let mut end = [0; 2 * BLOCK];
        end[..self.partial_len].copy_from_slice(&self.partial[..self.partial_len]);
        end[self.partial_len] = 0x80;
        let size = if self.partial_len < BLOCK - 8 { BLOCK } else { 2 * BLOCK };
        end[size - 8..size].copy_from_slice(&bits.to_be_bytes());
        compress256(&mut self.state, end[..size].as_chunks::<BLOCK>().0);
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        Digest(digest)
    }

    /// Counts `bytes` and completes a partial block with their beginning; returns the rest, which
    /// begins at a block's border unless it is empty.
    fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.length += bytes.len() as u64;
        if self.partial_len == 0 {
            return bytes;
        }
        let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - self.partial_len));
        self.keep(head);
        if self.partial_len == BLOCK {
            compress256(&mut self.state, std::slice::from_ref(&self.partial));
            self.partial_len = 0;
        }
        rest
    }

    fn keep(&mut self, tail: &[u8]) {
        self.partial[self.partial_len..][..tail.len()].copy_from_slice(tail);
        self.partial_len += tail.len();
    }
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    fn judge(bytes: &[u8]) -> [u8; 32] {
        sha2::Sha256::digest(bytes).into()
    }

    #[test]
    fn equals_the_library_at_every_length() {
        let bytes: Vec<u8> = (0..400_u32).map(|i| (i * 7 % 251) as u8).collect();
        for len in 0..bytes.len() {
            assert_eq!(Digest::of(&bytes[..len]).0, judge(&bytes[..len]), "{len}");
        }
    }

    #[test]
    fn two_streams_at_any_distance() {
        let bytes: Vec<u8> = (0..3000_u32).map(|i| (i * 31 % 253) as u8).collect();
        for begin in [0, 1, 63, 64, 65, 130] {
            for step in [1, 17, 64, 127, 1000, 3000] {
                let (mut all, mut part) = (Hasher::new(), Hasher::new());
                all.update(&bytes[..begin]);
                for chunk in bytes[begin..].chunks(step) {
                    all.update_both(&mut part, chunk);
                }
                assert_eq!(all.finish().0, judge(&bytes), "{begin} {step}");
                assert_eq!(part.finish().0, judge(&bytes[begin..]), "{begin} {step}");
            }
        }
    }
}
