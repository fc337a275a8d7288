//! What the pages show is what there is: links and anchors lead somewhere, every page is found from the list of pages, and
//! `console` blocks are run and give what they show.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::context::Context;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages of the repository by their paths.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut todo: Vec<PathBuf> =
        ["README.md", "docs", "tests", "testdata"].map(PathBuf::from).into();
    let mut found = BTreeMap::new();
    while let Some(path) = todo.pop() {
        let full = root().join(&path);
        if full.is_dir() {
            let entries = fs::read_dir(full).unwrap();
            todo.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
        } else if path.extension().is_some_and(|e| e == "md") {
            found.insert(path, fs::read_to_string(full).unwrap());
        }
    }
    assert!(found.len() > 25, "{:?}", found.keys());
    found
}

/// A fenced block: the words behind the fence, the line it begins on, its text.
struct Block<'a> {
    info: &'a str,
    line: usize,
    lines: Vec<&'a str>,
}

/// The blocks of a page, and its text without them.
fn parse(page: &str) -> (Vec<Block<'_>>, String) {
    let (mut blocks, mut text, mut open) = (Vec::new(), String::new(), None::<Block<'_>>);
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => open = Some(Block { info, line: number + 1, lines: Vec::new() }),
            (None, Some(block)) => block.lines.push(line),
            (None, None) => text.extend([line, "\n"]),
        }
    }
    assert!(open.is_none(), "a block is not closed");
    (blocks, text)
}

/// Code spans hold no links.
fn without_code_spans(text: &str) -> String {
    text.split('`').step_by(2).collect()
}

