//! Strings of JSON documents.

use std::fmt::Write;

/// Appends `text` as a JSON string in the way of Go's `encoding/json` (`soci-formats` 5.1): `<`, `>`,
/// `&`, U+2028 and U+2029 are escaped besides what JSON demands, everything else is plain UTF-8.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Text takes what is written.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// `text` as a JSON string, see [`write_string`].
#[must_use]
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    out
}

/// Reads a JSON string value.
///
/// # Errors
/// When it is something else.
pub fn parse_string(raw: &str) -> Result<String, serde_json::Error> {
    serde_json::from_str(raw)
}

#[cfg(test)]
mod tests {
    use super::string;

    #[test]
    fn strings_as_go_writes_them() {
        assert_eq!(
            string("a<b>&\"\\\u{8}\u{c}\n\r\t\u{1}\u{7f}/ü\u{2028}\u{2029}😀"),
            "\"a\\u003cb\\u003e\\u0026\\\"\\\\\\b\\f\\n\\r\\t\\u0001\u{7f}/ü\\u2028\\u2029😀\""
        );
    }
}
