//! What a process runs into besides bad input: few open files, no thread, a closed output, a signal while it
//! waits for somebody else, other people's files.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use soci_layout::Digest;

use crate::context::{Context, fixtures};

const BIN: &str = env!("CARGO_BIN_EXE_soci-layout");

/// Runs the program in a shell, which sets limits and redirects: `$0` is the program, `$1` the layout.
fn shell(script: &str, layout: &Path) -> Output {
    Command::new("sh").args(["-c", script, BIN]).arg(layout).output().unwrap()
}

#[track_caller]
fn ends_with(code: i32, output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{errors}");
    errors
}

/// A layout of `count` images with a layer of their own each.
fn many_images(count: usize) -> Context {
    let context = Context::fixture("single");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let mut roots = Vec::new();
    for number in 0..count {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("file{number}"), &[][..]).unwrap();
        let layer = tar.into_inner().unwrap();
        let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {
            "type": "layers", "diff_ids": [Digest::of(&layer).to_string()]}});
        let config = config.to_string();
        let blob = |kind: &str, bytes: &[u8]| {
            let media_type = format!("application/vnd.oci.image.{kind}");
            json!({"mediaType": media_type, "digest": context.put(bytes), "size": bytes.len()})
        };
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type,
            "config": blob("config.v1+json", config.as_bytes()),
            "layers": [blob("layer.v1.tar", &layer)],
        });
        let manifest = manifest.to_string();
        roots.push(json!({
            "mediaType": media_type, "digest": context.put(manifest.as_bytes()), "size": manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": format!("v{number}")},
        }));
    }
    context.write_index_json(&json!({"schemaVersion": 2, "manifests": roots}).to_string());
    context
}

#[test]
fn files_are_open_only_while_they_are_needed() {
    let context = many_images(200);
    let script = "ulimit -n 40; exec \"$0\" index -q --min-layer-size 0 \"$1\"";
    ends_with(0, &shell(script, &context.layout()));
    ends_with(0, &shell("ulimit -n 40; exec \"$0\" verify -q \"$1\"", &context.layout()));
    ends_with(0, &shell("ulimit -n 40; exec \"$0\" remove -q \"$1\"", &context.layout()));
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let context = Context::fixture("single");
    let commands = [
        "index -q --min-layer-size 0 \"$1\"",
        "inspect \"$1\"",
        "verify --json \"$1\"",
        "plan \"$1\"",
        "ls \"$1\"",
        "diff --json \"$1\" \"$1\"",
        "gc --json \"$1\"",
        "remove -q \"$1\"",
        "man",
        "completions bash",
        "--version",
    ];
    for command in commands {
        for target in [">&-", ">/dev/full", "1</dev/null"] {
            let output = shell(&format!("\"$0\" {command} {target}"), &context.layout());
            let errors = ends_with(1, &output);
            assert!(errors.contains("standard output"), "{command} {target}: {errors}");
        }
        // A reader that goes away before it has read all.
        let script = format!(
            "trap '' PIPE; {{ sleep 0.3; \"$0\" {command}; echo $? >&3; }} 3>&2 2>/dev/null | true"
        );
        let output = shell(&script, &context.layout());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "1\n", "{command}");
        // Nobody needs standard error.
        ends_with(0, &shell(&format!("exec \"$0\" {command} 2>&-"), &context.layout()));
    }
}

/// Sends a signal as soon as the program has had time to come where it stays; it must end soon.
#[track_caller]
fn interrupted(mut command: Command, signal: &str, code: i32) {
    let mut child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait: {command:?}");
    let arguments = [format!("-{signal}"), child.id().to_string()];
    assert!(Command::new("kill").args(arguments).status().unwrap().success());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        // Half a second on a machine that has nothing else to do.
        assert!(start.elapsed() < Duration::from_secs(5), "{command:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(child.wait().unwrap().code(), Some(code), "{command:?}");
}

#[test]
fn the_first_signal_ends_a_run_that_waits_for_somebody() {
    let context = many_images(400);
    let layout = context.layout();
    let place = layout.parent().unwrap().to_owned();
    let fifo = place.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let before = context.files();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        // Nobody writes to the pipe.
        let mut command = Command::new(BIN);
        command.arg("index").arg(&fifo).arg("--output").arg(place.join("new"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        interrupted(command, signal, code);
        assert_eq!(fs::read_dir(&place).unwrap().count(), 2, "something was left");
        // Nobody reads from it.
        for arguments in [&["inspect", "--json"][..], &["verify", "--json"], &["plan", "--json"]] {
            let mut command = Command::new(BIN);
            command.args(arguments).arg(&layout);
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            interrupted(command, signal, code);
        }
        assert_eq!(context.files(), before);
    }
}

#[test]
fn a_directory_named_like_a_temporary_file_is_in_nobody_s_way() {
    let context = Context::fixture("single");
    for directory in ["", "blobs/sha256"] {
        let directory = context.layout().join(directory).join(".soci-layout-x.tmp");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("file"), "x").unwrap();
    }
    context.index(&Context::options()).unwrap();
    for command in ["remove -q", "gc -q --min-age 0"] {
        ends_with(0, &shell(&format!("exec \"$0\" {command} \"$1\""), &context.layout()));
    }
    assert!(context.layout().join(".soci-layout-x.tmp/file").exists());
}

#[test]
fn a_layout_with_other_files_is_not_replaced() {
    let context = Context::fixture("single");
    let place = context.layout().parent().unwrap().to_owned();
    let archive = place.join("in.tar");
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(&archive).arg("-C").arg(fixtures().join("single"));
    assert!(tar.args(["blobs", "index.json", "oci-layout"]).status().unwrap().success());
    let replace = || {
        let mut command = Command::new(BIN);
        command.args(["index", "-q", "--force", "--output"]).arg(context.layout()).arg(&archive);
        command.output().unwrap()
    };
    ends_with(0, &replace());
    fs::write(context.layout().join("Dockerfile"), "FROM scratch").unwrap();
    let before = context.files();
    let errors = ends_with(1, &replace());
    assert!(errors.contains("Dockerfile") && errors.contains("--output"), "{errors}");
    assert_eq!(context.files(), before);
}

#[test]
fn threads_that_cannot_be_had_are_done_without() {
    // Root has no such limit; nobody else could be told apart from it here.
    let context = many_images(20);
    let layout = context.layout();
    let made = Command::new("chmod").args(["-R", "a+rwX"]).arg(layout.parent().unwrap()).status();
    assert!(made.unwrap().success());
    let copy = layout.parent().unwrap().join("program");
    fs::copy(BIN, &copy).unwrap();
    for command in ["index -q --jobs 8 --min-layer-size 0", "verify -q", "ls --ref v1", "remove -q"]
    {
        let script = format!("ulimit -u 1; exec \"$0\" {command} \"$1\"");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(&copy).arg(&layout);
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            shell.uid(48_213).gid(48_213);
        }
        ends_with(0, &shell.output().unwrap());
    }
}
