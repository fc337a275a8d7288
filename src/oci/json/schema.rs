//! Which members the documents have, by the Go structs that everybody reads them into, and the one rule for
//! names.
//!
//! Go's decoder takes a member for a field also when only the case of its name differs (`Layers`), or when it
//! is spelt with U+017F for `s` or U+212A for `k`, and of several it takes the last. Readers in other languages
//! do not, so such a document would be two images. Here a name counts exactly as it is spelt, and [`check`]
//! refuses a document in which Go would see another one. It also refuses values of a kind that Go refuses.
//! Names in free maps (annotations, labels) and names that no struct has are not fields: they may be
//! what they like.

use std::collections::HashMap;
use std::fmt;

use super::excerpt::excerpt;
use super::view::{Member, all_members, elements};

/// Kind of a known value. `null` stands for an absent one of any kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Whatever it is, it decides nothing.
    Any,
    /// A whole number of 64 bits.
    Integer,
    /// A string.
    Text,
    /// A string of base64.
    Bytes,
    /// An array of strings.
    Texts,
    /// An object of strings, sorted by name when it is written.
    Map,
    /// A struct.
    Struct(&'static Schema),
    /// An array of structs.
    Structs(&'static Schema),
}

/// A Go struct: fields in their order.
#[derive(Debug)]
pub struct Schema(pub(super) &'static [Field]);

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// Written when the document does not have the field; `None` for `omitempty`.
    pub(super) absent: Option<&'static str>,
}

const fn required(name: &'static str, shape: Shape, absent: &'static str) -> Field {
    Field { name, shape, absent: Some(absent) }
}

const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, absent: None }
}

/// `Platform` of image-spec 1.1.1.
pub static PLATFORM: Schema = Schema(&[
    required("architecture", Shape::Text, "\"\""),
    required("os", Shape::Text, "\"\""),
    optional("os.version", Shape::Text),
    optional("os.features", Shape::Texts),
    optional("variant", Shape::Text),
]);

/// `Descriptor` of image-spec 1.1.1.
pub static DESCRIPTOR: Schema = Schema(&[
    required("mediaType", Shape::Text, "\"\""),
    required("digest", Shape::Text, "\"\""),
    required("size", Shape::Integer, "0"),
    optional("urls", Shape::Texts),
    optional("annotations", Shape::Map),
    optional("data", Shape::Bytes),
    optional("platform", Shape::Struct(&PLATFORM)),
    optional("artifactType", Shape::Text),
]);

const EMPTY_DESCRIPTOR: &str = r#"{"mediaType":"","digest":"","size":0}"#;

/// `Manifest` of image-spec 1.1.1.
pub static MANIFEST: Schema = Schema(&[
    required("schemaVersion", Shape::Integer, "0"),
    optional("mediaType", Shape::Text),
    optional("artifactType", Shape::Text),
    required("config", Shape::Struct(&DESCRIPTOR), EMPTY_DESCRIPTOR),
    required("layers", Shape::Structs(&DESCRIPTOR), "null"),
    optional("subject", Shape::Struct(&DESCRIPTOR)),
    optional("annotations", Shape::Map),
]);

/// `Index` of image-spec 1.1.1.
pub static INDEX: Schema = Schema(&[
    required("schemaVersion", Shape::Integer, "0"),
    optional("mediaType", Shape::Text),
    optional("artifactType", Shape::Text),
    required("manifests", Shape::Structs(&DESCRIPTOR), "null"),
    optional("subject", Shape::Struct(&DESCRIPTOR)),
    optional("annotations", Shape::Map),
]);

