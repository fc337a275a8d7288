//! Numbers as text.

use super::size::Bytes;

/// `1 span`, `2 spans`.
pub(in crate::cli) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `no findings`, `1 finding`.
pub(in crate::cli) fn findings(number: u64) -> String {
    if number == 0 { "no findings".to_owned() } else { count(number, "finding") }
}

/// What a zTOC has, behind its size.
pub(super) fn ztoc(size: u64, spans: u64, files: u64) -> String {
    format!("{}, {}, {}", Bytes(size), count(spans, "span"), count(files, "file"))
}

/// Bytes that are some of all.
pub(super) fn part(bytes: u64, of: u64) -> String {
    format!("{} of {} ({})", Bytes(bytes), Bytes(of), percent(bytes, of))
}

/// A share in percent: whole, but never 0 or 100 when it is not.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part >= whole {
        return if part == 0 { "0 %" } else { "100 %" }.to_owned();
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    match tenths {
        0 if part == 0 => "0 %".to_owned(),
        0..10 | 990.. => format!("{}.{} %", tenths / 10, tenths % 10),
        _ => format!("{} %", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares() {
        for (part, whole, text) in [
            (0, 0, "0 %"),
            (0, 5, "0 %"),
            (5, 5, "100 %"),
            (1, 3, "33 %"),
            (1, 1_000_000, "0.0 %"),
            (999, 1000, "99.9 %"),
            (u64::MAX - 1, u64::MAX, "99.9 %"),
        ] {
            assert_eq!(percent(part, whole), text);
        }
    }
}
