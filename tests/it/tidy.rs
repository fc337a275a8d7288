//! Rules of the code base that no compiler knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut todo = vec![root.clone()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 30);
    found
}

/// Lines of `text` that are code, with their numbers.
pub(crate) fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn unsafe_stands_in_two_files_and_each_use_says_why() {
    let files = ["layer/inflate/fast.rs", "oci/digest/interleaved.rs"].map(Path::new);
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in code(&text) {
            let above =
                |text: &str| lines[..number - 1].iter().rev().take(5).any(|l| l.contains(text));
            // What the loader calls before `main`.
            if line.contains("unsafe(link_section") {
                assert_eq!(path, Path::new("cli/stdout.rs"), "{}:{number}", path.display());
                assert!(above("// SAFETY: "), "{}:{number} has no SAFETY line", path.display());
            }
            let used = line.contains("unsafe {") || line.contains("unsafe impl");
            if !used {
                continue;
            }
            assert!(files.contains(&path.as_path()), "{}:{number}", path.display());
            assert!(above("// SAFETY: "), "{}:{number} has no SAFETY line", path.display());
        }
    }
}

/// The rooms from the innermost to the outermost: each may use those before it. Files of the same name count
/// as rooms.
const ROOMS: [&str; 16] = [
    "limits",
    "threads",
    "unfinished",
    "oci",
    "ztoc",
    "layer",
    "trouble",
    "error",
    "progress",
    "layout",
    "soci",
    "registry",
    "cache",
    "commands",
    "archive",
    "cli",
];

#[test]
fn rooms_use_only_those_further_in() {
    let rank = |room: &str| ROOMS.iter().position(|known| *known == room);
    let mut found = BTreeSet::new();
    for (path, text) in sources() {
        let first = path.iter().next().unwrap().to_str().unwrap();
        let room = first.strip_suffix(".rs").unwrap_or(first);
        if matches!(room, "lib" | "main") {
            continue;
        }
        let own = rank(room).unwrap_or_else(|| panic!("{room} has no place in the order of rooms"));
        for used in rooms_used(&text) {
            if rank(&used).is_some_and(|used| used > own) {
                found.insert((path.to_str().unwrap().to_owned(), used));
            }
        }
    }
    assert_eq!(found, BTreeSet::new(), "arrows go inwards only");
}

#[test]
fn lists_of_rooms_are_read() {
    let text = "use crate::{layout::{open, lock},\n    soci};\n// crate::cache\ncrate::oci::x();";
    let expected = ["layout", "oci", "soci"].map(str::to_owned);
    assert_eq!(rooms_used(text), BTreeSet::from(expected));
}

/// What stands behind `crate::`, also in lists such as `crate::{layout, soci::find}`.
fn rooms_used(text: &str) -> BTreeSet<String> {
    let code: String = code(text).flat_map(|(_, line)| [line, "\n"]).collect();
    let name = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut used = BTreeSet::new();
    for (position, found) in code.match_indices("crate::") {
        let rest = &code[position + found.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            used.insert(name(rest));
            continue;
        };
        let (mut depth, mut begins) = (0, true);
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' => begins |= depth == 0,
                c if c.is_alphabetic() && begins && depth == 0 => {
                    used.insert(name(&list[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    used
}

/// What a room must not know besides: other crates, and the outer world.
#[test]
fn rooms_do_not_know_the_world_outside() {
    let rules: [(&str, &[&str]); 6] = [
        ("layer/", &["std::fs", "std::path", "rayon"]),
        ("layout/", &["rayon"]),
        ("ztoc/", &["crate::layer", "std::fs", "std::path"]),
        ("oci/json/", &["crate::", "std::fs"]),
        // It keeps zTOCs, whatever they are used for; and it relies on no lock.
        ("cache/", &["crate::layout", "crate::layer", "crate::soci", "rayon", "flock"]),
        ("soci/", &["crate::layer", "rayon"]),
    ];
    for (path, text) in sources() {
        for (room, forbidden) in rules {
            // What measures layers of files is a test.
            if !path.starts_with(room) || path.ends_with("layer/costs.rs") {
                continue;
            }
            for (number, line) in code(&text) {
                for name in forbidden {
                    assert!(!line.contains(name), "{}:{number} mentions {name}", path.display());
                }
            }
        }
        if !path.starts_with("archive") {
            let used = code(&text).find(|(_, line)| line.contains("tokio"));
            assert_eq!(used, None, "{}: only archives are read asynchronously", path.display());
        }
        if !path.starts_with("registry") {
            for name in ["ureq", "rustls", "docker_credential", "std::net"] {
                let used = code(&text).find(|(_, line)| line.contains(name));
                assert_eq!(used, None, "{}: only registries are on a network", path.display());
            }
        }
        if !path.starts_with("cli") && path != Path::new("main.rs") {
            for name in ["clap", "indicatif", "anstream", "eprintln", "println!"] {
                let used = code(&text).find(|(_, line)| line.contains(name));
                assert_eq!(used, None, "{}: only the command line prints", path.display());
            }
        }
    }
}

#[test]
fn mod_files_explain_and_re_export() {
    for (path, text) in sources() {
        if !path.ends_with("mod.rs") {
            continue;
        }
        let item = |line: &str| {
            let line = line.strip_prefix("pub").unwrap_or(line).trim_start();
            let line = line.strip_prefix("(").map_or(line, |l| l.split_once(')').unwrap().1.trim());
            let kinds = ["fn ", "const fn", "impl", "struct ", "enum ", "trait ", "macro_rules!"];
            kinds.iter().any(|kind| line.starts_with(kind))
        };
        if let Some((number, line)) = code(&text).find(|(_, line)| item(line)) {
            panic!("{}:{number}: a file of its own for {line:?}", path.display());
        }
    }
}

#[test]
fn files_stay_small() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 620, "{} has {lines} lines: split it by its ideas", path.display());
        assert!(text.starts_with("//!"), "{} does not say what it is for", path.display());
    }
}

/// What to do about an error is said by the command line (`cli/hints.rs`); the library has other callers.
#[test]
fn errors_name_no_option_of_the_command_line() {
    let options = [
        "ref",
        "platform",
        "output",
        "force",
        "strict",
        "layer",
        "name",
        "v1-shape",
        "external-blobs",
    ];
    let programs = ["skopeo copy", "crane pull", "docker buildx", "soci-layout index", "tar -"];
    for (path, text) in sources() {
        let room = path.iter().next().and_then(|room| room.to_str()).unwrap();
        if ["cli", "commands"].contains(&room) {
            continue;
        }
        for (number, line) in code(&text) {
            let named = options.iter().find(|name| line.contains(&format!("--{name}")));
            assert_eq!(named, None, "{}:{number}", path.display());
            let advised = programs.iter().find(|program| line.contains(*program));
            assert_eq!(advised, None, "{}:{number}", path.display());
        }
    }
}

/// `serde_json::Value` refuses numbers and depths that other decoders pass over, in members that nobody knows.
#[test]
fn documents_of_others_are_not_read_as_values() {
    for (path, text) in sources() {
        let room = path.iter().next().and_then(|room| room.to_str()).unwrap();
        if ["layout", "soci", "commands", "oci"].contains(&room) {
            let text = text.split("#[cfg(test)]").next().unwrap();
            for (number, line) in code(text) {
                assert!(!line.contains("json::Value"), "{}:{number}", path.display());
            }
        }
    }
}
