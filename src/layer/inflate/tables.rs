//! Decoding tables of the prefix codes: what the next bits mean, in one or two look-ups.
//!
//! A table is indexed with the next [`LITLEN_BITS`] or [`DISTANCE_BITS`] bits. Longer codes have an
//! entry there that names a second table behind the first, indexed with the bits that follow.

use std::sync::LazyLock;

/// Index bits of the first literal/length table.
pub(super) const LITLEN_BITS: u32 = 11;
/// Index bits of the first distance table.
pub(super) const DISTANCE_BITS: u32 = 8;
/// Room for the first and all second tables (at most 2342 entries), a power of two so that a masked
/// index needs no check.
pub(super) const LITLEN_SIZE: usize = 4096;
/// The same for distances (at most 402).
pub(super) const DISTANCE_SIZE: usize = 512;
/// Index bits of the code length code's table, which is as long as its codes.
const PRECODE_BITS: u32 = 7;

/// Longest code.
const MAX_LENGTH: usize = 15;
/// Most symbols of a code.
pub(super) const MAX_SYMBOLS: usize = 288;

/// What the next bits mean.
///
/// | bits | content |
/// | --- | --- |
/// | 0..8 | how many bits to consume, extra bits included |
/// | 8..12 | how many of them are the code; for a second table: how many bits index it |
/// | 12 | with 14: end of block |
/// | 13 | with 14: second table |
/// | 14 | neither a literal nor a length nor a distance |
/// | 15 | literal |
/// | 16..32 | the literal, the base of the length or distance, or the start of the second table |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(pub(super) u32);

const END: u32 = 1 << 12;
const SECOND: u32 = 1 << 13;
const SPECIAL: u32 = 1 << 14;
const LITERAL: u32 = 1 << 15;
/// Adds one bit to what is consumed and to what of it is the code.
const ONE_BIT: u32 = 0x101;

impl Entry {
    #[inline]
    pub(super) fn bits(self) -> u32 {
        self.0 & 0xff
    }

    #[inline]
    pub(super) fn code_bits(self) -> u32 {
        self.0 >> 8 & 15
    }

    #[inline]
    pub(super) fn is_literal(self) -> bool {
        self.0 & LITERAL != 0
    }

    #[inline]
    pub(super) fn is_special(self) -> bool {
        self.0 & SPECIAL != 0
    }

    #[inline]
    pub(super) fn is_end(self) -> bool {
        self.0 & END != 0
    }

    #[inline]
    pub(super) fn is_second(self) -> bool {
        self.0 & SECOND != 0
    }

    #[inline]
    pub(super) fn payload(self) -> u32 {
        self.0 >> 16
    }

    /// The length or distance whose bits `word` begins with.
    #[inline]
    pub(super) fn value(self, word: u64) -> usize {
        let extra = (word & !u64::MAX.wrapping_shl(self.bits())).wrapping_shr(self.0 >> 8);
        (u64::from(self.payload()).wrapping_add(extra)) as usize
    }
}

/// Why lengths make no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadCode;

/// What may be amiss with a code, by zlib's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tolerance {
    /// Nothing, or all symbols.
    Empty,
    /// The same, or a single code of one bit.
    Single,
}

/// The tables of one block.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) litlen: [Entry; LITLEN_SIZE],
    pub(super) distance: [Entry; DISTANCE_SIZE],
}

impl Tables {
    pub(super) fn new() -> Self {
        Self { litlen: [Entry(0); LITLEN_SIZE], distance: [Entry(0); DISTANCE_SIZE] }
    }

    pub(super) fn build_litlen(&mut self, lengths: &[u8]) -> Result<(), BadCode> {
        build(lengths, &LITLEN_MEANING, LITLEN_BITS, Tolerance::Single, &mut self.litlen)
    }

    pub(super) fn build_distance(&mut self, lengths: &[u8]) -> Result<(), BadCode> {
        build(lengths, &DISTANCE_MEANING, DISTANCE_BITS, Tolerance::Single, &mut self.distance)
    }

