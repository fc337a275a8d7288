//! Names and messages hold foreign text: a reference name or a file name in a layer may carry terminal
//! control sequences or reorder what is read ("Trojan Source", CVE-2021-42574). They are escaped
//! wherever text goes to a terminal or a log, which cannot be told apart by a program.

use std::borrow::Cow;
use std::fmt::Write as _;

use soci_layout::json::{cut, excerpt};

/// Longest message in bytes. Lists of names and layers stay under it.
const MAX_MESSAGE: usize = 16 << 10;

/// Whether a character acts instead of being seen.
fn acts(c: char) -> bool {
    // Cc: C0, DEL and C1 (U+009B begins a control sequence on some terminals).
    c.is_control()
        || matches!(c,
            // Bidirectional marks, embeddings, overrides and isolates.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Invisible: soft hyphen, zero width space, (non-)joiners, word joiner, byte order mark, deprecated
            // formatting, interlinear annotation, tags.
            | '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` on one line, as Rust would write the characters that act: `\n`, `\u{1b}`.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    replace(text, |out, c| out.extend(c.escape_default()))
}

/// As [`text`], cut: for names and reasons that stand between others on a line.
pub(crate) fn label(foreign: &str) -> Cow<'_, str> {
    one_line(excerpt(foreign))
}

/// As [`text`], cut: for whole messages, whatever they quote.
pub(crate) fn message(foreign: &str) -> Cow<'_, str> {
    one_line(cut(foreign, MAX_MESSAGE))
}

fn one_line(cut: Cow<'_, str>) -> Cow<'_, str> {
    match cut {
        Cow::Borrowed(whole) => text(whole),
        Cow::Owned(cut) => Cow::Owned(text(&cut).into_owned()),
    }
}

/// A name of a file, which need not be UTF-8: like [`text`], with bytes that are no character as `\xff`.
pub(crate) fn bytes(name: &[u8]) -> Cow<'_, str> {
    if let Ok(name) = std::str::from_utf8(name) {
        return text(name);
    }
    let mut out = String::with_capacity(name.len() + 16);
    for chunk in name.utf8_chunks() {
        out.push_str(&text(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    Cow::Owned(out)
}

/// A finished JSON document with such characters as `\u` escapes, which leaves its value as it is:
/// outside of strings JSON has none but the line ends and tabs, which are kept.
pub(crate) fn json(document: &str) -> Cow<'_, str> {
    replace(document, |out, c| match c {
        '\n' | '\t' | '\r' => out.push(c),
        c => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    })
}

fn replace(text: &str, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            escape(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{bytes, json, text};

    #[test]
    fn only_what_acts_is_escaped() {
        for (from, to) in [
            ("", ""),
            ("docker.io/library/alpine:3", "docker.io/library/alpine:3"),
            ("Grüße 世界 🦀", "Grüße 世界 🦀"),
            ("C:\\n", "C:\\n"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\x1b[31mred\x07\x7f", "\\u{1b}[31mred\\u{7}\\u{7f}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("nimda\u{202e}", "nimda\\u{202e}"),
            ("a\u{2066}b\u{2028}c\u{feff}", "a\\u{2066}b\\u{2028}c\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(text(from), to);
        }
    }

    #[test]
    fn names_that_are_no_text() {
        assert_eq!(bytes(b"caf\xe9\x1b.txt"), "caf\\xe9\\u{1b}.txt");
        assert_eq!(bytes("café".as_bytes()), "café");
        assert_eq!(bytes(b"\xff\xfe\n"), "\\xff\\xfe\\n");
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({ "name": "a\u{7f}\u{202e}\u{e0041}\n世界" });
        let document = serde_json::to_string_pretty(&value).expect("a value");
        let escaped = json(&document);
        assert!(escaped.contains("a\\u007f\\u202e\\udb40\\udc41\\n世界"), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).expect("JSON"), value);
    }
}
