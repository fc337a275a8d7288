//! The fast loop: decodes while input and room are so plenty that neither is checked within a symbol.
//!
//! Almost all of the crate's `unsafe`: unchecked loads of eight input bytes, unchecked stores of
//! output, and the call of a function compiled for a CPU feature. All of it rests on the margins that
//! are compared once per round, see [`IN_MARGIN`] and [`OUT_MARGIN`].

#![allow(unsafe_code)]
// What is inlined into a function for a CPU feature is compiled for it.
#![allow(clippy::inline_always)]

use std::ptr;

use super::bits::BitReader;
use super::output::{DataError, Output, data_error};
use super::symbol::Symbol;
use super::tables::{Entry, Tables};

/// Symbols copied at once.
const BLOCK: usize = 16;
/// Input that a round must find: it refills the word at most twice, and the first one once more before
/// it begins. Each refill reads eight bytes and goes on by at most seven.
const IN_MARGIN: usize = 2 * 7 + 7 + 8;
/// Room that a round must find: three literals and a match of at most 258 bytes, copied in blocks of
/// which the last overshoots by less than a block; short matches are copied as two blocks.
const OUT_MARGIN: usize = 3 + 258 + BLOCK;

/// Whether at least one round can be made.
#[inline]
pub(super) fn has_margins<S>(reader: &BitReader<'_>, out: &Output<'_, S>) -> bool {
    reader.input.len() - reader.at >= IN_MARGIN && out.end - out.at >= OUT_MARGIN
}

/// Decodes until a margin is reached or the block ends; true when it ended.
///
/// # Panics
/// Without margins, see [`has_margins`].
pub(super) fn decode<S: Symbol>(
    tables: &Tables,
    reader: &mut BitReader<'_>,
    out: &mut Output<'_, S>,
) -> Result<bool, DataError> {
    assert!(reader.at <= reader.input.len() && reader.count < 64);
    assert!(out.lowest <= out.at && out.at <= out.end && out.end <= out.buffer.len());
    assert!(has_margins(reader, out));
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("bmi2") {
        // SAFETY: the CPU has the feature; the rest was asserted above.
        return unsafe { decode_bmi2(tables, reader, out) };
    }
    // SAFETY: asserted above.
    unsafe { decode_here(tables, reader, out) }
}

/// [`decode_here`] with shifts that need no flags and take their count from any register.
///
/// # Safety
/// As [`decode_here`]; the CPU has BMI2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "bmi2")]
unsafe fn decode_bmi2<S: Symbol>(
    tables: &Tables,
    reader: &mut BitReader<'_>,
    out: &mut Output<'_, S>,
) -> Result<bool, DataError> {
    // SAFETY: the caller's promise.
    unsafe { decode_here(tables, reader, out) }
}

/// Bits as the loop keeps them: `count` is right in its low six bits only, and the word may hold further
/// bits of the input above those counted. So taking an entry, whose lowest bits say how many bits, is
/// one shift and one subtraction of the whole entry.
struct Bits {
    word: u64,
    count: u32,
    next: *const u8,
}

impl Bits {
    /// Afterwards at least 56 bits are there.
    ///
    /// # Safety
    /// Eight bytes can be read at `next`.
    #[inline(always)]
    unsafe fn refill(&mut self) {
        // SAFETY: the caller's promise; an array of bytes needs no alignment.
        let bytes = unsafe { self.next.cast::<[u8; 8]>().read() };
        self.word |= u64::from_le_bytes(bytes).wrapping_shl(self.count);
        // SAFETY: at most seven bytes on, within those just read.
        self.next = unsafe { self.next.add((!self.count >> 3 & 7) as usize) };
        self.count |= 0b11_1000;
    }

    /// Takes the bits of an entry.
    #[inline(always)]
    fn take(&mut self, entry: Entry) {
        self.word = self.word.wrapping_shr(entry.0);
        self.count = self.count.wrapping_sub(entry.0);
    }
}

