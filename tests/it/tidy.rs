//! Rules of the code base that no compiler knows.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
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
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn unsafe_stands_in_two_files_and_each_use_says_why() {
    let files = ["layer/inflate/fast.rs", "oci/interleaved.rs"].map(Path::new);
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in code(&text) {
            let used = line.contains("unsafe {") || line.contains("unsafe impl");
            if !used {
                continue;
            }
            assert!(files.contains(&path.as_path()), "{}:{number}", path.display());
            let above = lines[..number - 1].iter().rev().take(5).any(|l| l.contains("// SAFETY: "));
            assert!(above, "{}:{number} has no SAFETY line", path.display());
        }
    }
}

#[test]
fn inner_rooms_do_not_know_outer_ones() {
    let rules: [(&str, &[&str]); 6] = [
        (
            "layer/",
            &["crate::layout", "crate::commands", "crate::soci", "std::fs", "std::path", "rayon"],
        ),
        ("ztoc/", &["crate::layout", "crate::layer", "crate::commands", "std::fs", "std::path"]),
        ("oci/json/", &["crate::", "std::fs"]),
        // It keeps zTOCs, whatever they are used for; and it relies on no lock.
        (
            "cache/",
            &["crate::layout", "crate::commands", "crate::layer", "crate::soci", "rayon", "flock"],
        ),
        ("layout/", &["crate::commands", "crate::layer", "crate::archive", "rayon"]),
        ("soci/", &["crate::archive", "crate::layer", "rayon"]),
    ];
    for (path, text) in sources() {
        for (room, forbidden) in rules {
            if !path.starts_with(room) {
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
        if !path.starts_with("cli") && path != Path::new("main.rs") {
            for name in ["clap", "indicatif", "anstream", "eprintln", "println!"] {
                let used = code(&text).find(|(_, line)| line.contains(name));
                assert_eq!(used, None, "{}: only the command line prints", path.display());
            }
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
