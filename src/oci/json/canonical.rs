//! Documents in the form in which Go's `encoding/json` writes the OCI structs: the reference's form
//! (`soci-formats` 5.1), which its reader demands of a SOCI index.
//!
//! The reference drops members it does not know; here they are kept, behind the known ones and in
//! their order, as nothing of a foreign document may get lost.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::schema::Shape;
use super::{elements, members, parse_string, write_string};

pub use super::schema::{DESCRIPTOR, INDEX, MANIFEST, PLATFORM, Schema};

/// Writes the object `text` in the form of `schema`.
///
/// # Errors
/// When `text` is no object, or a known member is of another kind than the schema says.
pub fn encode(text: &str, schema: &Schema) -> Result<String, serde_json::Error> {
    let mut out = String::with_capacity(text.len());
    write_struct(&mut out, text, schema)?;
    Ok(out)
}

fn write_struct(out: &mut String, text: &str, schema: &Schema) -> Result<(), serde_json::Error> {
    let object = members(text)?;
    let known = |name: &str| schema.0.iter().any(|field| field.name == name);
    let start = out.len();
    for field in schema.0 {
        let member = object.iter().find(|member| member.name == field.name);
        let value = member.map(|member| member.value).filter(|value| *value != "null");
        let place = out.len();
        out.push(if place == start { '{' } else { ',' });
        write_string(out, field.name);
        out.push(':');
        let empty = match value {
            Some(value) => write_value(out, value, field.shape)?,
            None => true,
        };
        match (empty, field.absent) {
            (true, None) => out.truncate(place),
            (true, Some(absent)) if value.is_none() => out.push_str(absent),
            _ => {}
        }
    }
    for member in object.iter().filter(|member| !known(&member.name)) {
        out.push(if out.len() == start { '{' } else { ',' });
        write_string(out, &member.name);
        out.push(':');
        out.push_str(&compact(member.value));
    }
    if out.len() == start {
        out.push('{');
    }
    out.push('}');
    Ok(())
}

/// Writes a value; tells whether Go would call it empty.
fn write_value(out: &mut String, value: &str, shape: Shape) -> Result<bool, serde_json::Error> {
    match shape {
        // Only for documents that are read and never written.
        Shape::Any => {
            out.push_str(&compact(value));
            Ok(false)
        }
        Shape::Integer => {
            let number: serde_json::Number = serde_json::from_str(value)?;
            out.push_str(value);
            Ok(number.as_u64() == Some(0))
        }
        Shape::Text | Shape::Bytes => {
            let text = parse_string(value)?;
            write_string(out, &text);
            Ok(text.is_empty())
        }
        Shape::Texts => {
            let list: Vec<String> = serde_json::from_str(value)?;
            write_list(out, &list, |out, text| {
                write_string(out, text);
                Ok(())
            })?;
            Ok(list.is_empty())
        }
        Shape::Map => {
            // Unlike field names, keys of a map differ by case; of equal ones the last counts, as in Go. A `null`
            // value is the empty string there.
            let pairs: BTreeMap<String, Option<String>> = serde_json::from_str(value)?;
            out.push('{');
            for (index, (name, text)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, name);
                out.push(':');
                write_string(out, text.as_deref().unwrap_or_default());
            }
            out.push('}');
            Ok(pairs.is_empty())
        }
        Shape::Struct(schema) => {
            write_struct(out, value, schema)?;
            Ok(false)
        }
        Shape::Structs(schema) => {
            let list = elements(value)?;
            write_list(out, &list, |out, element| write_struct(out, element.value, schema))?;
            Ok(list.is_empty())
        }
    }
}

fn write_list<T>(
    out: &mut String,
    list: &[T],
    mut write: impl FnMut(&mut String, &T) -> Result<(), serde_json::Error>,
) -> Result<(), serde_json::Error> {
    out.push('[');
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item)?;
    }
    out.push(']');
    Ok(())
}

/// A valid JSON text without white space between tokens.
fn compact(text: &str) -> Cow<'_, str> {
    if !text.contains([' ', '\n', '\r', '\t']) {
        return Cow::Borrowed(text);
    }
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        if !in_string && c.is_ascii_whitespace() {
            continue;
        }
        in_string ^= c == '"' && !escaped;
        escaped = in_string && c == '\\' && !escaped;
        out.push(c);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_members_in_order_unknown_ones_kept() {
        let text = r#"{ "annotations": {"b":"<2>","a":"1"}, "x-mine": { "k" : [1, "a \" b"] },
            "layers":[{"size":3,"digest":"d","mediaType":"m","urls":[],"data":"","z":1e2}],
            "config": {"mediaType":"c","size":0,"digest":"e"}, "schemaVersion": 2, "mediaType": "t" }"#;
        assert_eq!(
            encode(text, &MANIFEST).expect("valid"),
            concat!(
                r#"{"schemaVersion":2,"mediaType":"t","config":{"mediaType":"c","digest":"e","size":0},"#,
                r#""layers":[{"mediaType":"m","digest":"d","size":3,"z":1e2}],"#,
                r#""annotations":{"a":"1","b":"\u003c2\u003e"},"x-mine":{"k":[1,"a \" b"]}}"#
            )
        );
    }

    #[test]
    fn absent_members_as_go_writes_them() {
        assert_eq!(
            encode(r#"{"layers":null,"annotations":{},"mediaType":""}"#, &MANIFEST).expect("valid"),
            r#"{"schemaVersion":0,"config":{"mediaType":"","digest":"","size":0},"layers":null}"#
        );
        assert_eq!(
            encode(r#"{"manifests":[]}"#, &INDEX).expect("valid"),
            r#"{"schemaVersion":0,"manifests":[]}"#
        );
    }

    #[test]
    fn is_idempotent_and_refuses_other_kinds() {
        let once = encode(
            r#"{"schemaVersion":2,"manifests":[{"platform":{"os":"linux","features":["x"]}}]}"#,
            &INDEX,
        )
        .expect("valid");
        assert_eq!(encode(&once, &INDEX).expect("valid"), once);
        assert!(once.contains(r#""platform":{"architecture":"","os":"linux","features":["x"]}"#));
        for bad in [r#"{"manifests":{}}"#, r#"{"mediaType":1}"#, r#"{"annotations":[]}"#] {
            assert!(encode(bad, &INDEX).is_err(), "{bad}");
        }
    }
}