/// Targets of `[text](target)` and of images.
fn links(text: &str) -> Vec<String> {
    let text = without_code_spans(text);
    let ends = text.match_indices("](").map(|(at, _)| &text[at + 2..]);
    ends.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The anchors that GitHub gives the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let titles = headings.map(|line| line.trim_start_matches('#').trim());
    titles
        .map(|title| {
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// `docs/../README.md` without the detour.
fn plain(path: &Path) -> PathBuf {
    let mut parts: Vec<Component<'_>> = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts.into_iter().collect()
}

#[test]
fn every_link_leads_to_a_file_and_an_anchor_that_are_there() {
    let pages = pages();
    let mut seen = 0;
    for (path, page) in &pages {
        for link in links(&parse(page).1) {
            if link.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => path.clone(),
                file => plain(&path.with_file_name("").join(file)),
            };
            assert!(root().join(&target).exists(), "{}: {link}", path.display());
            if !anchor.is_empty() {
                let text = parse(&pages[&target]).1;
                assert!(anchors(&text).contains(anchor), "{}: {link}", path.display());
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn every_page_is_in_the_list_of_pages() {
    let pages = pages();
    let list = Path::new("docs/README.md");
    let listed: BTreeSet<PathBuf> = links(&parse(&pages[list]).1)
        .iter()
        .map(|link| plain(&list.with_file_name(link)))
        .collect();
    for path in pages.keys().filter(|path| path.starts_with("docs") && *path != list) {
        assert!(listed.contains(path), "docs/README.md does not name {}", path.display());
    }
}

/// Text with seconds as `0 s`, whatever they are.
fn timeless(line: &str) -> String {
    let mut out = String::new();
    for word in line.split_inclusive(' ') {
        let seconds = word.trim_end().trim_end_matches('s');
        let number = seconds.contains('.') && seconds.parse::<f64>().is_ok();
        out.push_str(if number && word.trim_end().ends_with('s') { "0s" } else { word });
    }
    out.trim_end().to_owned()
}

/// Whether `said` is what is `shown`, where a line `...` stands for any lines.
fn agrees(shown: &[String], said: &[String]) -> bool {
    match (shown, said) {
        ([], said) => said.is_empty(),
        ([first, rest @ ..], _) if first == "..." => {
            (0..=said.len()).any(|skipped| agrees(rest, &said[skipped..]))
        }
        ([first, shown @ ..], [line, said @ ..]) => first == line && agrees(shown, said),
        (_, []) => false,
    }
}

/// Runs the commands of a block one after the other and compares. `$?` is that of the command before.
fn play(block: &Block<'_>, directory: &Path, place: &str) {
    let binary = Path::new(env!("CARGO_BIN_EXE_soci-layout")).parent().unwrap();
    let mut code = 0;
    let mut lines = block.lines.iter().peekable();
    while let Some(line) = lines.next() {
        let command =
            line.strip_prefix("$ ").unwrap_or_else(|| panic!("{place}: no command: {line}"));
        let mut shown = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            shown.push(timeless(line));
        }
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; (exit {code}); {command}")])
            .current_dir(directory)
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", binary.display()))
            .output()
            .unwrap();
        code = output.status.code().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        // Progress is left out: a terminal shows it in another way, and its order is that of the threads.
        let said = said.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let said: Vec<String> = said.map(timeless).collect();
        shown.retain(|line| !line.is_empty());
        let all = said.join("\n");
        assert!(
            agrees(&shown, &said),
            "{place}: `{command}` shows\n{}\nand says\n{all}",
            shown.join("\n")
        );
    }
}

/// A layout of `testdata/layouts` or `testdata/foreign`.
fn fixture(name: &str) -> String {
    let ours = crate::context::fixtures().join(name).exists();
    if ours { name.to_owned() } else { format!("../foreign/{name}") }
}

/// A word behind `console` is the fixture that the block starts with, as `oci-dir`. Without one it goes on where the block
/// before stopped.
#[test]
fn console_blocks_show_what_the_program_says() {
    let mut played = 0;
    for (path, page) in pages() {
        let mut context: Option<Context> = None;
        for block in parse(&page).0 {
            let Some(rest) = block.info.strip_prefix("console") else {
                continue;
            };
            let place = format!("{}:{}", path.display(), block.line);
            if !rest.trim().is_empty() {
                let fresh = Context::fixture(&fixture(rest.trim()));
                fs::rename(fresh.layout(), fresh.layout().with_file_name("oci-dir")).unwrap();
                context = Some(fresh);
            }
            let context = context.as_ref().unwrap_or_else(|| panic!("{place}: no fixture"));
            play(&block, context.layout().parent().unwrap(), &place);
            played += 1;
        }
    }
    assert!(played > 5, "{played}");
}

/// What people copy from the pages leads to the repository that Cargo.toml names; `make owner` changes them together.
#[test]
fn one_owner_everywhere() {
    let cargo = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let line = cargo.lines().find_map(|line| line.strip_prefix("repository = ")).unwrap();
    let owner = line.trim_matches('"').rsplit('/').nth(1).unwrap();
    let mut found = 0;
    for (path, text) in pages() {
        let quoted = text.split_inclusive("/soci-layout").filter_map(|part| {
            let name = part.strip_suffix("/soci-layout")?;
            let (before, name) = name.rsplit_once(['/', ' ', ':'])?;
            ["github.com", "uses:", "github"]
                .iter()
                .any(|mark| before.ends_with(mark))
                .then_some(name)
        });
        let listed = text.lines().filter_map(|line| line.trim().strip_prefix("repo_owner: "));
        for name in quoted.chain(listed) {
            assert_eq!(name, owner, "{}: `make owner`", path.display());
            found += 1;
        }
    }
    assert!(found > 8, "{found}");
}

/// Pages with blocks of another time, which nothing runs. The list only gets shorter.
const UNCHECKED: [&str; 8] = [
    "CONTRIBUTING.md",
    "architecture.md",
    "cli.md",
    "fuzzing.md",
    "progress.md",
    "push-interop.md",
    "reliability.md",
    "soci-formats.md",
];

/// What looks like a command is run by somebody: `console` here, `sh` by `make hands`.
#[test]
fn every_block_is_checked_by_something() {
    let hands = fs::read_to_string(root().join("tests/hands/people.py")).unwrap();
    let list = hands.lines().find(|line| line.starts_with("PAGES = ")).unwrap();
    for (path, page) in pages() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.parent() != Some(Path::new("docs")) || UNCHECKED.contains(&name) {
            continue;
        }
        for block in parse(&page).0 {
            let place = format!("{}:{}", path.display(), block.line);
            match block.info.split(' ').next().unwrap() {
                "console" => {}
                "sh" => {
                    let listed = format!("\"{}\"", name.trim_end_matches(".md"));
                    assert!(
                        list.contains(&listed),
                        "{place}: tests/hands/people.py does not run it"
                    );
                }
                kind => panic!("{place}: nothing checks a block of {kind:?}"),
            }
        }
    }
}
