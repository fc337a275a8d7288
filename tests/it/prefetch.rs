//! `--prefetch-file` and its kin: which files are found, which spans are written, and what is said of the rest.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use soci_layout::report::PrefetchReport;
use soci_layout::verify::{Consequence, VerifyOptions, verify};
use soci_layout::{Error, IndexVersion, Link, Options, PrefetchFiles, PrefetchLimit, Report};
use soci_layout::{event::Silent, inspect, prefetch};

use crate::context::{Context, text};
use crate::files::{Archive, layout, program, utf8};
use crate::verify::replace;

const SPAN: u64 = 4096;

/// Bytes that no compressor makes smaller, so that a gzip layer has a block end, and a checkpoint, every now and then.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A layout of three layers: the lowest begins its names with `./`, the uppermost is small and hides names.
fn stack() -> Context {
    layout(&[
        Archive::new()
            .directory("./opt/")
            .directory("./opt/app/")
            .file("./opt/app/main", &noise(1, 300_000))
            .file("./opt/app/old", &noise(2, 200_000))
            .file("./opt/app/empty", b"")
            .file("./opt/app/.hidden", &noise(3, 20_000))
            .add(b"./opt/app/same", tar::EntryType::Link, "./opt/app/main", b"")
            .gzip(),
        Archive::new()
            .directory("usr/")
            .directory("usr/lib/")
            .file("usr/lib/a.so", &noise(4, 60_000))
            .file("usr/lib/b.so.1", &noise(5, 60_000))
            .link("usr/lib/b.so", "b.so.1")
            .file("usr/lib/[x].js", &noise(6, 9_000))
            .link("lib", "usr/lib")
            .link("app", "/opt/app")
            .link("nowhere", "/not/there")
            .file("opt/app/data", &noise(7, 50_000))
            .plain(),
        Archive::new()
            .file("opt/app/.wh.old", b"")
            .file("etc/small", b"eager")
            .file("usr/lib/a.so", b"replaced, eager")
            .gzip(),
    ])
}

/// The third layer stays without a zTOC.
fn options(files: &[&str]) -> Options {
    let files = files.iter().map(|path| (*path).to_owned()).collect();
    let prefetch = PrefetchFiles { files, ..PrefetchFiles::default() };
    with!(
        Options::default(),
        min_layer_size = 1000,
        min_saving = 0,
        span_size = SPAN,
        accept_unlike_unpacked = true,
        prefetch
    )
}

fn indexed(files: &[&str]) -> (Context, Report) {
    let context = stack();
    let report = context.index(&options(files)).unwrap();
    (context, report)
}

/// Files and, by the layer's number from 1, ranges.
fn found(files: &[&str]) -> (u64, BTreeMap<usize, Vec<(u64, u64)>>) {
    let (_, report) = indexed(files);
    let [list] = &report.prefetch[..] else { panic!("one image: {report:?}") };
    (list.files, ranges(&report, list))
}

fn ranges(report: &Report, list: &PrefetchReport) -> BTreeMap<usize, Vec<(u64, u64)>> {
    let number = |artifact: &soci_layout::report::PrefetchArtifact| {
        1 + report.layers.iter().position(|layer| layer.digest == artifact.layer).unwrap()
    };
    list.artifacts.iter().map(|artifact| (number(artifact), artifact.spans.clone())).collect()
}

#[test]
fn paths_lead_to_the_file_that_the_image_shows() {
    let (_, main) = found(&["/opt/app/main"]);
    assert_eq!(main.keys().collect::<Vec<_>>(), [&1]);
    // Names in the list and in the layer, links, hard links.
    for path in [
        "opt/app/main",
        "./opt/app/main",
        "/../opt//app/./main",
        "app/main",
        "/app/same",
        "/opt/app/x/../main",
    ] {
        assert_eq!(found(&[path]), (1, main.clone()), "{path}");
    }
    // One file by two names is one file.
    assert_eq!(found(&["/app/main", "/opt/app/same"]), (1, main.clone()));
    // The header is in front of the content, and the file goes on for its size.
    let (first, last) = main[&1][0];
    assert!(first == 0 && last >= 4, "{main:?}");
    // A file in a plain layer: arithmetic. Header and content of data lie behind those of the others.
    let (_, data) = found(&["lib/b.so"]);
    let header = 512 * 3 + 60_416;
    let expected = [((header) / SPAN, (header + 512 + 60_000) / SPAN)];
    assert_eq!(data[&2], expected);
}

