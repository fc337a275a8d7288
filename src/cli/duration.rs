//! Durations as people write them: `90s`, `15m`, `2h`, `7d`, `1h30m`.

use std::time::Duration;

const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];

/// Reads a duration: whole numbers with units, largest first or not; `0` needs none.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str =
        "expected a number with a unit: s, m, h, d or w (for example 30m or 1h30m)";
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut seconds: u64 = 0;
    let mut number = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit =
            UNITS.iter().find(|(name, _)| *name == c.to_ascii_lowercase()).ok_or(EXPECTED)?.1;
        if number.is_empty() {
            return Err(EXPECTED.to_owned());
        }
        seconds = number
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(unit))
            .and_then(|part| seconds.checked_add(part))
            .ok_or("too long")?;
        number.clear();
    }
    if text.is_empty() || !number.is_empty() {
        return Err(EXPECTED.to_owned());
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("0", 0),
            ("0s", 0),
            ("90s", 90),
            ("15m", 900),
            (" 2H ", 7200),
            ("1h30m", 5400),
            ("1w2d", 777_600),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "5",
            "m",
            "1.5h",
            "-1h",
            "1h5",
            "1y",
            "99999999999999999999s",
            "99999999999999999w",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
