//! The cache: what it saves, what it refuses, and that it never harms a run.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use soci_layout::cache::{CACHE_VERSION, Cache};
use soci_layout::event::Silent;
use soci_layout::report::{CacheReport, LayerOutcome, Report, ReusedFrom};
use soci_layout::verify::VerifyOptions;
use soci_layout::ztoc::zinfo::GzipZinfo;
use soci_layout::ztoc::{Zinfo, Ztoc};
use soci_layout::{Digest, Options};
use tempfile::TempDir;

use crate::context::{Context, fixtures};

/// A fixture whose four layers can all be indexed.
const FIXTURE: &str = "single";
const LAYERS: u64 = 4;

pub(crate) fn options(cache: &Path) -> Options {
    with!(Context::options(), cache_dir = Some(cache.to_owned()))
}

/// A cache with the zTOCs of [`FIXTURE`].
pub(crate) fn filled() -> TempDir {
    let cache = TempDir::new().unwrap();
    let report = Context::fixture(FIXTURE).index(&options(cache.path())).unwrap();
    assert_eq!(numbers(&report), [0, LAYERS, 0, LAYERS]);
    cache
}

/// Hits, misses, rejected, writes.
fn numbers(report: &Report) -> [u64; 4] {
    let CacheReport { hits, misses, rejected, writes, .. } = report.cache.unwrap();
    [hits, misses, rejected, writes]
}

/// The entries by name.
pub(crate) fn entries(cache: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(cache).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
}

fn contents(context: &Context) -> Vec<(String, Vec<u8>)> {
    context.files().into_iter().map(|(name, state)| (name, state.content)).collect()
}

/// What a run without a cache writes.
fn without() -> Vec<(String, Vec<u8>)> {
    let context = Context::fixture(FIXTURE);
    assert!(context.index(&Context::options()).unwrap().cache.is_none());
    contents(&context)
}

fn is_clean(cache: &Path) -> bool {
    Cache::new(cache.to_owned()).verify(false, &|| false).unwrap().corrupt.is_empty()
}

#[test]
fn a_second_job_scans_nothing_and_writes_the_same() {
    let cache = filled();
    let before: Vec<_> = entries(cache.path()).iter().map(|p| fs::metadata(p).unwrap()).collect();
    let context = Context::fixture(FIXTURE);
    let dry_run = with!(options(cache.path()), dry_run = true);
    let plan = soci_layout::index(&context.layout(), &dry_run, &Silent);
    let report = context.index(&options(cache.path())).unwrap();
    assert_eq!(numbers(&report), [LAYERS, 0, 0, 0]);
    assert_eq!(numbers(&plan.unwrap()), [LAYERS, 0, 0, 0]);
    let from_cache = |outcome: &LayerOutcome| {
        matches!(outcome, LayerOutcome::Reused { from: ReusedFrom::Cache, .. })
    };
    assert!(report.layers.iter().all(|layer| from_cache(&layer.outcome)), "{:?}", report.layers);
    assert_eq!(contents(&context), without());
    // What is in the layout is found there, and the cache is not asked.
    let again = context.index(&options(cache.path())).unwrap();
    assert_eq!(numbers(&again), [0, 0, 0, 0]);
    assert!(!again.changed);
    let json = serde_json::to_value(&again).unwrap();
    assert_eq!(json["layers"][0]["from"], "layout");
    for (before, path) in before.iter().zip(entries(cache.path())) {
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.ino(), after.mtime_nsec()), (before.ino(), before.mtime_nsec()));
    }
}

#[test]
fn a_cache_is_of_its_settings() {
    let cache = filled();
    for other in [
        with!(options(cache.path()), span_size = 128 << 10),
        with!(options(cache.path()), build_tool_identifier = "other".to_owned()),
    ] {
        let fresh = || Context::fixture(FIXTURE).index(&other).unwrap();
        assert_eq!(numbers(&fresh()), [0, LAYERS, 0, LAYERS]);
        assert_eq!(numbers(&fresh()), [LAYERS, 0, 0, 0]);
    }
    assert_eq!(entries(cache.path()).len() as u64, 3 * LAYERS);
    // What changes no zTOC does not matter.
    let v1 = with!(
        options(cache.path()),
        index_version = soci_layout::IndexVersion::Both,
        xattr_optimization = true
    );
    assert_eq!(numbers(&Context::fixture(FIXTURE).index(&v1).unwrap()), [LAYERS, 0, 0, 0]);
}

