//! Editing foreign JSON: ranges lead to the values, edits change what they are asked to and no byte
//! beside it, and the canonical form is its own canonical form.
//!
//! The document is the text before the first NUL; a name and a value for edits may follow, each behind
//! a NUL.

use soci_layout::json::canonical::{DESCRIPTOR, INDEX, MANIFEST, PLATFORM, encode};
use soci_layout::json::edit::{Edit, edit_array, remove_member, set_member};
use soci_layout::json::{Member, elements, members, parse_string, string};

/// See the module.
pub fn check(data: &[u8]) {
    let Ok(input) = std::str::from_utf8(data) else { return };
    let mut parts = input.splitn(3, '\0');
    let text = parts.next().unwrap_or_default();
    let name = parts.next().unwrap_or("manifests");
    // Only a value is put in; `[…]` makes the reader check that it is one, and only one.
    let value = parts.next().unwrap_or("[]");
    let value = match elements(&format!("[{value}]")) {
        Ok(list) if list.len() == 1 => value.trim(),
        _ => "null",
    };
    if let Ok(object) = members(text) {
        check_members(text, &object, name, value);
    }
    check_elements(text, value);
    for schema in [&DESCRIPTOR, &INDEX, &MANIFEST, &PLATFORM] {
        if let Ok(once) = encode(text, schema) {
            let twice = encode(&once, schema).unwrap_or_else(|error| panic!("{error}: {once}"));
            assert_eq!(once, twice);
        }
    }
    let quoted = string(text);
    assert_eq!(parse_string(&quoted).ok().as_deref(), Some(text));
}

fn check_members(text: &str, object: &[Member<'_>], name: &str, value: &str) {
    let mut end = 0;
    for member in object {
        assert_eq!(&text[member.range.clone()], member.value);
        assert!(member.range.start > end, "values stand in order");
        end = member.range.end;
    }
    let other_case =
        object.iter().any(|member| member.name != name && member.name.eq_ignore_ascii_case(name));
    let set = set_member(text, name, value).expect("an object");
    if other_case {
        // Nobody could say what such a document means; the reader refuses it, see `members`.
        return;
    }
    let after = members(&set).unwrap_or_else(|error| panic!("{error}: {set}"));
    let found = after.iter().find(|member| member.name == name).map(|member| member.value);
    assert_eq!(found, Some(value));
    others_stay(object, &after, name);
    assert_eq!(set_member(&set, name, value).expect("an object"), set, "idempotent");
    let removed = remove_member(&set, name).expect("an object");
    let after = members(&removed).unwrap_or_else(|error| panic!("{error}: {removed}"));
    assert!(after.iter().all(|member| member.name != name));
    others_stay(object, &after, name);
    assert_eq!(remove_member(&removed, name).expect("an object"), removed, "idempotent");
    if object.iter().all(|member| member.name != name) {
        // What was put behind everything goes without a trace.
        let compact = object.is_empty();
        assert!(compact || removed == text, "{removed:?}");
    }
}

/// All members but `name` have their values byte for byte, in their order.
fn others_stay(before: &[Member<'_>], after: &[Member<'_>], name: &str) {
    let others = |list: &[Member<'_>]| -> Vec<(String, String)> {
        list.iter()
            .filter(|member| member.name != name)
            .map(|member| (member.name.to_string(), member.value.to_owned()))
            .collect()
    };
    assert_eq!(others(before), others(after));
}

fn check_elements(text: &str, value: &str) {
    let Ok(list) = elements(text) else { return };
    let values: Vec<&str> = list.iter().map(|element| element.value).collect();
    for element in &list {
        assert_eq!(&text[element.range.clone()], element.value);
    }
    assert_eq!(edit_array(text, &[], &[]).expect("an array"), text, "nothing to do");
    // Every third is replaced, every fifth removed.
    let edits: Vec<Edit> = (0..values.len())
        .map(|index| match index {
            index if index % 3 == 0 => Edit::Replace(value.to_owned()),
            index if index % 5 == 0 => Edit::Remove,
            _ => Edit::Keep,
        })
        .collect();
    let edited = edit_array(text, &edits, &[value.to_owned()]).expect("an array");
    let after = elements(&edited).unwrap_or_else(|error| panic!("{error}: {edited}"));
    let expected: Vec<&str> = values
        .iter()
        .zip(&edits)
        .filter_map(|(old, edit)| match edit {
            Edit::Remove => None,
            Edit::Replace(new) => Some(new.as_str()),
            Edit::Keep => Some(*old),
        })
        .chain([value])
        .collect();
    let after: Vec<&str> = after.iter().map(|element| element.value).collect();
    assert_eq!(after, expected);
    let removed = vec![Edit::Remove; values.len()];
    let empty = edit_array(text, &removed, &[]).expect("an array");
    assert!(elements(&empty).is_ok_and(|list| list.is_empty()), "{empty}");
}