/// `Image` of image-spec 1.1.1, an image's configuration. Docker's has more members and, in `config`, other kinds
/// of values (an entry point may be a string); only those that decide what is pulled are checked.
pub(crate) static CONFIG: Schema = Schema(&[
    optional("created", Shape::Any),
    optional("author", Shape::Any),
    required("architecture", Shape::Text, "\"\""),
    optional("variant", Shape::Text),
    required("os", Shape::Text, "\"\""),
    optional("os.version", Shape::Text),
    optional("os.features", Shape::Texts),
    optional("config", Shape::Struct(&EXECUTION)),
    required("rootfs", Shape::Struct(&ROOTFS), r#"{"type":"","diff_ids":null}"#),
    optional("history", Shape::Structs(&HISTORY)),
]);

static EXECUTION: Schema = Schema(&[
    optional("User", Shape::Any),
    optional("ExposedPorts", Shape::Any),
    optional("Env", Shape::Any),
    optional("Entrypoint", Shape::Any),
    optional("Cmd", Shape::Any),
    optional("Volumes", Shape::Any),
    optional("WorkingDir", Shape::Any),
    optional("Labels", Shape::Any),
    optional("StopSignal", Shape::Any),
    optional("ArgsEscaped", Shape::Any),
]);

static ROOTFS: Schema =
    Schema(&[required("type", Shape::Text, "\"\""), required("diff_ids", Shape::Texts, "null")]);

static HISTORY: Schema = Schema(&[
    optional("created", Shape::Any),
    optional("created_by", Shape::Any),
    optional("author", Shape::Any),
    optional("comment", Shape::Any),
    optional("empty_layer", Shape::Any),
]);

/// `ImageLayout` of image-spec 1.1.1, the file `oci-layout`.
pub(crate) static LAYOUT: Schema = Schema(&[required("imageLayoutVersion", Shape::Text, "\"\"")]);

/// A prefetch artifact of a SOCI index (`soci-formats` 5.4).
pub(crate) static PREFETCH: Schema = Schema(&[
    required("version", Shape::Text, "\"\""),
    required("prefetch_spans", Shape::Structs(&PREFETCH_SPANS), "null"),
]);

static PREFETCH_SPANS: Schema = Schema(&[
    required("start_span", Shape::Integer, "0"),
    required("end_span", Shape::Integer, "0"),
]);

/// Deepest nesting that Go's decoder takes.
const MAX_NESTING: usize = 10_000;

/// Why a document is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// From the document's beginning, in bytes.
    pub offset: usize,
    /// For people.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.problem)
    }
}

impl std::error::Error for Mistake {}

/// Checks that `text`, which begins at byte `at` of its document, means the same to everybody who reads it into
/// the struct `schema`. The elements of its array `except` are left to a check of their own.
///
/// # Errors
/// The first mistake: no JSON object, a name that is nearly a field's, one that occurs twice, a value of another
/// kind.
pub(crate) fn check(
    text: &str,
    at: usize,
    schema: &Schema,
    except: Option<&str>,
) -> Result<(), Mistake> {
    if let Some(offset) = too_deep(text) {
        let problem = format!("it is nested more than {MAX_NESTING} levels deep");
        return Err(Mistake { offset: at + offset, problem });
    }
    structure(text, at, schema, except)
}

fn structure(text: &str, at: usize, schema: &Schema, except: Option<&str>) -> Result<(), Mistake> {
    let object = all_members(text).map_err(|error| Mistake {
        offset: at + place_of(text, &error),
        problem: match kind(text) {
            "an object" => without_place(&error),
            found => format!("expected an object, found {found}"),
        },
    })?;
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(object.len());
    for member in &object {
        let offset = at + member.name_at;
        if let Some(first) = seen.insert(&member.name, offset) {
            let name = excerpt(&member.name);
            let problem = format!("the member {name:?} occurs twice (first at byte {first})");
            return Err(Mistake { offset, problem });
        }
        let Some(field) = schema.field(&member.name, offset)? else { continue };
        let offset = at + member.range.start;
        match field.shape {
            Shape::Structs(_) if except == Some(field.name) => array(member.value, offset)?,
            shape => value(member, offset, shape)?,
        }
    }
    Ok(())
}

impl Schema {
    /// The field of this name. A name that Go would take for a field's is refused.
    fn field(&self, name: &str, offset: usize) -> Result<Option<&Field>, Mistake> {
        let mut fields = self.0.iter();
        if let Some(exact) = fields.clone().find(|field| field.name == name) {
            return Ok(Some(exact));
        }
        let Some(known) = fields.find(|field| folds(name, field.name)) else { return Ok(None) };
        let spelt = name.escape_default();
        let known = known.name;
        Err(Mistake {
            offset,
            problem: format!(
                "the member \"{spelt}\" is not \"{known}\", but programs in Go take it for that"
            ),
        })
    }
}