/// `CACHE_VERSION` says that these zTOCs are what a scan makes. When this fails because a scan gives other
/// bytes on purpose, caches hold the old ones: raise the version and put the new digest here.
#[test]
fn the_version_stands_for_these_ztocs() {
    let mut ztocs = BTreeSet::new();
    for fixture in fs::read_dir(fixtures()).unwrap() {
        let fixture = fixture.unwrap();
        if !fixture.file_type().unwrap().is_dir() {
            continue;
        }
        let context = Context::fixture(fixture.file_name().to_str().unwrap());
        for layer in context.index(&Context::options()).unwrap().layers {
            if let LayerOutcome::Indexed { ztoc } = layer.outcome {
                ztocs.insert(format!("{} {}\n", layer.digest, ztoc.ztoc));
            }
        }
    }
    assert!(ztocs.len() > 20, "{}", ztocs.len());
    let all: String = ztocs.into_iter().collect();
    let digest = Digest::of(all.as_bytes()).to_string();
    assert_eq!(
        (CACHE_VERSION, digest.as_str()),
        (1, "sha256:a2109dabdcf660e7b08ff6f02d3c7e42d115f93c12dd2c31db18ad1099c30ccc")
    );
}

#[test]
fn only_own_work_is_kept() {
    let (cache, context) = (TempDir::new().unwrap(), Context::fixture(FIXTURE));
    context.index(&Context::options()).unwrap();
    // The zTOCs of this layout may have come from anywhere.
    let report = context.index(&options(cache.path())).unwrap();
    assert_eq!(numbers(&report), [0, 0, 0, 0]);
    assert_eq!(entries(cache.path()), [] as [PathBuf; 0]);
    // That a layer cannot be indexed is not kept either.
    let report = Context::fixture("zstd-mixed").index(&options(cache.path())).unwrap();
    assert_eq!(numbers(&report), [0, 1, 0, 1]);
}

/// Indexes a fresh layout with the cache; the result must be the same as without, and the cache sound
/// afterwards. Gives the warnings.
#[track_caller]
fn survives(cache: &Path, rejected: u64, what: &str) -> Vec<String> {
    let context = Context::fixture(FIXTURE);
    let report = context.index(&options(cache)).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(numbers(&report), [LAYERS - rejected, rejected, rejected, rejected], "{what}");
    assert_eq!(report.warnings.len() as u64, rejected, "{what}: {:?}", report.warnings);
    assert_eq!(contents(&context), without(), "{what}");
    assert!(is_clean(cache), "{what}");
    let again = Context::fixture(FIXTURE).index(&options(cache)).unwrap();
    assert_eq!(numbers(&again), [LAYERS, 0, 0, 0], "{what}");
    report.warnings
}

#[test]
fn damaged_entries_are_found_and_replaced() {
    let cache = filled();
    let path = &entries(cache.path())[0];
    let good = fs::read(path).unwrap();
    let other = fs::read(&entries(cache.path())[1]).unwrap();
    let flipped = |position: usize| {
        let mut bytes = good.clone();
        bytes[position] ^= 0x10;
        bytes
    };
    let text = |from: &str, to: &str| {
        let head = good.windows(2).position(|w| w == b"}\n").unwrap() + 2;
        let changed = String::from_utf8(good[..head].to_vec()).unwrap().replace(from, to);
        assert_ne!(changed.as_bytes(), &good[..head]);
        [changed.as_bytes(), &good[head..]].concat()
    };
    let mut cases = vec![
        ("zero-length", vec![], "bad header"),
        ("foreign", b"GIF89a".to_vec(), "bad header"),
        ("zeros", vec![0; good.len()], "bad header"),
        ("half", good[..good.len() / 2].to_vec(), "another size"),
        ("head only", good[..100].to_vec(), "does not end"),
        ("one byte short", good[..good.len() - 1].to_vec(), "another size"),
        ("one byte more", [&good[..], b"x"].concat(), "another size"),
        ("of another layer", other, "expected sha256:"),
        ("another version", text("cache 1", "cache 2"), "version 2"),
        ("another span size", text(":65536", ":65537"), "span size: expected 65536"),
        ("absurd size", text("\"ztoc_size\":", "\"ztoc_size\":9"), "another size"),
    ];
    let middle = good.len() / 2;
    for position in [0, 20, 60, 400, middle, good.len() - 1] {
        cases.push(("flipped", flipped(position), ""));
    }
    for (what, bytes, problem) in cases {
        fs::write(path, bytes).unwrap();
        let found = Cache::new(cache.path().to_owned()).verify(false, &|| false).unwrap().corrupt;
        assert_eq!(found.len(), 1, "{what}");
        let warnings = survives(cache.path(), 1, what);
        assert!(warnings[0].contains(problem), "{what}: {warnings:?}");
        assert_eq!(fs::read(path).unwrap(), good, "{what}");
    }
}