#[test]
fn directories_and_globs() {
    let (_, report) = indexed(&["/opt/app"]);
    let list = &report.prefetch[0];
    // main, .hidden and data; old is removed, empty has nothing to fetch, same is main.
    assert_eq!((list.files, list.artifacts.len()), (3, 2));
    let all = ranges(&report, list);
    for (globs, files) in [
        (&["/opt/app/**"][..], 3),
        (&["/opt/app/*"], 3),
        (&["/app/*"], 3),
        (&["/o*/a??/{main,data,.hidden}"], 3),
        (&["**/main", "**/data", "/opt/**/.hid*"], 3),
        (&["/opt/app/ma[h-j]n", "/opt/**/data", "/opt/app/.h*"], 3),
    ] {
        let (found, spans) = found(globs);
        assert_eq!((found, &spans), (files, &all), "{globs:?}");
    }
    // Directories that match are not taken whole, and a link to a directory is gone through.
    assert_eq!(found(&["/opt/*"]).0, 0);
    assert_eq!(found(&["/li?/b.so"]).0, 1);
    // A name is a name first.
    assert_eq!(found(&["/usr/lib/[x].js"]).0, 1);
    assert_eq!(found(&["/usr/lib/b.so*"]).0, 1);
}

#[test]
fn what_is_not_there_is_told() {
    let missing = [
        ("/opt/app/old", "no such file or directory"),
        ("/nowhere", "no such file or directory"),
        ("/opt/app/main/x", "not a directory"),
        ("/opt/app/*.jar", "it stands for no file"),
        ("/opt/app/{a", "unclosed alternate group"),
    ];
    let mut files: Vec<&str> = missing.iter().map(|(path, _)| *path).collect();
    files.push("/opt/app/main");
    let (_, report) = indexed(&files);
    let list = &report.prefetch[0];
    assert_eq!(list.not_found, files[..missing.len()]);
    assert_eq!(list.files, 1);
    for (path, why) in missing {
        let told = |warning: &&String| warning.contains(path) && warning.contains(why);
        assert_eq!(report.warnings.iter().filter(told).count(), 1, "{path}: {:?}", report.warnings);
    }
    let context = layout(&[Archive::new().file("main", &noise(1, 90_000)).gzip()]);
    let before = context.files();
    let strict = with!(options(&["/main", "/x", "/y"]), strict = true);
    let refused = context.index(&strict).unwrap_err();
    let Error::PrefetchNotFound { paths } = &refused else { panic!("{refused}") };
    assert_eq!(paths, &["/x", "/y"]);
    assert_eq!(context.files(), before);
}

/// What is fetched whole anyway needs no artifact.
#[test]
fn files_of_eager_layers_are_told() {
    let (_, report) = indexed(&["/usr/lib/a.so", "/usr/lib", "/etc/small"]);
    let list = &report.prefetch[0];
    assert_eq!(list.eager, ["/usr/lib/a.so", "/usr/lib", "/etc/small"]);
    let told = report.warnings.join("\n");
    assert!(
        told.contains("1 of 3 files of /usr/lib in linux/amd64: in layers that are fetched whole"),
        "{told}"
    );
    assert!(told.contains("prefetch: /etc/small in linux/amd64: in layers that"), "{told}");
    assert_eq!(list.artifacts.len(), 1);
}

