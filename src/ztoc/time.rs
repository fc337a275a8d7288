//! Modification times as the zTOC stores them: RFC 3339 in UTC, as Go's `time.Time.MarshalText`.
//!
//! The reference prints the builder's local zone; its bytes are only reproducible in UTC, so UTC is
//! what is always written here (`soci-formats` 2.5).

use std::fmt;

use super::toc::ModTime;

const SECONDS_PER_DAY: i64 = 86_400;

/// First second of year 0 and of year 10 000, in Unix time.
const FIRST: i64 = -62_167_219_200;
const LAST: i64 = 253_402_300_799;

impl ModTime {
    /// Whether the year is between 0 and 9999, outside of which there is no text form.
    #[must_use]
    pub fn is_representable(self) -> bool {
        (FIRST..=LAST).contains(&self.seconds)
    }

    /// Appends the text form; nothing when there is none.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        if !self.is_representable() {
            return;
        }
        let (year, month, day) = civil(self.seconds.div_euclid(SECONDS_PER_DAY));
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        digits(out, year, 4);
        out.push(b'-');
        digits(out, month, 2);
        out.push(b'-');
        digits(out, day, 2);
        out.push(b'T');
        digits(out, second / 3600, 2);
        out.push(b':');
        digits(out, second / 60 % 60, 2);
        out.push(b':');
        digits(out, second % 60, 2);
        if self.nanoseconds != 0 {
            out.push(b'.');
            digits(out, i64::from(self.nanoseconds), 9);
            while out.last() == Some(&b'0') {
                out.pop();
            }
        }
        out.push(b'Z');
    }

    /// Reads the text form back; `None` for anything that [`Self::write`] would not write.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (date, rest) = text.split_at_checked(19)?;
        let rest = rest.strip_suffix(b"Z")?;
        let number = |from: usize, to: usize| -> Option<i64> {
            date[from..to].iter().try_fold(0, |value, digit| {
                digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
            })
        };
        let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let second = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
        let mut nanoseconds = 0;
        if let Some(fraction) = rest.strip_prefix(b".") {
            if fraction.len() > 9 {
                return None;
            }
            for position in 0..9 {
                let digit = *fraction.get(position).unwrap_or(&b'0');
                let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
                nanoseconds = nanoseconds * 10 + u32::from(digit);
            }
        }
        let time = Self { seconds: days * SECONDS_PER_DAY + second, nanoseconds };
        let mut back = Vec::with_capacity(text.len());
        time.write(&mut back);
        (back == text).then_some(time)
    }
}

/// The text form; seconds since the epoch for years that have none.
impl fmt::Display for ModTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(30);
        self.write(&mut text);
        match std::str::from_utf8(&text) {
            Ok(text) if !text.is_empty() => f.write_str(text),
            _ => write!(f, "@{}", self.seconds),
        }
    }
}

/// The last `count` decimal digits of a number that is not negative, at most nine.
fn digits(out: &mut Vec<u8>, value: i64, count: usize) {
    // A million times of a layer are printed: no division of 64 bits, no byte pushed alone.
    let mut left = value.unsigned_abs() as u32;
    let mut text = [b'0'; 9];
    for digit in text[..count].iter_mut().rev() {
        *digit += (left % 10) as u8;
        left /= 10;
    }
    out.extend_from_slice(&text[..count]);
}

/// Year, month and day of a day number counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day is a year's last (the usual reckoning by eras
/// of 400 years, 146 097 days).
fn civil(days: i64) -> (i64, i64, i64) {
    let from_march_0 = days + 719_468;
    let era = from_march_0.div_euclid(146_097);
    let day_of_era = from_march_0.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seconds: i64, nanoseconds: u32) -> String {
        let mut out = Vec::new();
        ModTime { seconds, nanoseconds }.write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn as_go_prints_them() {
        for (seconds, nanoseconds, expected) in [
            (1_700_000_000, 0, "2023-11-14T22:13:20Z"),
            (1_700_000_000, 500_000_000, "2023-11-14T22:13:20.5Z"),
            (0, 1, "1970-01-01T00:00:00.000000001Z"),
            (-2, 500_000_000, "1969-12-31T23:59:58.5Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (FIRST, 0, "0000-01-01T00:00:00Z"),
            (FIRST - 1, 0, ""),
            (LAST, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
            (LAST + 1, 0, ""),
            (i64::MIN, 0, ""),
            (i64::MAX, 0, ""),
        ] {
            assert_eq!(text(seconds, nanoseconds), expected);
        }
    }

    #[test]
    fn every_day_reads_back() {
        for day in (FIRST / SECONDS_PER_DAY)..=(LAST / SECONDS_PER_DAY) {
            let time = ModTime { seconds: day * SECONDS_PER_DAY + 3661, nanoseconds: 0 };
            let mut out = Vec::new();
            time.write(&mut out);
            assert_eq!(ModTime::parse(&out), Some(time));
        }
    }

    #[test]
    fn refuses_other_forms() {
        for other in [
            "",
            "2023-11-14T22:13:20",
            "2023-11-14T22:13:20+01:00",
            "2023-11-14T22:13:20.50Z",
            "2023-02-30T00:00:00Z",
            "2023-11-14T22:13:20.zzzzzzzzzZ",
        ] {
            assert_eq!(ModTime::parse(other.as_bytes()), None, "{other}");
        }
    }
}
