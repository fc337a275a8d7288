//! `--min-lazy` and `--max-eager`: exit code 3 when less is lazy than a pipeline insists on.

use std::ffi::OsStr;
use std::process::Output;

use serde_json::Value;

use crate::context::Context;
use crate::inspect::{run, stdout};

fn call(command: &str, context: &Context, options: &[&str]) -> Output {
    let layout = context.layout();
    let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&layout];
    arguments.extend(options.iter().map(|option| option as &dyn AsRef<OsStr>));
    run(command, &arguments)
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Of `zstd-mixed` the first layer is lazy, 298874 bytes of 392766 (76 %); the other two never are.
const SMALL: [&str; 5] = ["-q", "--min-layer-size", "0", "--span-size", "64K"];

#[test]
fn the_layout_is_written_and_the_exit_code_tells() {
    for (gate, code) in [
        ("--min-lazy=50%", 0),
        ("--min-lazy=99", 3),
        ("--max-eager=1MiB", 0),
        ("--max-eager=100", 3),
    ] {
        let context = Context::fixture("zstd-mixed");
        let before = context.index_json();
        let output = call("index", &context, &[&SMALL[..], &[gate]].concat());
        assert_eq!(output.status.code(), Some(code), "{gate}: {}", told(&output));
        assert_ne!(context.index_json(), before, "it is written all the same");
        assert!(output.stdout.starts_with(b"sha256:"), "and the digest printed");
        if code == 3 {
            let name = gate.split('=').next().unwrap();
            let text = told(&output);
            assert!(text.contains("linux/amd64 of v1") && text.contains(name), "{text}");
        }
        // The same of what is there, by verify and by a dry run.
        let output = call("verify", &context, &["-q", gate]);
        assert_eq!(output.status.code(), Some(code), "verify {gate}: {}", told(&output));
        let output = call("index", &context, &[&SMALL[..], &[gate, "--dry-run"]].concat());
        assert_eq!(output.status.code(), Some(code), "dry {gate}: {}", told(&output));
        let output = call("plan", &context, &[&SMALL[..], &[gate]].concat());
        assert_eq!(output.status.code(), Some(code), "plan {gate}: {}", told(&output));
    }
}

/// The remedy is one for the largest layer, not always a lower minimum.
#[test]
fn require_index_says_what_would_help() {
    let zero = ["-q", "--require-index", "--min-layer-size", "0"];
    let skipped = ["1", "2", "3", "4"].map(|number| ["--skip-layer", number]).concat();
    for (fixture, options, hint) in [
        ("single", &zero[..2], "--min-layer-size 0 indexes every layer"),
        ("zstd", &zero[..2], "`soci-layout doctor LAYOUT`"),
        ("zstd", &zero, "compression=gzip,force-compression=true"),
        ("zstd-mixed", &[&zero[..], &skipped[..2]].concat(), "compression=gzip"),
        ("single", &[&zero[..], &skipped].concat(), "--skip-layer left out"),
    ] {
        for command in ["index", "plan"] {
            let context = Context::fixture(fixture);
            let output = call(command, &context, options);
            let text = told(&output);
            assert_eq!(output.status.code(), Some(3), "{fixture} {options:?}: {text}");
            let found = text.lines().find(|line| line.starts_with("hint:")).unwrap_or_default();
            assert!(found.contains(hint), "{command} {fixture} {options:?}: {text}");
        }
    }
}

/// Each image has to pass, not all of them together.
#[test]
fn every_image_is_held_against_them() {
    let context = Context::fixture("appended");
    let output = call("index", &context, &[&SMALL[..], &["--min-lazy", "100%"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let context = Context::fixture("appended");
    let layers = ["--skip-layer", "4", "--min-lazy", "100%"];
    let output = call("index", &context, &[&SMALL[..], &layers].concat());
    assert_eq!(output.status.code(), Some(3), "only one image has a fourth layer");
}

#[test]
fn verify_and_inspect_count_alike() {
    let context = Context::fixture("zstd-mixed");
    stdout(call("index", &context, &SMALL));
    let document = |command, options: &[&dyn AsRef<OsStr>]| -> Value {
        serde_json::from_str(&stdout(run(command, options))).unwrap()
    };
    let layout = context.layout();
    let verified = document("verify", &[&layout, &"--json", &"--progress", &"quiet"]);
    let inspected = document("inspect", &[&layout, &"--json"]);
    assert_eq!(verified["images"][0]["lazy"], inspected["images"][0]["lazy"]);
    assert_eq!(verified["images"][0]["lazy"]["layers"], 1);
}

/// A finding is worse than a layer that is not lazy.
#[test]
fn a_finding_outranks_a_gate() {
    let context = Context::fixture("zstd-mixed");
    stdout(call("index", &context, &SMALL));
    let config = context.json(crate::context::text(
        &context.json(crate::context::text(&context.index_json()["manifests"][0]["digest"]))
            ["manifests"][0]["digest"],
    ));
    let layer = crate::context::text(&config["layers"][2]["digest"]).to_owned();
    std::fs::remove_file(context.blob_path(&layer)).unwrap();
    let output = call("verify", &context, &["-q", "--min-lazy", "99%"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
}