/// Whether Go's decoder takes `name` for the field `known`, which is ASCII: no other letters than these fold
/// into ASCII ones.
fn folds(name: &str, known: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    // The length first, since names can be long: either letter has up to three bytes.
    name.len() <= 3 * known.len() && name.chars().map(fold).eq(known.chars().map(fold))
}

/// Which of these names Go's decoder would find in the object that `text` is; none in what is no object.
pub(crate) fn fields_like<'a>(text: &str, known: &[&'a str]) -> Vec<&'a str> {
    let object = all_members(text).unwrap_or_default();
    let has = |known: &&&str| object.iter().any(|member| folds(&member.name, known));
    known.iter().filter(has).copied().collect()
}

fn value(member: &Member<'_>, at: usize, shape: Shape) -> Result<(), Mistake> {
    let text = member.value;
    let wrong = |offset: usize, expected: &str, found: &str| {
        let name = &member.name;
        let problem = format!("{name:?}: expected {expected}, found {}", excerpt(found));
        Err(Mistake { offset, problem })
    };
    if text == "null" {
        return Ok(());
    }
    match shape {
        Shape::Any => Ok(()),
        Shape::Struct(schema) => structure(text, at, schema, None),
        Shape::Integer if text.parse::<i64>().is_ok() => Ok(()),
        Shape::Integer => {
            let found = if kind(text) == "a number" { text } else { kind(text) };
            wrong(at, "a whole number of 64 bits without fraction or exponent", found)
        }
        Shape::Text | Shape::Bytes => match super::parse_string(text) {
            Ok(found) if matches!(shape, Shape::Bytes) && !is_base64(&found) => {
                wrong(at, "base64 with padding", "something else")
            }
            Ok(_) => Ok(()),
            Err(_) if text.starts_with('"') => wrong(at, "text", "half of a surrogate pair"),
            Err(_) => wrong(at, "a string", kind(text)),
        },
        Shape::Texts | Shape::Structs(_) => {
            let Ok(list) = elements(text) else { return wrong(at, "an array", kind(text)) };
            for element in &list {
                let at = at + element.range.start;
                match shape {
                    Shape::Structs(schema) if element.value != "null" => {
                        structure(element.value, at, schema, None)?;
                    }
                    Shape::Texts
                        if element.value != "null"
                            && super::parse_string(element.value).is_err() =>
                    {
                        return wrong(at, "strings", kind(element.value));
                    }
                    _ => {}
                }
            }
            Ok(())
        }
        Shape::Map => {
            let Ok(map) = all_members(text) else { return wrong(at, "an object", kind(text)) };
            let mut seen = std::collections::HashSet::with_capacity(map.len());
            for entry in &map {
                if !seen.insert(&entry.name) {
                    let name = excerpt(&entry.name);
                    let problem = format!("the member {name:?} occurs twice");
                    return Err(Mistake { offset: at + entry.name_at, problem });
                }
                if entry.value != "null" && super::parse_string(entry.value).is_err() {
                    return wrong(at + entry.range.start, "strings", kind(entry.value));
                }
            }
            Ok(())
        }
    }
}

fn array(text: &str, at: usize) -> Result<(), Mistake> {
    if text == "null" || text.starts_with('[') {
        return Ok(());
    }
    let problem = format!("expected an array, found {}", kind(text));
    Err(Mistake { offset: at, problem })
}

/// What a JSON value is, by its first character.
fn kind(value: &str) -> &'static str {
    match value.trim_ascii_start().bytes().next() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        Some(_) => "no JSON",
        None => "nothing",
    }
}

/// As Go decodes `[]byte`: the standard alphabet with padding; line ends are passed over.
fn is_base64(text: &str) -> bool {
    let text: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &text[..text.len() - padding];
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.len().is_multiple_of(4) && padding <= 2 && digits.iter().all(known)
}

