//! `soci-layout trace`: ranges of layers become parts of files, which serve for the next build.

use std::fs;

use serde_json::{Value, json};
use soci_layout::{Options, prefetch};

use crate::context::Context;
use crate::files::{Archive, layout, program, utf8};

const SPAN: u64 = 4096;
const BLOCK: u64 = 512;

/// An image of one plain layer, whose spans are arithmetic, and a small one above that hides a name.
fn image(first: Option<&[u8]>) -> Context {
    let archive = Archive::new().directory("app/");
    let archive = match first {
        Some(content) => archive.file("app/added", content),
        None => archive,
    };
    layout(&[
        archive
            .file("app/large", &vec![1; 50_000])
            .file("app/hidden", &[2; 5_000])
            .file("app/small", &[3; 300])
            .link("app/link", "large")
            .plain(),
        Archive::new().file("app/.wh.hidden", b"").gzip(),
    ])
}

/// Content of `app/large` in the image without an added file.
const LARGE: u64 = 2 * BLOCK;
/// And of `app/small`: behind `large` in 98 blocks and `hidden` in 10, each with its header.
const SMALL: u64 = LARGE + 98 * BLOCK + 11 * BLOCK + BLOCK;

fn options() -> Options {
    let (span_size, min_layer_size, min_saving) = (SPAN, 1000, 0);
    with!(Options::default(), span_size, min_layer_size, min_saving, accept_unlike_unpacked = true)
}

#[test]
fn ranges_become_parts_of_files_and_these_spans_of_the_next_build() {
    let context = image(None);
    let report = context.index(&options()).unwrap();
    let layer = report.layers[0].digest;
    // The spans with the end of small, then those with bytes 10,000 to 20,000 of large.
    let of = |from: u64, to: u64| {
        let (first, last) = (from / SPAN * SPAN, (to / SPAN + 1) * SPAN - 1);
        format!("GET /v2/app/blobs/{layer} bytes={first}-{last}\n")
    };
    let (from, to) = (LARGE + 10_000, LARGE + 20_000);
    let gone = format!("GET /v2/app/blobs/sha256:{} bytes=0-4095\n", "0".repeat(64));
    let log = context.layout().with_file_name("access.log");
    fs::write(&log, of(SMALL, SMALL + 299) + &of(from, to) + &gone).unwrap();
    let log = log.to_str().unwrap();

    let output = program(&context, "trace", &[log]);
    assert!(output.status.success(), "{}", utf8(&output.stderr));
    let told = utf8(&output.stderr);
    assert!(told.contains("1 of 3 recorded ranges"), "{told}");
    let lines: Vec<Value> =
        utf8(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let part = [from / SPAN * SPAN - LARGE, (to / SPAN + 1) * SPAN - 1 - LARGE];
    assert_eq!(
        lines,
        // In the span of small is the end of nothing else that the image shows.
        [json!({"path": "app/small"}), json!({"path": "app/large", "parts": [part]})]
    );
    // The same for what is no access log: names stay.
    let names = context.layout().with_file_name("names");
    fs::write(&names, "app/small\n").unwrap();
    let output = program(&context, "trace", &[names.to_str().unwrap()]);
    assert_eq!(utf8(&output.stdout), "{\"path\":\"app/small\"}\n");

    // Everything lies elsewhere in the next build.
    let next = image(Some(&[9; 10_000]));
    let shift = BLOCK + 20 * BLOCK;
    let trace = next.layout().with_file_name("app.trace");
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(&trace, lines.join("\n")).unwrap();
    let mut options = options();
    options.prefetch.traced = prefetch::read_trace(&trace).unwrap().files;
    let report = next.index(&options).unwrap();
    let list = &report.prefetch[0];
    assert_eq!((list.files, list.not_found.len()), (2, 0), "{list:?}");
    let spans: Vec<u64> =
        list.artifacts[0].spans.iter().flat_map(|(first, last)| *first..=*last).collect();
    let mut expected: Vec<u64> = (part[0]..=part[1])
        .map(|byte| (LARGE + shift + byte) / SPAN)
        .chain([(LARGE + shift - BLOCK) / SPAN])
        .chain((SMALL - BLOCK..=SMALL + 300).map(|byte| (byte + shift) / SPAN))
        .collect();
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(spans, expected);
}

#[test]
fn one_layer_alone_and_mistakes() {
    let context = image(None);
    let report = context.index(&options()).unwrap();
    let log = context.layout().with_file_name("access.log");
    let layer = report.layers[0].digest;
    fs::write(&log, format!("GET /v2/app/blobs/{layer} bytes=0-\n")).unwrap();
    let output = program(&context, "trace", &[log.to_str().unwrap(), "--layer", "1"]);
    let names: Vec<_> = utf8(&output.stdout).lines().map(str::to_owned).collect();
    let expected = ["large", "hidden", "small"].map(|n| format!("{{\"path\":\"app/{n}\"}}"));
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(names), sorted(expected.to_vec()));
    let empty = context.layout().with_file_name("empty");
    fs::write(&empty, "").unwrap();
    let output = program(&context, "trace", &[empty.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(utf8(&output.stderr).contains("empty"), "{}", utf8(&output.stderr));
    assert_eq!(program(&context, "trace", &[]).status.code(), Some(2));
}