/// # Safety
/// `reader.at <= reader.input.len()`, `out.lowest <= out.at <= out.end <= out.buffer.len()`, and both
/// margins are there.
#[inline(always)]
unsafe fn decode_here<S: Symbol>(
    tables: &Tables,
    reader: &mut BitReader<'_>,
    out: &mut Output<'_, S>,
) -> Result<bool, DataError> {
    let input = reader.input.as_ptr_range();
    let buffer = out.buffer.as_mut_ptr();
    let last_next = input.end.wrapping_sub(IN_MARGIN);
    // SAFETY: indices into the two slices, or just behind them; the margins are there.
    let (mut bits, mut to, lowest, last_to) = unsafe {
        (
            Bits { word: reader.word, count: reader.count, next: input.start.add(reader.at) },
            buffer.add(out.at),
            buffer.add(out.lowest),
            buffer.add(out.end - OUT_MARGIN),
        )
    };

    // SAFETY: the margins are there, so are eight bytes.
    unsafe { bits.refill() };
    let mut entry = tables.litlen(bits.word);
    let outcome = loop {
        // Here `entry` is looked up but not taken, at least 56 bits are there, and so are the margins of
        // a round. What a round takes before its first refill, at most: two literals of 11 bits, a
        // length of 15 + 5 bits, and 8 bits are looked up for the distance. Then 15 + 13 bits, and 11 are
        // looked up. A look-up before a refill keeps the refill out of the chain from entry to entry.
        if entry.is_literal() {
            bits.take(entry);
            // SAFETY: the first of three literals of the margin.
            to = unsafe { put(to, entry.payload()) };
            entry = tables.litlen(bits.word);
            if entry.is_literal() {
                bits.take(entry);
                // SAFETY: the second.
                to = unsafe { put(to, entry.payload()) };
                entry = tables.litlen(bits.word);
                if entry.is_literal() {
                    bits.take(entry);
                    // SAFETY: the third.
                    to = unsafe { put(to, entry.payload()) };
                    entry = tables.litlen(bits.word);
                    // SAFETY: the first refill of the round.
                    unsafe { bits.refill() };
                    if bits.next > last_next || to > last_to {
                        break Ok(false);
                    }
                    continue;
                }
            }
        }
        if entry.is_special() {
            if entry.is_second() {
                bits.take(entry);
                entry = tables.second_litlen(entry, bits.word);
                if entry.is_literal() {
                    bits.take(entry);
                    // SAFETY: the third literal at most.
                    to = unsafe { put(to, entry.payload()) };
                    entry = tables.litlen(bits.word);
                    // SAFETY: the first refill of the round.
                    unsafe { bits.refill() };
                    if bits.next > last_next || to > last_to {
                        break Ok(false);
                    }
                    continue;
                }
            }
            if entry.is_special() {
                if entry.is_end() {
                    bits.take(entry);
                    break Ok(true);
                }
                break data_error("invalid literal/length code");
            }
        }
        let length = entry.value(bits.word);
        bits.take(entry);
        entry = tables.distance(bits.word);
        // SAFETY: the first refill of the round.
        unsafe { bits.refill() };
        if entry.is_special() {
            if entry.is_second() {
                bits.take(entry);
                entry = tables.second_distance(entry, bits.word);
            }
            if entry.is_special() {
                break data_error("invalid distance code");
            }
        }
        let distance = entry.value(bits.word);
        bits.take(entry);
        entry = tables.litlen(bits.word);
        // SAFETY: the second refill of the round.
        unsafe { bits.refill() };
        // With one subtracted, a zero (which no table holds) would be refused too.
        if distance.wrapping_sub(1) >= to.addr().wrapping_sub(lowest.addr()) / size_of::<S>() {
            break data_error("invalid distance too far back");
        }
        // SAFETY: the distance is at least 1 and stays in the history; the margin of the round has room.
        unsafe { copy_match(to, distance, length) };
        // SAFETY: the match is in the margin.
        to = unsafe { to.add(length) };
        if bits.next > last_next || to > last_to {
            break Ok(false);
        }
    };
    reader.at = bits.next.addr() - input.start.addr();
    reader.count = bits.count & 63;
    reader.word = bits.word & ((1 << reader.count) - 1);
    out.at = (to.addr() - buffer.addr()) / size_of::<S>();
    reader.give_back();
    outcome
}

