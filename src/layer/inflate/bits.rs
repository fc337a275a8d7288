//! Bits in deflate's order: a 64-bit word filled from the input, least significant bit first.

/// Reads bits of one input slice, beginning with those left over from the slice before.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    pub(super) input: &'a [u8],
    /// Index of the first byte of `input` that is not in `word`.
    pub(super) at: usize,
    /// The next bits; all above the `count` lowest are zero.
    pub(super) word: u64,
    /// How many bits `word` holds, at most 63.
    pub(super) count: u32,
}

impl BitReader<'_> {
    /// Fills the word: afterwards it holds at least 56 bits or all of the input.
    #[inline]
    pub(super) fn refill(&mut self) {
        if let Some(bytes) = self.input.get(self.at..).and_then(<[u8]>::first_chunk) {
            let whole = (63 - self.count) / 8;
            self.word |= u64::from_le_bytes(*bytes) << self.count;
            self.at += whole as usize;
            self.count += whole * 8;
            // `whole` bytes were taken, but up to seven more bits have come along.
            self.word &= (1 << self.count) - 1;
        } else {
            while self.count < 56
                && let Some(&byte) = self.input.get(self.at)
            {
                self.word |= u64::from(byte) << self.count;
                self.at += 1;
                self.count += 8;
            }
        }
    }

    /// Whether `bits` (at most 56) bits can be had.
    #[inline]
    pub(super) fn has(&mut self, bits: u32) -> bool {
        if self.count < bits {
            self.refill();
        }
        self.count >= bits
    }

    /// The next `bits` (at most 32) bits, zeros where there are none.
    #[inline]
    pub(super) fn peek(&self, bits: u32) -> u32 {
        (self.word & ((1 << bits) - 1)) as u32
    }

    /// Drops bits of which [`Self::has`] or `count` said that they are there.
    #[inline]
    pub(super) fn skip(&mut self, bits: u32) {
        self.word >>= bits;
        self.count -= bits;
    }

    /// Takes bits of which [`Self::has`] said that they are there.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        let value = self.peek(bits);
        self.skip(bits);
        value
    }

    /// Drops the rest of a byte that is partly read.
    pub(super) fn align(&mut self) {
        self.skip(self.count % 8);
    }

    /// Gives whole bytes back, as far as they are of this slice; `at` is then the number of bytes that
    /// had to be taken.
    pub(super) fn give_back(&mut self) {
        let whole = ((self.count / 8) as usize).min(self.at);
        self.at -= whole;
        self.count -= 8 * whole as u32;
        self.word &= (1 << self.count) - 1;
    }
}
