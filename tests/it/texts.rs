//! What commands tell people about one layout: a change of wording is one difference to review. `plan` and ages of cache
//! entries depend on the machine.

use std::path::Path;
use std::process::Command;

use crate::context::Context;

/// What the program says, on both streams, without what differs from run to run.
fn said(directory: &Path, arguments: &str) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_soci-layout"));
    program.args(arguments.split_whitespace()).env_clear().current_dir(directory);
    let output = program.output().unwrap();
    let text = |bytes: Vec<u8>| timeless(&String::from_utf8(bytes).unwrap());
    let (data, told) = (text(output.stdout), text(output.stderr));
    format!("$ soci-layout {arguments}\n{data}--- {}\n{told}\n", output.status.code().unwrap())
}

/// Seconds, which are the only numbers with a decimal point before an `s`, are none.
fn timeless(text: &str) -> String {
    let is_seconds = |word: &str| {
        word.split_once('.').is_some_and(|(whole, rest)| {
            !whole.is_empty() && whole.bytes().chain(rest.bytes()).all(|byte| byte.is_ascii_digit())
        })
    };
    let mut out = String::new();
    for part in text.split_inclusive([' ', '\n', ';', ',']) {
        let word = part.trim_end_matches([' ', '\n', ';', ',']);
        let number = word.strip_suffix('s').unwrap_or(word);
        if is_seconds(number) {
            out += "0.0";
            out += &part[number.len()..];
        } else {
            out += part;
        }
    }
    out
}

#[test]
fn of_every_command() {
    let context = Context::fixture("zstd-mixed");
    let before = Context::fixture("zstd-mixed");
    let copy = context.layout().with_file_name("before");
    std::fs::rename(before.layout(), copy).unwrap();
    let here = context.layout();
    let small = "--min-layer-size 0 --span-size 64KiB";
    let mut all = String::new();
    for command in [
        "doctor .".to_owned(),
        format!("index . {small} --dry-run"),
        format!("index . {small} --progress quiet --cache-dir ../cache"),
        format!("index . {small} --progress quiet --require-index --min-lazy 90%"),
        "inspect .".to_owned(),
        "verify . --progress quiet".to_owned(),
        "verify . --progress quiet --require-lazy --min-layer-size 0".to_owned(),
        "diff ../before .".to_owned(),
        "ls -l . /etc /nowhere --progress quiet".to_owned(),
        "cat . /etc --progress quiet".to_owned(),
        "remove . --dry-run --progress quiet".to_owned(),
        "remove . --progress quiet".to_owned(),
        "gc . --dry-run".to_owned(),
        "gc . --min-age 0".to_owned(),
        "cache verify --cache-dir ../cache".to_owned(),
        "index ../nothing --progress quiet".to_owned(),
        "index . --ref none --progress quiet".to_owned(),
    ] {
        all += &said(&here, &command);
    }
    insta::assert_snapshot!(all);
}

/// The short help of the program and of every command that it lists.
#[test]
fn help() {
    let help = |arguments: &str| said(Path::new("."), arguments);
    let mut all = help("-h");
    let names = |text: &str| -> Vec<String> {
        let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1);
        let names = listed.take_while(|line| !line.is_empty());
        names.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
    };
    let commands = names(&all);
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands.iter().filter(|name| *name != "help") {
        let text = help(&format!("{command} -h"));
        let below = names(&text);
        all += &text;
        for name in below.iter().filter(|name| *name != "help") {
            all += &help(&format!("{command} {name} -h"));
        }
    }
    insta::assert_snapshot!(all);
}
