//! Changes to a JSON text that touch nothing else: white space, order, escapes and unknown members of
//! everything around them stay byte for byte.

use std::ops::Range;

use super::{elements, members, string};

type Result<T> = std::result::Result<T, serde_json::Error>;

/// Sets the member `name` of the object `text` to the JSON text `value`, in its place or behind the
/// last member.
///
/// # Errors
/// When `text` is no object.
pub fn set_member(text: &str, name: &str, value: &str) -> Result<String> {
    let object = members(text)?;
    if let Some(member) = object.iter().find(|member| member.name == name) {
        return Ok(splice(text, member.range.clone(), value));
    }
    let name = string(name);
    Ok(if let Some(last) = object.last() {
        // The new member is set off as the last one is.
        let before = object.len().checked_sub(2).map_or(0, |i| object[i].range.end);
        let gap = gap_before(text, before);
        let colon = gap_after_colon(text, last.range.start);
        let end = last.range.end;
        splice(text, end..end, &format!(",{gap}{name}:{colon}{value}"))
    } else {
        let open = text.find('{').map_or(0, |at| at + 1);
        splice(text, open..open, &format!("{name}:{value}"))
    })
}

/// Removes the member `name` of the object `text`, if it is there.
///
/// # Errors
/// When `text` is no object.
pub fn remove_member(text: &str, name: &str) -> Result<String> {
    let object = members(text)?;
    let Some(index) = object.iter().position(|member| member.name == name) else {
        return Ok(text.to_owned());
    };
    let range = match (index.checked_sub(1), object.get(index + 1)) {
        (Some(previous), _) => object[previous].range.end..object[index].range.end,
        (None, Some(_)) => {
            let key = quote_from(text, 0);
            key..quote_from(text, object[index].range.end)
        }
        (None, None) => quote_from(text, 0)..object[index].range.end,
    };
    Ok(splice(text, range, ""))
}

/// What becomes of an element of an array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Edit {
    /// It stays as it is.
    #[default]
    Keep,
    /// Another text takes its place.
    Replace(String),
    /// It goes.
    Remove,
}

impl From<Option<String>> for Edit {
    /// The new text, if there is one.
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Keep, Self::Replace)
    }
}

/// Edits elements of the array `text` by position and appends others; those without an edit stay.
///
/// # Errors
/// When `text` is no array.
pub fn edit_array(text: &str, edits: &[Edit], appended: &[String]) -> Result<String> {
    let list = elements(text)?;
    let open = text.find('[').map_or(0, |at| at + 1);
    let close = text.rfind(']').unwrap_or(text.len());
    let first_gap = list.first().map_or("", |first| &text[open..first.range.start]);
    let next_gap = match list.as_slice() {
        [.., before, last] => between(&text[before.range.end..last.range.start]),
        _ => first_gap,
    };
    let tail = list.last().map_or(&text[open..close], |last| &text[last.range.end..close]);
    let mut out = text[..open].to_owned();
    let mut previous: Option<usize> = None;
    let mut empty = true;
    for (index, element) in list.iter().enumerate() {
        let value = match edits.get(index) {
            Some(Edit::Remove) => continue,
            Some(Edit::Replace(value)) => value,
            Some(Edit::Keep) | None => element.value,
        };
        if empty {
            out.push_str(first_gap);
        } else if previous == index.checked_sub(1) {
            out.push_str(&text[list[index - 1].range.end..element.range.start]);
        } else {
            out.push(',');
            out.push_str(next_gap);
        }
        out.push_str(value);
        previous = Some(index);
        empty = false;
    }
    for value in appended {
        if !empty {
            out.push(',');
        }
        out.push_str(if empty { first_gap } else { next_gap });
        out.push_str(value);
        empty = false;
    }
    out.push_str(tail);
    out.push_str(&text[close..]);
    Ok(out)
}

/// What stands between two values besides their comma.
fn between(gap: &str) -> &str {
    gap.split_once(',').map_or(gap, |(_, after)| after)
}

fn splice(text: &str, range: Range<usize>, value: &str) -> String {
    let mut out = text.to_owned();
    out.replace_range(range, value);
    out
}

/// White space between `from` (behind a value, or an object's start) and the next name.
fn gap_before(text: &str, from: usize) -> &str {
    let gap = &text[from..quote_from(text, from)];
    gap.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '{')
        .strip_prefix(',')
        .unwrap_or(gap.split_once('{').map_or(gap, |(_, after)| after))
}

fn gap_after_colon(text: &str, value_start: usize) -> &str {
    let before = &text[..value_start];
    &before[before.trim_ascii_end().len()..]
}

fn quote_from(text: &str, from: usize) -> usize {
    text[from..].find('"').map_or(text.len(), |at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_set_and_removed_in_place() {
        let compact = r#"{"a":1,"b":{"c":2},"d":3}"#;
        let indented = "{\n  \"a\": 1,\n  \"b\": 2\n}\n";
        let one = "{\n  \"a\": 1\n}";
        for (result, expected) in [
            (set_member(compact, "b", "7"), r#"{"a":1,"b":7,"d":3}"#),
            (set_member(compact, "e", "7"), r#"{"a":1,"b":{"c":2},"d":3,"e":7}"#),
            (set_member("{}", "e", "7"), r#"{"e":7}"#),
            (set_member(indented, "c", "3"), "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n"),
            (set_member(one, "c", "3"), "{\n  \"a\": 1,\n  \"c\": 3\n}"),
            (remove_member(compact, "a"), r#"{"b":{"c":2},"d":3}"#),
            (remove_member(compact, "b"), r#"{"a":1,"d":3}"#),
            (remove_member(compact, "d"), r#"{"a":1,"b":{"c":2}}"#),
            (remove_member(compact, "x"), compact),
            (remove_member(r#"{"a":1}"#, "a"), "{}"),
            (remove_member(indented, "a"), "{\n  \"b\": 2\n}\n"),
        ] {
            assert_eq!(result.expect("valid"), expected);
        }
    }

    #[test]
    fn arrays_keep_their_style() {
        use Edit::{Keep, Remove};
        let new = |text: &str| Edit::Replace(text.to_owned());
        for (text, edits, appended, expected) in [
            ("[1,2,3]", vec![Keep, new("9"), Keep], vec!["4"], "[1,9,3,4]"),
            ("[1,2,3]", vec![Remove, Keep, Remove], vec![], "[2]"),
            ("[1,2,3]", vec![new("\"\"")], vec![], "[\"\",2,3]"),
            ("[1 , 2]", vec![Keep, Keep], vec![], "[1 , 2]"),
            ("[\n 1,\n 2\n]", vec![Keep, Keep], vec!["3"], "[\n 1,\n 2,\n 3\n]"),
            ("[\n 1\n]", vec![Keep], vec!["3"], "[\n 1,\n 3\n]"),
            ("[\n 1,\n 2\n]", vec![Remove, Keep], vec!["3"], "[\n 2,\n 3\n]"),
            ("[]", vec![], vec!["1", "2"], "[1,2]"),
            ("[1]", vec![Remove], vec![], "[]"),
        ] {
            let appended: Vec<String> = appended.into_iter().map(str::to_owned).collect();
            assert_eq!(edit_array(text, &edits, &appended).expect("valid"), expected);
        }
    }
}