/// The two lines of an entry, and its zTOC.
fn parts(path: &Path) -> (String, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let head = bytes.windows(2).position(|w| w == b"}\n").unwrap() + 2;
    (String::from_utf8(bytes[..head].to_vec()).unwrap(), bytes[head..].to_vec())
}

/// Writes an entry whose checksum is right for another zTOC.
fn forge(path: &Path, ztoc: &[u8]) {
    let (head, old) = parts(path);
    let head = head
        .replace(&Digest::of(&old).to_string(), &Digest::of(ztoc).to_string())
        .replace(&format!("\"ztoc_size\":{}", old.len()), &format!("\"ztoc_size\":{}", ztoc.len()));
    fs::write(path, [head.as_bytes(), ztoc].concat()).unwrap();
}

#[test]
fn a_forged_entry_with_another_layers_ztoc_is_told_by_its_spans() {
    let cache = filled();
    let paths = entries(cache.path());
    let mut ztoc = Ztoc::decode(&parts(&paths[1]).1).unwrap();
    // All that the zTOC says of the layer is put right; only the spans are another's.
    ztoc.compressed_archive_size =
        Ztoc::decode(&parts(&paths[0]).1).unwrap().compressed_archive_size;
    forge(&paths[0], &ztoc.encode().unwrap());
    assert!(is_clean(cache.path()), "without the layer nothing can be seen");
    let warnings = survives(cache.path(), 1, "swapped");
    assert!(warnings[0].contains("does not belong to this layer"), "{warnings:?}");
}

#[test]
fn a_ztoc_in_other_bytes_than_ours_is_not_taken() {
    let cache = filled();
    let path = &entries(cache.path())[0];
    let mut ztoc = parts(path).1;
    // No offset leads behind the end, so a reader does not see it.
    ztoc.extend([0; 4]);
    assert!(Ztoc::decode(&ztoc).is_ok());
    forge(path, &ztoc);
    assert!(!is_clean(cache.path()));
    let warnings = survives(cache.path(), 1, "other form");
    assert!(warnings[0].contains("not written by this program"), "{warnings:?}");
}

/// What the documentation says of trust: a wrong window is not noticed by the cache, but by `verify`.
#[test]
fn a_poisoned_window_is_seen_by_verify_only() {
    let cache = filled();
    let poisoned = entries(cache.path()).into_iter().find(|path| {
        let mut ztoc = Ztoc::decode(&parts(path).1).unwrap();
        let Zinfo::Gzip(zinfo) = &ztoc.zinfo else { return false };
        if zinfo.len() < 3 {
            return false;
        }
        let mut bytes = zinfo.as_bytes().to_vec();
        // The windows of all checkpoints but the first, whose history is empty.
        for record in bytes[12 + 32_785..].chunks_mut(32_785) {
            record[17..].iter_mut().for_each(|byte| *byte ^= 0xff);
        }
        ztoc.zinfo = Zinfo::Gzip(GzipZinfo::from_bytes(bytes).unwrap());
        forge(path, &ztoc.encode().unwrap());
        true
    });
    assert!(poisoned.is_some());
    assert!(is_clean(cache.path()), "checksum and structure are right");
    let context = Context::fixture(FIXTURE);
    let report = context.index(&options(cache.path())).unwrap();
    assert_eq!(numbers(&report), [LAYERS, 0, 0, 0]);
    assert_ne!(contents(&context), without());
    let verify = |context: &Context| {
        soci_layout::verify::verify(&context.layout(), &VerifyOptions::default(), &Silent).unwrap()
    };
    let findings = serde_json::to_value(verify(&context).findings).unwrap();
    let wrong = findings.as_array().unwrap().iter().filter(|f| f["consequence"] == "wrong-bytes");
    assert!(wrong.count() > 0, "{findings}");
    let sound = Context::fixture(FIXTURE);
    sound.index(&Context::options()).unwrap();
    assert!(verify(&sound).findings.is_empty());
}

