//! Completions, manual pages and `docs/cli.md` know every command and every option.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use tempfile::TempDir;

fn soci_layout(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_soci-layout"))
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

/// The pages by their file names.
fn pages() -> BTreeMap<String, String> {
    let directory = TempDir::new().unwrap();
    let target = directory.path().join("man1");
    let (_, told, code) = soci_layout(&["man", "--output", target.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{told}");
    fs::read_dir(&target)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

/// Commands as the help lists them: the words on the left below `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect()
}

/// Every command with its words, and its long options.
fn everything() -> BTreeMap<Vec<String>, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let mut todo: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(words) = todo.pop() {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("-h");
        let (help, told, code) = soci_layout(&arguments);
        assert_eq!(code, Some(0), "{words:?}: {told}");
        for name in commands(&help) {
            todo.push([words.clone(), vec![name]].concat());
        }
        let options = help
            .split(|c: char| c.is_whitespace() || c == '[' || c == '=' || c == ',')
            .filter(|word| word.starts_with("--") && word.len() > 2)
            .map(|word| word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned())
            .filter(|word| !["--help", "--version"].contains(&word.as_str()))
            .collect();
        found.insert(words, options);
    }
    assert!(found.len() > 5, "{found:?}");
    found
}

#[test]
fn every_command_has_a_page_with_its_options() {
    let pages = pages();
    let everything = everything();
    assert_eq!(pages.len(), everything.len(), "{:?}", pages.keys());
    for (words, options) in &everything {
        let name = ["soci-layout"].into_iter().chain(words.iter().map(String::as_str));
        let name = name.collect::<Vec<_>>().join("-") + ".1";
        let page = &pages[&name];
        let (printed, _, code) = soci_layout(
            &[&["man"], &*words.iter().map(String::as_str).collect::<Vec<_>>()].concat(),
        );
        assert_eq!((code, &printed), (Some(0), page), "{name}");
        for option in options {
            assert!(page.contains(&option.replace('-', "\\-")), "{name} lacks {option}");
        }
    }
    assert_eq!(soci_layout(&["man", "what"]).2, Some(2));
}

#[test]
fn the_reference_of_the_command_line_names_everything() {
    let docs = include_str!("../../docs/cli.md");
    for (words, options) in everything() {
        let name = ["soci-layout"].into_iter().chain(words.iter().map(String::as_str));
        let name = name.collect::<Vec<_>>().join(" ");
        assert!(docs.contains(&name), "docs/cli.md does not name `{name}`");
        for option in options {
            let known = docs.match_indices(&option).any(|(at, _)| {
                !docs[at + option.len()..]
                    .starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
            });
            assert!(known, "docs/cli.md does not name {option} of `{name}`");
        }
    }
}

/// What a real shell makes of the script.
#[test]
fn bash_completes_commands_and_options() {
    let (script, _, code) = soci_layout(&["completions", "bash"]);
    assert_eq!(code, Some(0));
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("soci-layout.bash");
    fs::write(&file, script).unwrap();
    let complete = |words: &[&str]| {
        let list = words.join(" ");
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let run = format!(
            "set -e; source {}; f=$(complete -p soci-layout | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
             COMP_WORDS=({list}); COMP_CWORD={}; \"$f\" soci-layout '{last}' '{before}'; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display(),
            words.len() - 1,
        );
        let output = Command::new("bash").args(["-c", &run]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["soci-layout", "ind"]), ["index"]);
    assert_eq!(complete(&["soci-layout", "gc", "--min"]), ["--min-age"]);
    assert_eq!(complete(&["soci-layout", "index", "--index-version", "v"]), ["v2", "v1"]);
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        let (script, _, code) = soci_layout(&["completions", shell]);
        assert_eq!(code, Some(0), "{shell}");
        for word in ["verify", "remove", "min-age"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
}
