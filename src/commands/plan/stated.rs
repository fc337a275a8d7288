//! The uncompressed size that a gzip file states itself.

use std::path::Path;

use crate::error::Error;
use crate::layout::opened::OpenBlob;

/// The uncompressed size that a gzip file states at its end, modulo 2^32: the value nearest to `guess`.
/// A file of several members only states that of the last, so a value far from the guess is none.
pub(super) fn stated_size(
    (file, path): (&OpenBlob, &Path),
    size: u64,
    guess: u64,
) -> Result<Option<u64>, Error> {
    let Some(end) = size.checked_sub(4) else { return Ok(None) };
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, end).map_err(Error::io("read", path))?;
    Ok(nearest(u64::from(u32::from_le_bytes(bytes)), guess))
}

fn nearest(stated: u64, guess: u64) -> Option<u64> {
    const WRAP: u64 = 1 << 32;
    let turns = guess.saturating_sub(stated).saturating_add(WRAP / 2) / WRAP;
    let value = stated.saturating_add(turns.saturating_mul(WRAP));
    (value >= guess / 4 && value / 4 <= guess).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn sizes_at_the_end_of_gzip_files() {
        const GIB: u64 = 1 << 30;
        for (stated, guess, expected) in [
            (1000, 1100, Some(1000)),
            (1000, 5000, None),
            (5000, 1000, None),
            (GIB, 5 * GIB, Some(5 * GIB)),
            (3 * GIB, 8 * GIB, Some(7 * GIB)),
            (0, 0, Some(0)),
            (7, u64::MAX, Some(u64::MAX - (1 << 32) + 8)),
        ] {
            assert_eq!(nearest(stated, guess), expected, "{stated} {guess}");
        }
    }
}