#[test]
fn links_and_other_things_are_not_followed() {
    let cache = filled();
    let path = entries(cache.path())[0].clone();
    let aside = TempDir::new().unwrap();
    let target = aside.path().join("entry");
    fs::rename(&path, &target).unwrap();
    let before = fs::metadata(&target).unwrap();
    // Even a link to the very entry.
    symlink(&target, &path).unwrap();
    let warnings = survives(cache.path(), 1, "link");
    assert!(warnings[0].contains("no regular file"), "{warnings:?}");
    assert!(fs::symlink_metadata(&path).unwrap().is_file(), "the link itself is replaced");
    let after = fs::metadata(&target).unwrap();
    assert_eq!(
        (after.ino(), after.len(), after.mtime()),
        (before.ino(), before.len(), before.mtime())
    );

    fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    survives(cache.path(), 1, "device");
    fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o644.into(), 0)
        .unwrap();
    survives(cache.path(), 1, "pipe");

    // A directory in an entry's place cannot be replaced; the run is as good as without a cache.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let context = Context::fixture(FIXTURE);
    let report = context.index(&options(cache.path())).unwrap();
    assert_eq!(numbers(&report), [LAYERS - 1, 1, 1, 0]);
    assert!(
        report.warnings.iter().any(|w| w.contains("cannot be written")),
        "{:?}",
        report.warnings
    );
    assert_eq!(contents(&context), without());
    assert_eq!(entries(cache.path()).len() as u64, LAYERS, "no temporary file stays");

    // The cache directory itself may be a link.
    let link = aside.path().join("cache");
    symlink(filled().keep(), &link).unwrap();
    survives(&link, 0, "directory");
    fs::remove_dir_all(fs::canonicalize(&link).unwrap()).unwrap();
}

#[test]
fn a_cache_that_cannot_be_used_is_a_warning() {
    let aside = TempDir::new().unwrap();
    let file = aside.path().join("file");
    fs::write(&file, "x").unwrap();
    // Not a directory; below a file; where nobody can create anything.
    for (directory, problem, usable) in [
        (file.clone(), "cannot be used: not a directory", false),
        (file.join("below"), "cannot be used", false),
        (PathBuf::from("/sys/kernel"), "cannot be written", true),
        (PathBuf::from("/proc/no-such-directory"), "cannot be written", true),
    ] {
        let context = Context::fixture(FIXTURE);
        let report = context.index(&options(&directory)).unwrap();
        assert_eq!(report.cache.is_some(), usable, "{}", directory.display());
        assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
        assert!(report.warnings[0].contains(problem), "{:?}", report.warnings);
        assert!(
            !report.warnings[0].contains(".soci-layout-"),
            "no random names: {:?}",
            report.warnings
        );
        assert_eq!(contents(&context), without());
    }
}

#[test]
fn a_dry_run_makes_nothing() {
    let aside = TempDir::new().unwrap();
    let directory = aside.path().join("a/b");
    let context = Context::fixture(FIXTURE);
    let dry = with!(options(&directory), dry_run = true);
    assert_eq!(numbers(&context.index(&dry).unwrap()), [0, LAYERS, 0, 0]);
    assert!(!directory.exists());
    // The real run makes the directory, for its owner alone; entries follow it.
    context.index(&options(&directory)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&directory), 0o700);
    assert!(entries(&directory).iter().all(|entry| mode(entry) == 0o600));
    let shared = aside.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o2775)).unwrap();
    Context::fixture(FIXTURE).index(&options(&shared)).unwrap();
    assert!(entries(&shared).iter().all(|entry| mode(entry) == 0o664));
}