#[test]
fn every_way_to_a_ztoc_gives_the_same_artifacts() {
    let files = ["/app", "/lib/*"];
    let (context, first) = indexed(&files);
    let list = |report: &Report| serde_json::to_value(&report.prefetch[0].artifacts).unwrap();
    let after = context.files();
    // zTOCs that are in the layout; with and without a look at their layers.
    for trust_blobs in [false, true] {
        let again = context.index(&with!(options(&files), trust_blobs)).unwrap();
        assert_eq!((list(&again), again.changed, again.blobs_written), (list(&first), false, 0));
        assert_eq!(context.files(), after);
    }
    // From the cache, dry, and dry with the cache.
    let cache = stack();
    let cache_dir = Some(cache.layout().with_file_name("cache"));
    let dry = with!(options(&files), dry_run = true);
    assert_eq!(list(&stack().index(&dry).unwrap()), list(&first));
    for _ in 0..2 {
        let context = stack();
        let report = context.index(&with!(options(&files), cache_dir = cache_dir.clone())).unwrap();
        assert_eq!(list(&report), list(&first));
        let dry = with!(dry.clone(), cache_dir = cache_dir.clone());
        let found = stack().index(&dry).unwrap();
        assert_eq!(list(&found), list(&first));
        // Each zTOC is looked up once, as without a list.
        let plain = with!(dry.clone(), prefetch = PrefetchFiles::default());
        assert_eq!(found.cache, stack().index(&plain).unwrap().cache);
        assert!(found.cache.is_some_and(|cache| cache.hits > 0));
    }
    // Both versions list the same artifacts behind the zTOCs.
    let both = stack();
    both.index(&with!(options(&files), index_version = IndexVersion::Both)).unwrap();
    let shown =
        inspect::inspect(&both.layout(), &inspect::InspectOptions::default(), &Silent).unwrap();
    assert_eq!(shown.soci_indexes.len(), 2);
    for index in &shown.soci_indexes {
        assert_eq!(index.rejected, None);
        let digests: Vec<_> = index.prefetch.iter().map(|artifact| artifact.digest).collect();
        let expected: Vec<_> = first.prefetch[0].artifacts.iter().map(|a| a.digest).collect();
        assert_eq!(digests, expected);
        assert!(index.prefetch.iter().all(|artifact| artifact.problem.is_none()));
    }
    let checked = verify(&both.layout(), &VerifyOptions::default(), &Silent).unwrap();
    let wrong = checked.findings.iter().find(|finding| finding.place.contains("prefetch"));
    assert!(wrong.is_none(), "{wrong:?}");
    // Without a list the artifacts go again.
    let without = context.index(&options(&[])).unwrap();
    assert!(without.changed && without.prefetch.is_empty());
}

#[test]
fn remove_and_gc_treat_artifacts_as_part_of_the_index() {
    let context = stack();
    let before = context.files();
    let report = context.index(&options(&["/app/main", "/lib/b.so"])).unwrap();
    let artifacts: Vec<String> =
        report.prefetch[0].artifacts.iter().map(|artifact| artifact.digest.to_string()).collect();
    assert_eq!(artifacts.len(), 2);
    let collected = program(&context, "gc", &["--min-age", "0s"]);
    assert!(collected.status.success(), "{}", utf8(&collected.stderr));
    for artifact in &artifacts {
        context.blob(artifact);
    }
    // gc took what indexing replaced; so once more, with all of it.
    let context = stack();
    context.index(&options(&["/app/main", "/lib/b.so"])).unwrap();
    let removed = program(&context, "remove", &["--prune"]);
    assert!(removed.status.success(), "{}", utf8(&removed.stderr));
    assert!(artifacts.iter().all(|artifact| !context.blob_path(artifact).exists()));
    let content =
        |files: &BTreeMap<String, crate::context::FileState>| -> BTreeMap<String, Vec<u8>> {
            files.iter().map(|(name, state)| (name.clone(), state.content.clone())).collect()
        };
    assert_eq!(content(&context.files()), content(&before));
}

#[test]
fn diff_shows_other_spans() {
    let (a, _) = indexed(&["/app/main"]);
    let (b, _) = indexed(&["/lib/b.so"]);
    let shown = program(&a, "diff", &[b.layout().to_str().unwrap()]);
    let shown = utf8(&shown.stdout);
    assert!(shown.contains("prefetch: spans 0-") && shown.contains("→ nothing"), "{shown}");
    assert!(shown.contains("prefetch: nothing → spans 15-29"), "{shown}");
    let inspected = program(&a, "inspect", &[]);
    assert!(utf8(&inspected.stdout).contains("of layer 1"), "{}", utf8(&inspected.stdout));
}