/// Writes a literal and returns the place behind it.
///
/// # Safety
/// There is room for it.
#[inline(always)]
unsafe fn put<S: Symbol>(to: *mut S, literal: u32) -> *mut S {
    // SAFETY: the caller's promise.
    unsafe {
        to.write(S::of(literal as u8));
        to.add(1)
    }
}

/// Copies `length` symbols from `distance` in front of `to`, and some symbols more.
///
/// # Safety
/// `distance` (not zero) symbols in front of `to` are of the same buffer, and so are
/// `max(length, BLOCK) + BLOCK` symbols behind it.
#[inline(always)]
unsafe fn copy_match<S: Symbol>(to: *mut S, distance: usize, length: usize) {
    // SAFETY: in the buffer by the caller's promise.
    let from = unsafe { to.sub(distance) };
    if distance >= BLOCK {
        // SAFETY: the last block ends less than a block behind the match or two blocks behind `to`. What
        // a block reads lies at least a block in front of it, so it was there or is written by now.
        unsafe {
            copy_block(from, to);
            // Most matches are short: a second block costs less than guessing wrong whether to copy it.
            copy_block(from.add(BLOCK), to.add(BLOCK));
            let mut done = 2 * BLOCK;
            while done < length {
                copy_block(from.add(done), to.add(done));
                done = done.wrapping_add(BLOCK);
            }
        }
    } else if size_of::<S>() == 1 {
        // SAFETY: the caller's promise; symbols of one byte are bytes.
        unsafe { copy_near(from.cast(), to.cast(), distance, length) };
    } else {
        // SAFETY: the caller's promise.
        unsafe { copy_near_wide(from, to, distance, length) };
    }
}

/// [`copy_match`] for a distance of less than a block, of symbols that are no bytes.
///
/// # Safety
/// As [`copy_match`], `from` being `distance` in front of `to`.
#[inline(always)]
unsafe fn copy_near_wide<S: Symbol>(from: *const S, to: *mut S, distance: usize, length: usize) {
    let (mut done, step) = (0, if distance >= 8 { 8 } else { 1 });
    while done < length {
        // SAFETY: ends at most seven symbols behind the match; what is read lies at least a step in front.
        unsafe { ptr::copy_nonoverlapping(from.add(done), to.add(done), step) };
        done = done.wrapping_add(step);
    }
}

/// [`copy_match`] for a distance of less than a block: eight bytes at a time.
///
/// # Safety
/// As [`copy_match`], `from` being `distance` in front of `to`.
#[inline(always)]
unsafe fn copy_near(from: *const u8, to: *mut u8, distance: usize, length: usize) {
    let mut done = 0;
    if distance >= 8 {
        while done < length {
            // SAFETY: ends at most seven bytes behind the match; what is read lies at least eight in
            // front.
            unsafe {
                let word = from.add(done).cast::<[u8; 8]>().read();
                to.add(done).cast::<[u8; 8]>().write(word);
            }
            done = done.wrapping_add(8);
        }
        return;
    }
    // A short pattern, repeated to fill a word that is then written in steps of whole patterns.
    // SAFETY: at most seven bytes behind `to` are read.
    let mut pattern = u64::from_le_bytes(unsafe { from.cast::<[u8; 8]>().read() });
    let width = 8 * distance as u32;
    pattern &= !u64::MAX.wrapping_shl(width);
    pattern |= pattern.wrapping_shl(width);
    if distance < 4 {
        pattern |= pattern.wrapping_shl(2 * width);
        if distance == 1 {
            pattern |= pattern.wrapping_shl(4 * width);
        }
    }
    let bytes = pattern.to_le_bytes();
    let step = [0, 8, 8, 6, 8, 5, 6, 7][distance];
    while done < length {
        // SAFETY: ends at most seven bytes behind the match.
        unsafe { to.add(done).cast::<[u8; 8]>().write(bytes) };
        done = done.wrapping_add(step);
    }
}

/// # Safety
/// A block can be read at `from` and written at `to`; they do not overlap.
#[inline(always)]
unsafe fn copy_block<S: Symbol>(from: *const S, to: *mut S) {
    // SAFETY: the caller's promise.
    unsafe { ptr::copy_nonoverlapping(from, to, BLOCK) };
}
