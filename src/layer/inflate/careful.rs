//! Decodes symbol by symbol at the margins of the buffers: never takes a symbol whose bits are not all
//! there, never writes past the limit.

use super::bits::BitReader;
use super::output::{DataError, Output, data_error};
use super::symbol::Symbol;
use super::tables::Tables;

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// The next symbol needs more input.
    Input,
    /// The next symbol needs more room.
    Room,
    /// A match is partly written.
    Partial {
        /// Bytes that are left of it.
        length: usize,
        /// Its distance.
        distance: usize,
    },
    /// There are margins enough for the fast loop.
    Margins,
    /// The block has ended.
    BlockEnd,
}

/// Decodes until something stops it.
pub(super) fn decode<S: Symbol>(
    tables: &Tables,
    reader: &mut BitReader<'_>,
    out: &mut Output<'_, S>,
) -> Result<Pause, DataError> {
    loop {
        if super::fast::has_margins(reader, out) {
            return Ok(Pause::Margins);
        }
        reader.refill();
        let (mut word, mut count) = (reader.word, reader.count);
        let mut entry = tables.litlen(word);
        if entry.is_second() {
            if entry.bits() > count {
                return Ok(Pause::Input);
            }
            word >>= entry.bits();
            count -= entry.bits();
            entry = tables.second_litlen(entry, word);
        }
        if entry.code_bits() > count {
            return Ok(Pause::Input);
        }
        if entry.is_literal() {
            if out.at == out.end {
                return Ok(Pause::Room);
            }
            out.buffer[out.at] = S::of(entry.payload() as u8);
            out.at += 1;
            (reader.word, reader.count) = (word >> entry.bits(), count - entry.bits());
            continue;
        }
        if entry.is_end() {
            (reader.word, reader.count) = (word >> entry.bits(), count - entry.bits());
            return Ok(Pause::BlockEnd);
        }
        if entry.is_special() {
            // As far as the fast loop goes, so that both name the same place.
            (reader.word, reader.count) = (word, count);
            return data_error("invalid literal/length code");
        }
        if entry.bits() > count {
            return Ok(Pause::Input);
        }
        let length = entry.value(word);
        word >>= entry.bits();
        count -= entry.bits();

        let mut entry = tables.distance(word);
        if entry.is_second() {
            if entry.bits() > count {
                return Ok(Pause::Input);
            }
            word >>= entry.bits();
            count -= entry.bits();
            entry = tables.second_distance(entry, word);
        }
        if entry.code_bits() > count {
            return Ok(Pause::Input);
        }
        if entry.is_special() {
            (reader.word, reader.count) = (word, count);
            return data_error("invalid distance code");
        }
        if entry.bits() > count {
            return Ok(Pause::Input);
        }
        let distance = entry.value(word);
        (reader.word, reader.count) = (word >> entry.bits(), count - entry.bits());
        if distance > out.at - out.lowest {
            return data_error("invalid distance too far back");
        }
        let left = out.copy_match(length, distance);
        if left > 0 {
            return Ok(Pause::Partial { length: left, distance });
        }
    }
}
