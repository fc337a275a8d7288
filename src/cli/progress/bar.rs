//! Text that fits: cut names, bars.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

use crate::cli::show::columns;

/// Hexadecimal digits of a digest that people can still tell apart.
const SHORT_DIGEST: usize = 12;

/// `text` in at most `width` columns: whole if possible, else with short digests, else cut.
pub(super) fn fit(text: &str, width: usize) -> Cow<'_, str> {
    if columns(text) <= width {
        return Cow::Borrowed(text);
    }
    let mut short = short_digests(text);
    if columns(&short) > width {
        let dots = ".".repeat(width.min(2));
        let mut wide = columns(&short);
        while wide > width - dots.len() {
            wide -= short.pop().and_then(UnicodeWidthChar::width).unwrap_or(0);
        }
        short += &dots;
    }
    Cow::Owned(short)
}

/// `text` with digests cut to what people can tell apart.
pub(super) fn short_digests(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("sha256:") {
        let digits = start + "sha256:".len();
        let hex = rest[digits..].bytes().take_while(u8::is_ascii_hexdigit).count();
        out += &rest[..digits + hex.min(SHORT_DIGEST)];
        rest = &rest[digits + hex..];
    }
    out + rest
}

/// How much of `total` is done, in whole percent; 100 only when all is.
pub(super) fn percent(current: u64, total: u64) -> u64 {
    match u128::from(current.min(total)) * 100 / u128::from(total.max(1)) {
        _ if total == 0 => 100,
        percent => percent as u64,
    }
}

/// A bar of `width` columns, for example `[====>     ]`.
pub(super) fn draw(current: u64, total: u64, width: usize) -> String {
    let inside = width.saturating_sub(2);
    let full = inside * percent(current, total) as usize / 100;
    let head = if full < inside { ">" } else { "" };
    format!("[{}{head}{:space$}]", "=".repeat(full), "", space = inside - full - head.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_to_fit() {
        let digest = "0123456789abcdef".repeat(4);
        let name = format!("[scan 1/2] linux/amd64 sha256:{digest}");
        let short = "[scan 1/2] linux/amd64 sha256:0123456789ab";
        assert_eq!(fit(&name, 94), name);
        assert_eq!(fit(&name, 93), short);
        assert_eq!(fit(&name, 42), short);
        assert_eq!(fit(&name, 20), "[scan 1/2] linux/a..");
        assert_eq!(fit("ab", 1), ".");
        assert_eq!(fit("ab", 0), "");
        assert_eq!(fit("世界世界", 7), "世界..");
        assert_eq!(columns("世界a"), 5);
        assert_eq!(short_digests("sha256: sha256:zz"), "sha256: sha256:zz");
    }

    #[test]
    fn bars() {
        for (current, total, bar) in [
            (0, 100, "[>         ]"),
            (50, 100, "[=====>    ]"),
            (99, 100, "[=========>]"),
            (100, 100, "[==========]"),
            (200, 100, "[==========]"),
            (0, 0, "[==========]"),
            (u64::MAX, u64::MAX, "[==========]"),
        ] {
            assert_eq!(draw(current, total, 12), bar, "{current}/{total}");
        }
        assert_eq!(draw(1, 2, 0), "[]");
    }
}