#[test]
fn plan_tells_what_would_be_fetched() {
    let context = stack();
    let before = context.files();
    let arguments = [
        "--min-layer-size",
        "1000",
        "--min-saving",
        "0",
        "--span-size",
        "4096",
        "--prefetch-file",
        "/app/main",
    ];
    let planned = program(&context, "plan", &[&arguments[..], &["--json"]].concat());
    assert!(planned.status.success(), "{}", utf8(&planned.stderr));
    let planned: Value = serde_json::from_slice(&planned.stdout).unwrap();
    let (_, report) = indexed(&["/app/main"]);
    assert_eq!(planned["plan"]["prefetch"], serde_json::to_value(&report.prefetch).unwrap());
    let told = program(&context, "plan", &arguments);
    assert!(utf8(&told.stdout).contains("  prefetch: 1 file in "), "{}", utf8(&told.stdout));
    assert_eq!(context.files(), before);
    let done = program(&context, "index", &arguments);
    assert!(utf8(&done.stderr).contains("prefetch   1 file in "), "{}", utf8(&done.stderr));
}

#[test]
fn lists_and_traces_in_files() {
    let context = stack();
    let path = |name: &str| context.layout().with_file_name(name);
    fs::write(path("list.json"), r#"[" /app/main ", "", "/lib/b.so"]"#).unwrap();
    let stargz = r#"{"path":"opt/app/data","manifestDigest":"sha256:5d07","layerIndex":0}"#;
    fs::write(path("stargz"), format!("{stargz}\n{stargz}\n")).unwrap();
    fs::write(path("strace"), "7 openat(AT_FDCWD, \"/opt/app/.hidden\", O_RDONLY) = 3\n7 openat(AT_FDCWD, \"/proc/1/x\", O_RDONLY) = 3\n").unwrap();
    fs::write(path("plain"), "/usr/lib/[x].js\n/opt\n/gone\n").unwrap();
    let files = ["stargz", "strace", "plain"].map(path);
    let mut arguments =
        "--json --min-layer-size 1000 --min-saving 0 --accept unlike-unpacked --prefetch-files-json"
            .split(' ')
            .collect::<Vec<_>>();
    let list = path("list.json");
    arguments.push(list.to_str().unwrap());
    for file in &files {
        arguments.extend(["--prefetch-trace", file.to_str().unwrap()]);
    }
    let output = program(&context, "index", &arguments);
    assert!(output.status.success(), "{}", utf8(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    // A directory in a trace was listed, not read.
    assert_eq!(report["prefetch"][0]["files"], 5, "{report}");
    assert_eq!(report["prefetch"][0]["not_found"], serde_json::json!(["/proc/1/x", "/gone"]));
    let told = text(&report["warnings"][0]);
    assert!(
        told.contains("2 of 6 recorded files are not in linux/amd64, the first is /proc/1/x"),
        "{told}"
    );

    fs::write(path("wrong"), r#"{"a": 1}"#).unwrap();
    for arguments in [
        ["--prefetch-files-json", path("wrong").to_str().unwrap()],
        ["--prefetch-trace", path("wrong").to_str().unwrap()],
        ["--prefetch-trace", path("not-there").to_str().unwrap()],
    ] {
        let before = context.files();
        let refused = program(&context, "index", &arguments);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(utf8(&refused.stderr).contains(arguments[1]), "{}", utf8(&refused.stderr));
        assert_eq!(context.files(), before);
    }
    fs::write(path("empty"), "\n").unwrap();
    let refused = prefetch::read_trace(&path("empty")).unwrap_err();
    assert!(matches!(refused, Error::PrefetchList { .. }), "{refused}");
}

/// What a registry was asked for becomes the spans that were read, of the layers that the record is about.
#[test]
fn an_access_log_of_a_registry() {
    let context = stack();
    let report = context.index(&options(&["/app/main", "/lib/b.so"])).unwrap();
    let wanted = ranges(&report, &report.prefetch[0]);
    let (gzip, plain) = (report.layers[0].digest, report.layers[1].digest);
    let line = |layer: &dyn std::fmt::Display, (first, last): (u64, u64)| {
        format!("\"GET /v2/app/blobs/{layer} HTTP/1.1\" 206 - \"bytes={first}-{last}\"\n")
    };
    // The first questions of a reader, then spans, which lie in the blob of a plain layer as in its content.
    let mut log = line(&gzip, (0, 1)) + &line(&gzip, (0, 9)) + &line(&plain, (0, 1));
    for (first, last) in &wanted[&2] {
        log += &line(&plain, (first * SPAN, (last + 1) * SPAN - 1));
    }
    // A span of the gzip layer, all of it: the whole blob.
    log += &line(&gzip, (0, u64::MAX));
    let gone = format!("sha256:{}", "0".repeat(64));
    log += &line(&gone, (0, 4095));
    log += "\"GET /v2/app/manifests/v1 HTTP/1.1\" 200 4096 \"-\"\n";

    let path = context.layout().with_file_name("access.log");
    fs::write(&path, log).unwrap();
    let trace = prefetch::read_trace(&path).unwrap();
    assert!(trace.files.is_empty());
    let mut options = options(&[]);
    options.prefetch.ranges = trace.ranges;
    // A record of a run with other spans serves as well.
    for span_size in [SPAN, 2 * SPAN] {
        let context = stack();
        let report = context.index(&with!(options.clone(), span_size)).unwrap();
        let list = &report.prefetch[0];
        let found = ranges(&report, list);
        let expected: Vec<_> =
            wanted[&2].iter().map(|(a, b)| (a * SPAN / span_size, b * SPAN / span_size)).collect();
        assert_eq!(found[&2], expected);
        assert!(matches!(found[&1][..], [(0, last)] if last > 20), "{found:?}");
        assert_eq!((list.files, list.ranges, list.ranges_not_found), (0, 2, 1), "{list:?}");
        assert!(report.warnings.iter().any(|told| told.contains(&gone)), "{:?}", report.warnings);
        let checked = verify(&context.layout(), &VerifyOptions::default(), &Silent).unwrap();
        // (The layers are no image, and they are shown otherwise than unpacked.)
        let wrong = checked.findings.iter().filter(|finding| finding.place.contains("prefetch"));
        assert_eq!(wrong.count(), 0, "{:?}", checked.findings);
    }
    // Without time for the second, only the first.
    let link = Link {
        bandwidth: 1 << 40,
        each: false,
        latency: std::time::Duration::from_secs(1),
        connections: std::num::NonZeroU64::MIN,
    };
    let time = std::time::Duration::from_secs(20);
    options.prefetch.limit = Some(PrefetchLimit { time, link });
    let report = stack().index(&options).unwrap();
    let list = &report.prefetch[0];
    assert_eq!((list.ranges, list.artifacts.len()), (1, 1), "{list:?}");
    assert!(
        report.warnings.iter().any(|told| told.contains("1 recorded ranges")),
        "{:?}",
        report.warnings
    );
}

/// The reference's snapshotter names the files that were read, in a debug log with much else.
#[test]
fn the_log_of_the_snapshotter() {
    let context = stack();
    let path = context.layout().with_file_name("snapshotter.log");
    let line = |operation: &str, path: &str| {
        format!(
            "{{\"level\":\"debug\",\"msg\":\"FUSE operation\",\"operation\":\"{operation}\",\"path\":\"{path}\",\"time\":\"2026-11-27T12:00:00Z\"}}\n"
        )
    };
    let log = String::from("{\"level\":\"info\",\"msg\":\"starting\"}\n")
        + &line("node.Lookup", "opt/app")
        + &line("node.Open", "opt/app/data")
        + &line("file.Read", "opt/app/main")
        + &line("file.Read", "opt/app/main")
        + &line("file.Read", "usr/lib/b.so.1");
    fs::write(&path, log).unwrap();
    let trace = prefetch::read_trace(&path).unwrap();
    let paths: Vec<_> = trace.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["opt/app/main", "usr/lib/b.so.1"]);
    assert!(trace.ranges.is_empty());
}

/// The first files that a line carries in the time; then only those that cost nothing more.
#[test]
fn a_time_cuts_the_list() {
    let spans_of = |files: &[&str]| indexed(files).1.prefetch[0].spans;
    let (main, data) = (spans_of(&["/app/main"]), spans_of(&["/app/data"]));
    let seconds = |seconds: u64| Some(f64::from(u32::try_from(seconds).unwrap()));
    let link = Link {
        bandwidth: 1 << 40,
        each: false,
        latency: std::time::Duration::from_secs(1),
        connections: std::num::NonZeroU64::MIN,
    };
    let with = |seconds: u64| {
        let mut options =
            options(&["/app/data", "/app/main", "/lib/b.so", "/app/data", "/app/same"]);
        let time = std::time::Duration::from_secs(seconds) + std::time::Duration::from_millis(10);
        options.prefetch.limit = Some(PrefetchLimit { time, link });
        let report = stack().index(&options).unwrap();
        let list = &report.prefetch[0];
        (list.files, list.left_out, list.spans, list.seconds.map(f64::round))
    };
    let all = spans_of(&["/app/data", "/app/main", "/lib/b.so"]);
    assert_eq!(with(all), (3, 0, all, seconds(all)));
    assert_eq!(with(data + main), (2, 1, data + main, seconds(data + main)));
    // What comes behind a file that is left out is left out as well, though it would fit.
    assert_eq!(with(data + main - 1), (1, 2, data, seconds(data)));
    assert_eq!(with(data - 1), (0, 3, 0, seconds(0)));
}

/// Paths of one platform are no mistake in the others.
#[test]
fn several_platforms() {
    let context = Context::fixture("multi-attest");
    let mut options = Context::options();
    options.prefetch.files = vec!["**".to_owned()];
    let report = context.index(&with!(options, strict = true)).unwrap();
    assert!(report.images.len() > 1);
    assert_eq!(report.prefetch.len(), report.images.len());
    for (list, image) in report.prefetch.iter().zip(&report.images) {
        assert_eq!((list.image, &list.platform), (image.before, &image.platform));
        assert!(list.files > 0 && !list.artifacts.is_empty(), "{list:?}");
    }
    let checked = verify(&context.layout(), &VerifyOptions::default(), &Silent).unwrap();
    assert!(checked.findings.is_empty(), "{:?}", checked.findings);
}

/// An archive goes through the same stage.
#[test]
fn archives() {
    let context = stack();
    let archive = context.layout().with_file_name("image.tar");
    let packed = std::process::Command::new("tar")
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(context.layout())
        .arg(".")
        .status();
    assert!(packed.unwrap().success());
    let output = context.layout().with_file_name("out");
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_soci-layout"))
        .args([
            "index",
            "--json",
            "--min-layer-size",
            "1000",
            "--min-saving",
            "0",
            "--span-size",
            "4096",
        ])
        .args(["--prefetch-file", "/app/main", "--output"])
        .args([&output, &archive])
        .env_clear()
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", utf8(&run.stderr));
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let (_, expected) = indexed(&["/app/main"]);
    let expected = serde_json::to_value(&expected.prefetch[0].artifacts).unwrap();
    assert_eq!(report["prefetch"][0]["artifacts"], expected);
}

/// The reader takes the first artifact of a layer.
#[test]
fn verify_tells_a_second_artifact_of_a_layer() {
    let context = Context::fixture("single");
    let mut options = Context::options();
    options.prefetch.files = vec!["usr/**".to_owned()];
    let report = context.index(&options).unwrap();
    let artifact = &report.prefetch[0].artifacts[0];
    let index = report.images[0].soci_v2.unwrap().to_string();
    let document = String::from_utf8(context.blob(&index)).unwrap();
    let start = document.find(r#"{"mediaType":"application/vnd.amazon.soci.prefetch"#).unwrap();
    let entry = &document[start..start + document[start..].find("}}").unwrap() + 2];
    let other = r#"{"version":"1.0","prefetch_spans":[{"start_span":0,"end_span":1}]}"#;
    let sizes = [artifact.size, other.len() as u64].map(|size| format!("\"size\":{size}"));
    let second = entry.replace(&artifact.digest.to_string(), &context.put(other.as_bytes()));
    let second = second.replace(&sizes[0], &sizes[1]);
    assert_ne!(entry, second);
    let changed = document.replacen(entry, &format!("{entry},{second}"), 1);
    replace(&context, &index, changed.as_bytes());
    let checked = verify(&context.layout(), &VerifyOptions::default(), &Silent).unwrap();
    let [finding] = &checked.findings[..] else { panic!("{:#?}", checked.findings) };
    assert_eq!(finding.consequence, Consequence::Misleading);
    assert!(finding.expected.contains(&artifact.digest.to_string()), "{finding:?}");
}
