//! The real binary: exit codes, what goes to which stream.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::context::Context;

fn soci_layout(layout: &Path, arguments: &[&str]) -> Output {
    run("index", layout, arguments)
}

fn run(command: &str, layout: &Path, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_soci-layout"));
    program.arg(command).arg(layout).args(arguments).env_clear();
    program.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const SMALL: [&str; 4] = ["--min-layer-size", "0", "--span-size", "64KiB"];

#[test]
fn a_run_tells_digests_on_stdout_and_the_rest_on_stderr() {
    let context = Context::fixture("appended");
    let output = soci_layout(&context.layout(), &SMALL);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    // Names of one image share a digest, which is told once.
    let mut digests: Vec<String> = context.index_json()["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["digest"].as_str().unwrap().to_owned())
        .collect();
    digests.dedup();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), digests);
    for part in ["#1 [resolve]", "[scan 1/", "[assemble]", "[commit]", "DONE", "indexed"] {
        assert!(told.contains(part), "{told}");
    }
    let again = soci_layout(&context.layout(), &SMALL);
    assert!(stderr(&again).contains("CACHED"), "{}", stderr(&again));
}

#[test]
fn json_is_one_document() {
    let context = Context::fixture("zstd-mixed");
    let output = soci_layout(&context.layout(), &[&SMALL[..], &["--json", "-q"]].concat());
    assert_eq!(stderr(&output), "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["version"], 1);
    let outcomes: Vec<&str> = report["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["indexed", "skipped", "skipped"]);
    assert!(report["layers"][1]["reason"].as_str().unwrap().contains("zstd"));
}

/// For a job's summary page: what is there already stays, and layers that stay eager say why.
#[test]
fn a_summary_is_appended_as_markdown() {
    let context = Context::fixture("zstd-mixed");
    let page = context.layout().with_file_name("summary.md");
    std::fs::write(&page, "# Before\n").unwrap();
    let option = format!("markdown={}", page.display());
    let arguments = [&SMALL[..], &["-q", "--summary", &option]].concat();
    let output = soci_layout(&context.layout(), &arguments);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let summary = std::fs::read_to_string(&page).unwrap();
    let root = context.index_json()["manifests"][0]["digest"].as_str().unwrap().to_owned();
    for part in [
        "# Before\n### SOCI index\n",
        &format!("** `{root}`\n"),
        "1 of 3 layers load lazily: ",
        "| lazily | ",
        "as a whole: ",
        "compression=gzip,force-compression=true",
        " written, ",
    ] {
        assert!(summary.contains(part), "no {part} in {summary}");
    }
    assert_eq!(summary.lines().filter(|line| line.starts_with("| `sha256:")).count(), 3);

    let planned = run("plan", &context.layout(), &arguments);
    assert_eq!(planned.status.code(), Some(0), "{}", stderr(&planned));
    let both = std::fs::read_to_string(&page).unwrap();
    assert!(
        both.starts_with(&summary) && both.contains("A dry run: nothing was written"),
        "{both}"
    );

    let digests = soci_layout(&context.layout(), &[&SMALL[..], &["-q"]].concat()).stdout;
    let option = format!("markdown={}", context.layout().display());
    let failed = soci_layout(&context.layout(), &[&SMALL[..], &["--summary", &option]].concat());
    assert_eq!((failed.status.code(), &failed.stdout), (Some(1), &digests));
    assert!(stderr(&failed).contains("failed to write the summary"), "{}", stderr(&failed));
}

#[test]
fn raw_json_lines_are_versioned_and_end_every_step() {
    let context = Context::fixture("single");
    let output = soci_layout(&context.layout(), &[&SMALL[..], &["--progress", "rawjson"]].concat());
    let mut last = std::collections::BTreeMap::new();
    for line in stderr(&output).lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(value["version"], 1, "{line}");
        for vertex in value["vertexes"].as_array().into_iter().flatten() {
            last.insert(vertex["digest"].as_str().unwrap().to_owned(), vertex.clone());
        }
    }
    // Resolve, four layers, assemble, commit.
    assert_eq!(last.len(), 7);
    assert!(last.values().all(|v| v["started"].is_string() && v["completed"].is_string()));
}

#[test]
fn exit_codes() {
    let missing = Path::new("/nonexistent/layout");
    let failed = soci_layout(missing, &[]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("error:") && stderr(&failed).contains("hint:"));
    assert!(failed.stdout.is_empty());
    for usage in [&["--span-size", "0"][..], &["--jobs", "0"], &["--platform", "x"], &["--what"]] {
        assert_eq!(soci_layout(missing, usage).status.code(), Some(2), "{usage:?}");
    }
    let context = Context::fixture("single");
    let before = context.files();
    let nothing = soci_layout(&context.layout(), &[]);
    assert_eq!(nothing.status.code(), Some(0), "{}", stderr(&nothing));
    assert_eq!(soci_layout(&context.layout(), &["--require-index"]).status.code(), Some(3));
    let strict = Context::fixture("zstd");
    let refused = soci_layout(&strict.layout(), &[&SMALL[..], &["--strict"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(context.files(), before);
}

#[test]
fn a_signal_ends_a_run_in_order() {
    use std::io::Read as _;
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let context = Context::fixture("single");
        // The run waits for a lock, so the signal cannot come too late.
        let lock = std::fs::File::create(context.layout().join("index.json.lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let before = context.files();
        let mut run = Command::new(env!("CARGO_BIN_EXE_soci-layout"))
            .arg("index")
            .arg(context.layout())
            .args(SMALL)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        let killed = Command::new("kill").args(["-s", signal, &run.id().to_string()]).status();
        assert!(killed.unwrap().success());
        let mut told = String::new();
        run.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(code), "{told}");
        assert!(told.contains("cancelled"), "{told}");
        assert_eq!(context.files(), before);
    }
}

#[test]
fn names_from_a_layout_are_escaped() {
    let context = Context::fixture("single");
    let mut index = context.index_json();
    index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] =
        "v1\u{1b}[31m\u{202e}x".into();
    context.write_index_json(&index.to_string());
    let output = soci_layout(&context.layout(), &SMALL);
    assert_eq!(output.status.code(), Some(0));
    assert!(!stderr(&output).contains('\u{1b}') && !stderr(&output).contains('\u{202e}'));
}

#[test]
fn the_time_zone_and_locale_do_not_matter() {
    let plain = Context::fixture("single");
    assert!(soci_layout(&plain.layout(), &SMALL).status.success());
    let context = Context::fixture("single");
    let status = Command::new(env!("CARGO_BIN_EXE_soci-layout"))
        .arg("index")
        .arg(context.layout())
        .args(SMALL)
        .env("TZ", "Asia/Kolkata")
        .env("LC_ALL", "tr_TR.UTF-8")
        .output()
        .unwrap();
    assert!(status.status.success());
    let contents = |context: &Context| {
        context.files().into_iter().map(|(name, state)| (name, state.content)).collect::<Vec<_>>()
    };
    assert_eq!(contents(&context), contents(&plain));
}

#[test]
fn removing_and_collecting_say_what_they_did() {
    let context = Context::fixture("single");
    let before = context.files();
    let digest = context.index_json()["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let indexed = soci_layout(&context.layout(), &SMALL);
    let soci = stderr(&indexed);
    let soci = soci.lines().find_map(|line| line.trim().strip_prefix("SOCI v2")).unwrap().trim();

    let planned = run("remove", &context.layout(), &["--dry-run"]);
    assert!(stderr(&planned).contains("dry run: index.json would be replaced"));
    assert_eq!(String::from_utf8(planned.stdout).unwrap(), format!("{digest}\n"));
    let removed = run("remove", &context.layout(), &["--progress", "quiet"]);
    let told = stderr(&removed);
    assert!(told.contains(&format!("removed    SOCI index {soci}\n")), "{told}");
    assert!(told.contains(&format!("is         {digest}\n")), "{told}");
    assert_eq!(String::from_utf8(removed.stdout).unwrap(), format!("{digest}\n"));
    let again = run("remove", &context.layout(), &["--json", "-q"]);
    assert_eq!(stderr(&again), "");
    let report: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&report["version"], &report["changed"]), (&1.into(), &false.into()));

    // Everything is younger than the default age.
    let young = run("gc", &context.layout(), &[]);
    assert!(stderr(&young).contains("unreferenced but young (--min-age)"), "{}", stderr(&young));
    assert!(stderr(&young).contains("nothing to remove"));
    assert!(young.stdout.is_empty());
    let planned = run("gc", &context.layout(), &["--min-age", "0", "--dry-run"]);
    let collected = run("gc", &context.layout(), &["--min-age", "0"]);
    assert_eq!(planned.stdout, collected.stdout);
    assert!(String::from_utf8_lossy(&collected.stdout).contains(soci));
    assert!(stderr(&planned).contains("would remove 9 blobs"), "{}", stderr(&planned));
    assert!(stderr(&collected).contains("removed 9 blobs"), "{}", stderr(&collected));
    assert_eq!(
        context.files().into_keys().collect::<Vec<_>>(),
        before.into_keys().collect::<Vec<_>>()
    );
    assert_eq!(run("gc", &context.layout(), &["--min-age", "1"]).status.code(), Some(2));
}