    #[inline]
    pub(super) fn litlen(&self, word: u64) -> Entry {
        self.litlen[(word & ((1 << LITLEN_BITS) - 1)) as usize]
    }

    #[inline]
    pub(super) fn distance(&self, word: u64) -> Entry {
        self.distance[(word & ((1 << DISTANCE_BITS) - 1)) as usize]
    }

    /// The entry of the second table that `first` names; `word` begins behind the bits of `first`.
    #[inline]
    pub(super) fn second_litlen(&self, first: Entry, word: u64) -> Entry {
        self.litlen[second_index(first, word) & (LITLEN_SIZE - 1)]
    }

    /// The same for distances.
    #[inline]
    pub(super) fn second_distance(&self, first: Entry, word: u64) -> Entry {
        self.distance[second_index(first, word) & (DISTANCE_SIZE - 1)]
    }
}

#[inline]
fn second_index(first: Entry, word: u64) -> usize {
    u64::from(first.payload()).wrapping_add(word & !u64::MAX.wrapping_shl(first.code_bits()))
        as usize
}

/// Table of the code length code.
#[derive(Debug)]
pub(super) struct Precode([Entry; 1 << PRECODE_BITS]);

impl Precode {
    pub(super) fn new() -> Self {
        Self([Entry(0); 1 << PRECODE_BITS])
    }

    pub(super) fn build(&mut self, lengths: &[u8; 19]) -> Result<(), BadCode> {
        build(lengths, &PRECODE_MEANING, PRECODE_BITS, Tolerance::Empty, &mut self.0)
    }

    #[inline]
    pub(super) fn entry(&self, word: u64) -> Entry {
        self.0[(word & ((1 << PRECODE_BITS) - 1)) as usize]
    }
}

/// The tables of blocks with the fixed codes.
pub(super) static FIXED: LazyLock<Box<Tables>> = LazyLock::new(|| {
    let mut lengths = [8; MAX_SYMBOLS];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    let mut tables = Box::new(Tables::new());
    let complete = tables.build_litlen(&lengths).and(tables.build_distance(&[5; 32]));
    complete.expect("the fixed codes are complete");
    tables
});

/// What each literal/length symbol means, without the bits of its code (RFC 1951, 3.2.5).
static LITLEN_MEANING: [u32; MAX_SYMBOLS] = litlen_meaning();
static DISTANCE_MEANING: [u32; 32] = distance_meaning();
static PRECODE_MEANING: [u32; 19] = precode_meaning();

const fn litlen_meaning() -> [u32; MAX_SYMBOLS] {
    let mut meaning = [SPECIAL; MAX_SYMBOLS];
    let mut symbol = 0;
    while symbol < 256 {
        meaning[symbol] = LITERAL | (symbol as u32) << 16;
        symbol += 1;
    }
    meaning[256] = SPECIAL | END;
    let mut base = 3;
    while symbol < 284 {
        symbol += 1;
        let extra = if symbol < 265 { 0 } else { (symbol as u32 - 261) / 4 };
        meaning[symbol] = base << 16 | extra;
        base += 1 << extra;
    }
    meaning[285] = 258 << 16;
    meaning
}

const fn distance_meaning() -> [u32; 32] {
    let mut meaning = [SPECIAL; 32];
    let (mut symbol, mut base) = (0, 1);
    while symbol < 30 {
        let extra = if symbol < 4 { 0 } else { symbol as u32 / 2 - 1 };
        meaning[symbol] = base << 16 | extra;
        base += 1 << extra;
        symbol += 1;
    }
    meaning
}

const fn precode_meaning() -> [u32; 19] {
    let mut meaning = [0; 19];
    let mut symbol = 0;
    while symbol < 19 {
        meaning[symbol] = (symbol as u32) << 16;
        symbol += 1;
    }
    meaning
}

