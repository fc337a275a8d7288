//! Reports as JSON, safe to look at on a terminal.

use serde::Serialize;

use super::escape;

/// The word that an enum has in JSON.
pub(crate) fn word(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("plain values");
    text.trim_matches('"').to_owned()
}

/// One document over several lines, with the end of the last. Plain values can always be written.
pub(crate) fn document(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).expect("plain values");
    escape::json(&text).into_owned() + "\n"
}

/// One value on a line, without its end.
pub(crate) fn line(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("plain values");
    escape::json(&text).into_owned()
}
