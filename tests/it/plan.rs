//! `plan`: the decisions of a run, and numbers that come near those of one.

use serde_json::Value;
use soci_layout::Options;
use soci_layout::event::Silent;
use soci_layout::plan::{Estimate, estimate};
use soci_layout::report::LayerOutcome;

use crate::context::Context;
use crate::inspect::{run, stdout};

fn planned(context: &Context, options: &Options) -> Estimate {
    let before = context.files();
    let found = estimate(&context.layout(), options, &Silent).unwrap();
    assert_eq!(context.files(), before, "nothing is written");
    found
}

#[test]
fn near_what_a_run_does() {
    for fixture in ["single", "multi-attest", "estargz", "uncompressed", "gzip9", "zstd-mixed"] {
        let context = Context::fixture(fixture);
        let options = Context::options();
        let found = planned(&context, &options);
        let report = context.index(&options).unwrap();
        assert!(found.plan.dry_run);
        let mut bytes = 0;
        for layer in &report.layers {
            let expected = found.layers.iter().find(|expected| expected.digest == layer.digest);
            let LayerOutcome::Indexed { ztoc } = &layer.outcome else {
                assert!(expected.is_none(), "{fixture}");
                continue;
            };
            let expected = expected.unwrap();
            bytes += ztoc.ztoc_size;
            let near = |expected: u64, is: u64| expected <= 2 * is && is <= 2 * expected;
            assert!(near(expected.spans, ztoc.spans), "{fixture}: {expected:?} {ztoc:?}");
            assert!(near(expected.ztoc_size, ztoc.ztoc_size), "{fixture}: {expected:?} {ztoc:?}");
            let sizes = (expected.uncompressed_size, ztoc.uncompressed_size);
            // The archive ends before the padding that may follow it.
            assert!(sizes.0 >= sizes.1 && sizes.0 < sizes.1 + (64 << 10), "{fixture}: {sizes:?}");
        }
        assert!(found.ztoc_bytes <= 2 * bytes && bytes <= 2 * found.ztoc_bytes, "{fixture}");
        assert!(found.seconds > 0.0 && found.seconds < 60.0, "{fixture}: {}", found.seconds);
        assert!(found.layers.is_sorted_by(|a, b| a.size >= b.size), "the largest first");
        for layer in &found.layers {
            assert!(layer.start <= layer.end && layer.end <= found.seconds, "{fixture}: {layer:?}");
        }
        // Now there is nothing to index, and still all to read.
        let again = planned(&context, &options);
        assert!(again.layers.iter().all(|layer| !layer.scanned));
        assert_eq!((again.ztoc_bytes, again.layer_bytes), (0, found.layer_bytes), "{fixture}");
        let trusting = planned(&context, &with!(options, trust_blobs = true));
        assert_eq!((trusting.layers.len(), trusting.seconds), (0, 0.0), "{fixture}");
    }
}

#[test]
fn the_command() {
    let context = Context::fixture("zstd-mixed");
    let small: [&dyn AsRef<std::ffi::OsStr>; 5] =
        [&context.layout(), &"--min-layer-size", &"0", &"--span-size", &"64K"];
    let shown = stdout(run("plan", &small));
    for part in [
        "linux/amd64 of v1  sha256:ef126c74f2f8",
        "1  c47ce65b49b9  291.9KiB  index",
        "3f6d2009f6ed      176B  skip: zstd compression is not supported",
        "1 layer to index: 291.9KiB to read",
        "of new zTOCs",
        "of processor time",
        "measured now on the first",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let json = stdout(run("plan", &[&small[..], &[&"--json"]].concat()));
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&value["version"], &value["plan"]["dry_run"]), (&1.into(), &true.into()));
    let shown = stdout(run("plan", &[&context.layout()]));
    assert!(shown.contains("no layer would be read"), "{shown}");
    let required = run("plan", &[&context.layout(), &"--require-index"]);
    assert_eq!(required.status.code(), Some(3));
    assert_eq!(run("plan", &[&"/nonexistent"]).status.code(), Some(1));
}

/// A layer that no zTOC can be made of is seen where its first part shows it.
#[test]
fn doubts() {
    let context = Context::fixture("single");
    let mut archive = vec![0; 512];
    archive[0] = b'x';
    archive.extend_from_slice(&[7; 4096]);
    context.replace_layer(1, &archive);
    let found = planned(&context, &Context::options());
    let doubts: Vec<_> = found.layers.iter().filter_map(|layer| layer.doubt.as_ref()).collect();
    assert_eq!(doubts.len(), 1, "{doubts:?}");
    assert!(doubts[0].contains("gzip"), "{doubts:?}");
}

/// How soon the images start, by each command that tells it: the same numbers before and after the run, and what follows.
#[test]
fn how_soon_images_start() {
    let context = Context::fixture("single");
    let small: [&dyn AsRef<std::ffi::OsStr>; 7] = [
        &context.layout(),
        &"--min-layer-size",
        &"0",
        &"--span-size",
        &"64K",
        &"--link",
        &"10kB,10ms,each",
    ];
    let shown = stdout(run("plan", &small));
    for way in ["  unpacked: started after ", "  lazily: started after ", "  lazily, a list ("] {
        assert!(shown.contains(way), "{way}: {shown}");
    }
    let startup = |command: &str, more: &[&dyn AsRef<std::ffi::OsStr>]| -> Value {
        let given =
            if command == "inspect" { [&small[..1], &small[5..]].concat() } else { small.to_vec() };
        let output = run(command, &[&given[..], more, &[&"--json"]].concat());
        assert_eq!(output.status.code(), Some(0));
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let report = if command == "plan" { &value["plan"] } else { &value };
        if command == "inspect" {
            return value["images"][0]["startup"].clone();
        }
        report["startups"][0].clone()
    };
    assert_eq!(startup("index", &[&"--dry-run"]), Value::Null, "zTOCs are not known yet");
    let planned = startup("plan", &[]);
    let page = context.layout().with_file_name("summary.md");
    let indexed = startup("index", &[&"--summary", &format!("markdown={}", page.display())]);
    let inspected = startup("inspect", &[]);
    let seconds = |startup: &Value, way: &str, moment: &str| startup[way][moment].as_f64().unwrap();
    for way in ["unpacked", "lazy", "prefetched"] {
        for moment in ["started", "ready"] {
            let found = seconds(&indexed, way, moment);
            assert_eq!(indexed[way][moment], inspected[way][moment], "{way} {moment}");
            let expected = seconds(&planned, way, moment);
            assert!((found / expected - 1.0).abs() < 0.5, "{way} {moment}: {planned} {indexed}");
        }
    }
    assert_eq!(indexed["listed"], Value::Bool(false));
    let verdict = indexed["verdict"].as_str().unwrap();
    assert_eq!(inspected["verdict"], verdict);
    let told = stdout(run("inspect", &[&small[..1], &small[5..]].concat()));
    let page = std::fs::read_to_string(page).unwrap();
    // zTOCs with spans this small, which a slow line fetches twice, are larger than what they save.
    assert_eq!(verdict, "later");
    let sentence = "lazy loading will make this image ready later, with a prefetch list too";
    for text in [told, page, stdout(run("plan", &small))] {
        assert!(text.contains(sentence), "{text}");
    }
    let without = run("inspect", &[&context.layout(), &"--json"]);
    assert!(!String::from_utf8(without.stdout).unwrap().contains("startup"));
}