/// Fills `table` for the canonical code with these lengths.
///
/// Codes are taken shortest first, and the table grows with them: it is kept as long as the codes
/// placed so far need and doubled by copying when the length grows.
fn build(
    lengths: &[u8],
    meaning: &[u32],
    index_bits: u32,
    tolerance: Tolerance,
    table: &mut [Entry],
) -> Result<(), BadCode> {
    let mut counts = [0_u16; MAX_LENGTH + 1];
    for &length in lengths {
        counts[usize::from(length & 15)] += 1;
    }
    let used = lengths.len() as u16 - counts[0];
    let mut space = 1_i32;
    for &count in &counts[1..] {
        space = space * 2 - i32::from(count);
        if space < 0 {
            return Err(BadCode);
        }
    }
    let size = 1 << index_bits;
    if space > 0 {
        // Incomplete: zlib lets these pass and complains when a missing code comes. The code length
        // code without any symbol even reads each bit as "length 0".
        let single = used == 1 && counts[1] == 1;
        let (even, odd) = match tolerance {
            Tolerance::Empty if used == 0 => (0, 0),
            Tolerance::Single if used == 0 => (SPECIAL, SPECIAL),
            Tolerance::Single if single => {
                let symbol = lengths.iter().position(|&length| length == 1).ok_or(BadCode)?;
                (meaning[symbol], SPECIAL)
            }
            _ => return Err(BadCode),
        };
        for pair in table[..size].chunks_exact_mut(2) {
            pair[0] = Entry(even + ONE_BIT);
            pair[1] = Entry(odd + ONE_BIT);
        }
        return Ok(());
    }

    // Symbols in the order of their codes: by length, then by value; those without a code first.
    let mut next = [0_u16; MAX_LENGTH + 1];
    for length in 1..=MAX_LENGTH {
        next[length] = next[length - 1] + counts[length - 1];
    }
    let mut sorted = [0_u16; MAX_SYMBOLS];
    for (symbol, &length) in lengths.iter().enumerate() {
        let place = &mut next[usize::from(length & 15)];
        sorted[usize::from(*place)] = symbol as u16;
        *place += 1;
    }
    let mut symbols = sorted[usize::from(counts[0])..lengths.len()].iter();

    // `code` is reversed: its first bit is the lowest, as in the stream.
    let mut code = 0_usize;
    let mut filled = 1_usize;
    for length in 1..=index_bits {
        if length > 1 {
            table.copy_within(..filled, filled);
            filled *= 2;
        } else {
            filled = 2;
        }
        let last = (1 << length) - 1;
        for &symbol in symbols.by_ref().take(usize::from(counts[length as usize])) {
            table[code] = Entry(meaning[usize::from(symbol)] + length * ONE_BIT);
            code = successor(code, last);
        }
    }
    let mut start = size;
    let mut current = usize::MAX;
    let mut second_bits = 0;
    for length in index_bits + 1..=MAX_LENGTH as u32 {
        let last = (1 << length) - 1;
        let count = usize::from(counts[length as usize]);
        for (placed, &symbol) in symbols.by_ref().take(count).enumerate() {
            let prefix = code & (size - 1);
            if prefix != current {
                current = prefix;
                start += if second_bits > 0 { 1 << second_bits } else { 0 };
                // As many bits as the codes that begin with this prefix fill.
                second_bits = length - index_bits;
                let mut codes = count - placed;
                while codes < 1 << second_bits {
                    second_bits += 1;
                    codes = codes * 2 + usize::from(counts[(index_bits + second_bits) as usize]);
                }
                table[prefix] =
                    Entry(SPECIAL | SECOND | (start as u32) << 16 | second_bits << 8 | index_bits);
            }
            let entry = Entry(meaning[usize::from(symbol)] + (length - index_bits) * ONE_BIT);
            let second = &mut table[start..start + (1 << second_bits)];
            for slot in second[code >> index_bits..].iter_mut().step_by(1 << (length - index_bits))
            {
                *slot = entry;
            }
            code = successor(code, last);
        }
    }
    Ok(())
}

/// The code behind `code` of the same length, both reversed; `last` is that length's all-ones. Zero
/// when there is none.
#[inline]
fn successor(code: usize, last: usize) -> usize {
    let clear = code ^ last;
    if clear == 0 {
        return 0;
    }
    let bit = 1 << clear.ilog2();
    code & (bit - 1) | bit
}
