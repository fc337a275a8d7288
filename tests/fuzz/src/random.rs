//! Reproducible random mutations for the replay on stable Rust.

/// A small random number generator (xorshift64*): the same seed gives the same run everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator for `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit
    }

    /// Changes `data` in one to six places, with pieces of itself, of `other` and of `words`.
    pub fn mutate(&mut self, data: &mut Vec<u8>, other: &[u8], words: &[Vec<u8>]) {
        const LONGEST: usize = 16 << 10;
        for _ in 0..=self.below(6) {
            let at = self.below(data.len() + 1);
            let end = at + self.below(data.len() - at + 1).min(64);
            match self.below(8) {
                0 if at < data.len() => data[at] ^= 1 << self.below(8),
                1 if at < data.len() => data[at] = self.next() as u8,
                2 => drop(data.drain(at..end)),
                3 => {
                    let piece = data[at..end].to_vec();
                    let to = self.below(data.len() + 1);
                    data.splice(to..to, piece);
                }
                4 if !other.is_empty() => {
                    let from = self.below(other.len());
                    let to = from + self.below((other.len() - from).min(256)) + 1;
                    data.splice(at..end, other[from..to].iter().copied());
                }
                5 if at < data.len() => {
                    const EDGES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
                    data[at] = EDGES[self.below(EDGES.len())];
                }
                _ if !words.is_empty() => {
                    let word = &words[self.below(words.len())];
                    let overwrite = self.below(2) * word.len().min(data.len() - at);
                    data.splice(at..at + overwrite, word.iter().copied());
                }
                _ => {}
            }
            data.truncate(LONGEST);
        }
    }
}