/// Where the nesting exceeds what Go takes.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_NESTING {
                    return Some(at);
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// The place of an error in its text, in bytes; the parser tells lines and columns.
fn place_of(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let before: usize = lines.map(str::len).sum();
    (before + error.column().saturating_sub(1)).min(text.len())
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    excerpt(text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, schema: &Schema) -> String {
        check(text, 0, schema, None).expect_err(text).to_string()
    }

    #[test]
    fn names_that_go_takes_for_others_are_refused() {
        for (name, known) in [
            ("Layers", "layers"),
            ("LAYERS", "layers"),
            ("layer\u{17f}", "layers"),
            ("layer\\u017F", "layers"),
            ("\\u004cayers", "layers"),
            ("Config", "config"),
            ("mediatype", "mediaType"),
            ("\u{17f}ubject", "subject"),
        ] {
            let text = format!("{{\"schemaVersion\":2,\n \"{name}\":[]}}");
            let message = refused(&text, &MANIFEST);
            assert!(message.starts_with("at byte 21: "), "{message}");
            assert!(message.contains(&format!("not \"{known}\"")), "{message}");
        }
        let message = refused("{\"layer\u{17f}\":1}", &MANIFEST);
        assert!(message.contains("\"layer\\u{17f}\" is not \"layers\""), "{message}");
        for (text, at, known) in [
            (r#"{"layers":[{"size":1},{"Digest":""}]}"#, 23, "digest"),
            (r#"{"subject":{"platform":{"OS":"x"}}}"#, 24, "os"),
            (r#"{"config":{"Data":""}}"#, 11, "data"),
        ] {
            let message = refused(text, &MANIFEST);
            assert!(message.starts_with(&format!("at byte {at}: ")), "{message}");
            assert!(message.contains(known), "{message}");
        }
        for text in [
            r#"{"rootf\u017f":{}}"#,
            r#"{"rootfs":{"Diff_IDs":[]}}"#,
            r#"{"config":{"entrypoint":[]}}"#,
            r#"{"config":{"WorKingDir":""}}"#,
        ] {
            assert!(refused(text, &CONFIG).contains("programs in Go"));
        }
    }

    #[test]
    fn other_names_are_free() {
        for text in [
            r#"{"x":1,"X":2,"lay ers":3,"layers ":4,"l\u0061yers":[],"ſ":5,"ß":6}"#,
            r#"{"annotations":{"x":"1","X":"2","Config":"3","":"4","k":null}}"#,
            r#"{"layers":null,"config":null,"annotations":null,"mediaType":null,"schemaVersion":null}"#,
            " \n{}\t ",
        ] {
            assert_eq!(check(text, 0, &MANIFEST, None), Ok(()), "{text}");
        }
        let text =
            r#"{"config":{"Labels":{"a":"1","A":"2"},"Volumes":{"/x":{},"/X":{}},"Cmd":"sh"}}"#;
        assert_eq!(check(text, 0, &CONFIG, None), Ok(()));
    }

    #[test]
    fn what_go_refuses_or_takes_otherwise_is_refused() {
        for text in [
            "",
            "[]",
            "null",
            "{} {}",
            "{\"a\":}",
            "\u{feff}{}",
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"annotations":{"a":"1","a":"2"}}"#,
            r#"{"annotations":{"a":1}}"#,
            r#"{"annotations":[]}"#,
            r#"{"layers":{}}"#,
            r#"{"layers":[1]}"#,
            r#"{"config":"x"}"#,
            r#"{"mediaType":1}"#,
            r#"{"mediaType":"\ud800"}"#,
            r#"{"schemaVersion":2.0}"#,
            r#"{"config":{"size":1e2}}"#,
            r#"{"config":{"size":9223372036854775808}}"#,
            r#"{"config":{"data":"?"}}"#,
            r#"{"config":{"data":"e30"}}"#,
            r#"{"config":{"urls":"x"}}"#,
        ] {
            assert!(check(text, 0, &MANIFEST, None).is_err(), "{text}");
        }
        let deep = |depth| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(&deep(MAX_NESTING - 1), 0, &MANIFEST, None), Ok(()));
        assert!(refused(&deep(MAX_NESTING), &MANIFEST).contains("nested"));
    }
}