#[test]
fn a_layer_is_still_held_to_its_digest_unless_blobs_are_trusted() {
    let cache = filled();
    let damaged = || {
        let context = Context::fixture(FIXTURE);
        let probe = Context::fixture(FIXTURE);
        let layer = probe.index(&Context::options()).unwrap().layers[0].digest.to_string();
        let mut bytes = context.blob(&layer);
        bytes[500] ^= 1;
        fs::remove_file(context.blob_path(&layer)).unwrap();
        fs::write(context.blob_path(&layer), bytes).unwrap();
        context
    };
    let error = damaged().index(&options(cache.path())).unwrap_err();
    assert!(error.to_string().contains("corrupt"), "{error}");
    let trusting = with!(options(cache.path()), trust_blobs = true);
    assert_eq!(numbers(&damaged().index(&trusting).unwrap()), [LAYERS, 0, 0, 0]);
    // The entry's own checksum is computed all the same.
    let path = &entries(cache.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let last = bytes.len() - 200;
    bytes[last] ^= 1;
    fs::write(path, bytes).unwrap();
    let context = Context::fixture(FIXTURE);
    assert_eq!(numbers(&context.index(&trusting).unwrap()), [LAYERS - 1, 1, 1, 1]);
    assert_eq!(contents(&context), without());
}

#[test]
fn the_last_use_is_kept_to_the_day() {
    let cache = filled();
    let paths = entries(cache.path());
    let now = SystemTime::now();
    let set = |path: &Path, time| {
        fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
    };
    let day = Duration::from_secs(24 * 3600);
    let (old, recent, future) = (now - 3 * day, now - day / 2, now + 30 * day);
    for (path, time) in paths.iter().zip([old, recent, future]) {
        set(path, time);
    }
    let content: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    // A look is no use.
    let dry = with!(options(cache.path()), dry_run = true);
    Context::fixture(FIXTURE).index(&dry).unwrap();
    assert_eq!(fs::metadata(&paths[0]).unwrap().modified().unwrap(), old);
    Context::fixture(FIXTURE).index(&options(cache.path())).unwrap();
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let apart = |path: &Path| {
        let time = modified(path);
        time.duration_since(now).unwrap_or_else(|before| before.duration())
    };
    assert!(apart(&paths[0]) < Duration::from_secs(600), "{:?}", apart(&paths[0]));
    assert_eq!(modified(&paths[1]), recent);
    assert!(apart(&paths[2]) < Duration::from_secs(600), "{:?}", apart(&paths[2]));
    assert_eq!(paths.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(), content);
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soci-layout"));
    command.env_clear();
    command
}

#[test]
fn processes_share_a_directory() {
    let aside = TempDir::new().unwrap();
    let cache = aside.path().join("cache");
    let expected = without();
    // Twice: with an empty cache, and with one in which every second entry is damaged.
    for round in 0..2 {
        let contexts: Vec<_> = (0..6).map(|_| Context::fixture(FIXTURE)).collect();
        let runs: Vec<_> = contexts
            .iter()
            .map(|context| {
                let mut command = command();
                command.arg("index").arg(context.layout()).args(["-q", "--min-layer-size", "0"]);
                command.args(["--span-size", "64KiB"]).env("SOCI_LAYOUT_CACHE_DIR", &cache);
                command.stdout(std::process::Stdio::null()).spawn().unwrap()
            })
            .collect();
        for mut run in runs {
            assert!(run.wait().unwrap().success(), "round {round}");
        }
        for context in &contexts {
            assert_eq!(contents(context), expected, "round {round}");
        }
        // No temporary file, all whole.
        assert_eq!(entries(&cache).len() as u64, LAYERS);
        assert!(is_clean(&cache));
        for path in entries(&cache).iter().step_by(2) {
            let length = fs::metadata(path).unwrap().len();
            fs::File::options().write(true).open(path).unwrap().set_len(length / 2).unwrap();
        }
    }
}

/// Gives a tree to a user without rights, so that modes matter even when the tests run as root.
fn give(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for path in entries(path) {
            give(&path, user);
        }
    }
}

#[test]
fn a_directory_that_is_not_ours_can_be_read() {
    const NOBODY: u32 = 65_534;
    let aside = TempDir::new().unwrap();
    let root = fs::metadata(aside.path()).unwrap().uid() == 0;
    fs::set_permissions(aside.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Where the program lies may be closed to that user.
    let binary = aside.path().join("soci-layout");
    fs::copy(env!("CARGO_BIN_EXE_soci-layout"), &binary).unwrap();
    let cache = aside.path().join("cache");
    fs::create_dir(&cache).unwrap();
    Context::fixture(FIXTURE).index(&options(&cache)).unwrap();
    fs::remove_file(&entries(&cache)[0]).unwrap();
    for path in entries(&cache) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o555)).unwrap();
    let context = Context::fixture(FIXTURE);
    let parent = context.layout().parent().unwrap().to_owned();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&binary);
    command.env_clear().arg("index").arg(context.layout()).arg("--cache-dir").arg(&cache);
    command.args(["-q", "--json", "--min-layer-size", "0", "--span-size", "64KiB"]);
    if root {
        give(&context.layout(), NOBODY);
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("warning:") && told.contains("cannot be written"), "{told}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let cache_report = &report["cache"];
    assert_eq!((&cache_report["hits"], &cache_report["writes"]), (&(LAYERS - 1).into(), &0.into()));
    assert_eq!(contents(&context), without());
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o755)).unwrap();
}
