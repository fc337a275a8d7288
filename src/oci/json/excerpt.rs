//! Foreign text in messages is cut: a digest of 30 MB says no more than its beginning.

use std::borrow::Cow;

/// Longest text that is told whole, in bytes.
const MAX_TOLD: usize = 240;

/// `text`, or its beginning and how long it is.
#[must_use]
pub fn excerpt(text: &str) -> Cow<'_, str> {
    cut(text, MAX_TOLD)
}

/// As [`excerpt`], with another limit in bytes.
#[must_use]
pub fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(limit * 2 / 3);
    Cow::Owned(format!("{}… ({} bytes)", &text[..end], text.len()))
}

#[cfg(test)]
mod tests {
    use super::{MAX_TOLD, excerpt};

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(excerpt(&"x".repeat(MAX_TOLD)), "x".repeat(MAX_TOLD));
        let cut = excerpt(&"ü".repeat(1 << 20)).into_owned();
        assert!(cut.len() < MAX_TOLD && cut.ends_with("ü… (2097152 bytes)"), "{cut}");
    }
}
