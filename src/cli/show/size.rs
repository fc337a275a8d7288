//! Sizes as people write them, read exactly: no floating point, no silent rounding, no overflow.

use std::fmt;

/// Largest size that is taken: what the zTOC format and Go's readers can hold (`int64`).
pub(crate) const MAX: u64 = i64::MAX.unsigned_abs();

/// Units, smallest first. A bare letter is binary, as in `dd` and `docker run --memory`.
const UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
];

/// Reads a size such as `4194304`, `4MiB`, `4M`, `1.5 GiB` or `10MB`; case does not matter.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a number of bytes, or one with a unit: K, M, G, T or KiB, MiB, GiB, TiB \
                            (powers of 1024), kB, MB, GB, TB (powers of 1000)";
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = UNITS.iter().find(|(name, _)| *name == unit).ok_or(EXPECTED)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return Err(EXPECTED.to_owned());
    }
    let too_large = || format!("too large: the limit is {MAX} bytes");
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let part = part(fraction, unit).ok_or("not a whole number of bytes")?;
    let bytes = whole.checked_mul(unit).and_then(|bytes| bytes.checked_add(part));
    bytes.filter(|bytes| *bytes <= MAX).ok_or_else(too_large)
}

/// `0.fraction` of `unit`; `None` when it is not whole.
fn part(fraction: &str, unit: u64) -> Option<u64> {
    let fraction = fraction.trim_end_matches('0');
    // 10^18 times the largest unit stays far below 2^128; longer fractions are refused.
    let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= 18)?;
    let numerator = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let product = numerator * u128::from(unit);
    let scale = 10_u128.pow(places);
    (product % scale == 0).then(|| u64::try_from(product / scale).ok())?
}

/// Like [`parse`], but at least 1.
pub(crate) fn parse_positive(text: &str) -> Result<u64, String> {
    match parse(text)? {
        0 => Err("must be at least 1 byte".to_owned()),
        bytes => Ok(bytes),
    }
}

/// A size for people: `512B`, `45.2MiB`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1 << 10 {
            return f.pad(&format!("{}B", self.0));
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        // 1023.96 would be shown as 1024.0.
        while value >= 1023.95 && unit + 1 < NAMES.len() {
            value /= 1024.0;
            unit += 1;
        }
        f.pad(&format!("{value:.1}{}", NAMES[unit]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("4194304", 4 << 20),
            ("512B", 512),
            ("4MiB", 4 << 20),
            ("4mib", 4 << 20),
            ("4 M", 4 << 20),
            (" 4M ", 4 << 20),
            ("10MB", 10_000_000),
            ("10kB", 10_000),
            ("1.5MiB", 3 << 19),
            ("1.50K", 1536),
            ("0.5k", 512),
            ("0.001kB", 1),
            ("1.0", 1),
            ("1GiB", 1 << 30),
            ("2TB", 2_000_000_000_000),
            ("9223372036854775807", MAX),
            ("8388607TiB", 8_388_607 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size() {
        for (text, problem) in [
            ("", "expected"),
            ("MiB", "expected"),
            ("-1", "expected"),
            ("+1", "expected"),
            ("1e6", "expected"),
            ("1_000", "expected"),
            ("1,5M", "expected"),
            (".5M", "expected"),
            ("5.M", "expected"),
            ("1.2.3M", "expected"),
            ("4MiBs", "expected"),
            ("0x10", "expected"),
            ("١", "expected"),
            ("1.5", "not a whole number"),
            ("0.0001k", "not a whole number"),
            ("0.33333333333333333333333333M", "not a whole number"),
            ("9223372036854775808", "too large"),
            ("8388608TiB", "too large"),
            ("99999999999999999999999", "too large"),
            ("18446744073709551615K", "too large"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert!(parse_positive("0").is_err());
        assert_eq!(parse_positive("1"), Ok(1));
    }

    #[test]
    fn for_people() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0KiB"),
            (1_048_525, "1.0MiB"),
            (113_246_208, "108.0MiB"),
            (u64::MAX, "16.0EiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(format!("{:>9}", Bytes(1024)), "   1.0KiB");
    }
}
