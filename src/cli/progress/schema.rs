//! Holds the JSON lines to the schema in `docs/progress.md`: just the keywords that it uses, and
//! stricter in one point, since a member that the schema does not know is a gap in the document.

use std::time::SystemTime;

use serde_json::Value;

use super::rawjson;
use super::testing::show;

const DOCUMENT: &str = include_str!("../../../docs/progress.md");

fn schema() -> Value {
    let block = DOCUMENT.split("```json\n").nth(1).and_then(|rest| rest.split("\n```").next());
    serde_json::from_str(block.expect("a JSON block")).expect("JSON")
}

/// What is wrong with `value`, as paths.
fn problems(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(&reference[1..]).expect(reference);
        return problems(root, target, value, path);
    }
    let right_type = match schema["type"].as_str() {
        None => schema["const"] == *value,
        Some("object") => value.is_object(),
        Some("array") => value.as_array().is_some_and(|items| !items.is_empty()),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64(),
        Some(other) => panic!("type {other}"),
    };
    let mut found = Vec::new();
    if !right_type {
        found.push(format!("{path}: {value}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().expect("a name")).is_none() {
            found.push(format!("{path}: without {name}"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => {
                found.extend(problems(root, schema, member, &format!("{path}/{name}")));
            }
            None => found.push(format!("{path}/{name}: not described")),
        }
    }
    for item in value.as_array().into_iter().flatten() {
        found.extend(problems(root, &schema["items"], item, path));
    }
    found
}

#[test]
fn lines_are_as_described() {
    let schema = schema();
    let mut text = show(&mut rawjson::RawJson::new(SystemTime::UNIX_EPOCH));
    text += &rawjson::warning("careful");
    text += &rawjson::failure("failed", &["why".to_owned()], Some("what to do"));
    for line in text.lines() {
        let value = serde_json::from_str(line).expect("JSON");
        assert_eq!(problems(&schema, &schema, &value, ""), [""; 0], "{line}");
    }
}

#[test]
fn deviations_are_found() {
    let schema = schema();
    for line in [
        "{}",
        r#"{"version":2}"#,
        r#"{"version":1,"logs":[]}"#,
        r#"{"version":1,"extra":1}"#,
        r#"{"version":1,"vertexes":[{"name":"x"}]}"#,
        r#"{"version":1,"error":{"message":1}}"#,
    ] {
        let value = serde_json::from_str(line).expect("JSON");
        assert_eq!(problems(&schema, &schema, &value, "").len(), 1, "{line}");
    }
}
