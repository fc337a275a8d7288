//! `soci-layout cache ls`, `prune` and `verify`, as the real binary.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use crate::cache::{command, entries, filled, options};
use crate::context::Context;

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.out).unwrap();
        assert_eq!(value["version"], 1);
        value
    }
}

/// Runs `cache ARGUMENTS --cache-dir CACHE`.
fn run(cache: &Path, arguments: &str) -> Ran {
    let mut command = command();
    command.arg("cache").args(arguments.split_whitespace()).arg("--cache-dir").arg(cache);
    let output = command.output().unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn set_age(path: &Path, age: Duration) {
    let file = File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn ls_tells_what_each_entry_is_for() {
    let cache = filled();
    let paths = entries(cache.path());
    for (days, path) in paths.iter().enumerate() {
        set_age(path, DAY * days as u32 + Duration::from_secs(5));
    }
    fs::write(cache.path().join("README"), "not ours").unwrap();
    fs::write(&paths[3], "damaged").unwrap();
    let json = run(cache.path(), "ls --json");
    assert_eq!(json.code, Some(0), "{}", json.err);
    let json = json.json();
    let listed = json["entries"].as_array().unwrap();
    let names: Vec<_> = listed.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, paths[..3].iter().map(|path| name(path)).collect::<Vec<_>>());
    assert_eq!(json["unusable"][0]["name"], name(&paths[3]));
    assert_eq!(json["others"], 1);
    let first = &listed[0];
    assert!(name(&paths[0]).starts_with(&first["layer"].as_str().unwrap()["sha256:".len()..]));
    assert_eq!((&first["compression"], &first["span_size"]), (&"gzip".into(), &65_536.into()));
    assert!(first["last_used"].as_str().unwrap().ends_with('Z'));
    let text = run(cache.path(), "ls");
    assert_eq!(text.out.lines().count(), 1 + 3, "{}", text.out);
    assert!(text.err.contains("4 entries") && text.err.contains("1 other files"), "{}", text.err);
    assert!(text.err.contains("warning:") && text.err.contains("bad header"), "{}", text.err);
}

#[test]
fn prune_by_age_and_size() {
    let cache = filled();
    let paths = entries(cache.path());
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let sizes: Vec<u64> = paths.iter().map(|path| size(path)).collect();
    for (path, days) in paths.iter().zip([40, 1, 20, 3]) {
        set_age(path, DAY * days);
    }
    let elsewhere = TempDir::new().unwrap();
    let target = elsewhere.path().join("target");
    fs::write(&target, "mine").unwrap();
    // Nothing of this is an entry, however old it is.
    let foreign = ["README", "x.ztoc", &name(&paths[0]).to_uppercase(), "sub"];
    for file in &foreign[..3] {
        fs::write(cache.path().join(file), "mine").unwrap();
        set_age(&cache.path().join(file), DAY * 900);
    }
    fs::create_dir(cache.path().join("sub")).unwrap();
    let link = cache.path().join(name(&paths[0]).replace('a', "b").replace('0', "1"));
    symlink(&target, &link).unwrap();
    // What runs leave: a young one may still be written.
    let (young, left) =
        (cache.path().join(".soci-layout-y.tmp"), cache.path().join(".soci-layout-l.tmp"));
    fs::write(&young, "half").unwrap();
    fs::write(&left, "half").unwrap();
    set_age(&left, Duration::from_secs(2 * 3600));

    let before = entries(cache.path());
    let dry = run(cache.path(), "prune --max-age 30d --dry-run");
    assert!(
        dry.out.contains("would remove 1 entry") && dry.out.contains(&name(&paths[0])),
        "{}",
        dry.out
    );
    assert_eq!(entries(cache.path()), before);

    let aged = run(cache.path(), "prune --max-age 30d --json").json();
    assert_eq!(aged["removed"][0]["name"], name(&paths[0]));
    assert_eq!((&aged["removed"][0]["reason"], &aged["kept"]), (&"age".into(), &3.into()));
    assert_eq!(aged["temporary_removed"], 1);
    assert!(!paths[0].exists() && !left.exists() && young.exists());

    // The longest unused of the others goes, and no more than needed.
    let limit = sizes[1] + sizes[2] + sizes[3] - 1;
    let sized = run(cache.path(), &format!("prune --max-size {limit}"));
    assert_eq!(sized.code, Some(0), "{}", sized.err);
    assert!(
        sized.out.contains("removed 1 entry") && sized.out.contains(&name(&paths[2])),
        "{}",
        sized.out
    );
    assert!(paths[1].exists() && !paths[2].exists() && paths[3].exists());
    let all = run(cache.path(), "prune --max-size 0");
    assert!(all.out.contains("removed 2 entries"), "{}", all.out);
    let mut stays: Vec<_> = foreign.iter().map(|file| cache.path().join(file)).collect();
    stays.extend([young, link]);
    stays.sort();
    assert_eq!(entries(cache.path()), stays);
    assert_eq!(fs::read(&target).unwrap(), b"mine");
}

#[test]
fn what_was_used_yesterday_outlives_what_was_not() {
    let cache = filled();
    for path in entries(cache.path()) {
        set_age(&path, DAY * 9);
    }
    Context::fixture("single").index(&options(cache.path())).unwrap();
    let pruned = run(cache.path(), "prune --max-age 8d --json").json();
    assert_eq!(pruned["kept"], 4, "{pruned}");
}

#[test]
fn verify_lists_and_removes_all_that_is_corrupt() {
    let cache = filled();
    let clean = run(cache.path(), "verify");
    assert_eq!(clean.code, Some(0), "{}", clean.err);
    assert!(
        clean.out.contains("4 entries sound") && clean.out.contains("0 corrupt"),
        "{}",
        clean.out
    );
    let paths = entries(cache.path());
    fs::write(&paths[0], "").unwrap();
    fs::copy(&paths[2], &paths[1]).unwrap();
    fs::remove_file(&paths[3]).unwrap();
    symlink(&paths[2], &paths[3]).unwrap();
    // One of another version is not judged.
    let other = cache.path().join(name(&paths[2]).replace(".v1.", ".v2."));
    fs::write(&other, "anything").unwrap();
    let found = run(cache.path(), "verify --json");
    assert_eq!(found.code, Some(1), "{}", found.err);
    let found = found.json();
    let names: Vec<_> = found["corrupt"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, [&paths[0], &paths[1], &paths[3]].map(|path| name(path)));
    assert_eq!((&found["sound"], &found["other_versions"]), (&1.into(), &1.into()));
    assert!(fs::symlink_metadata(&paths[3]).is_ok(), "nothing is removed without being asked to");
    let removed = run(cache.path(), "verify --remove");
    assert_eq!(removed.code, Some(1), "{}", removed.err);
    assert_eq!(removed.out.matches("(removed)").count(), 3, "{}", removed.out);
    let mut left = vec![paths[2].clone(), other];
    left.sort();
    assert_eq!(entries(cache.path()), left);
    assert_eq!(run(cache.path(), "verify").code, Some(0));
}

#[test]
fn directories_that_are_not_there_or_none() {
    let aside = TempDir::new().unwrap();
    let missing = aside.path().join("missing");
    for arguments in ["ls", "verify", "prune --max-size 0"] {
        let ran = run(&missing, arguments);
        assert_eq!(ran.code, Some(0), "{arguments}: {}", ran.err);
    }
    assert!(!missing.exists());
    let file = aside.path().join("file");
    fs::write(&file, "x").unwrap();
    let failed = run(&file, "ls");
    assert_eq!(failed.code, Some(1));
    assert!(failed.err.contains("failed to list"), "{}", failed.err);
    let none = command().args(["cache", "ls"]).output().unwrap();
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8(none.stderr).unwrap().contains("SOCI_LAYOUT_CACHE_DIR"));
    let empty = command().args(["cache", "ls"]).env("SOCI_LAYOUT_CACHE_DIR", "").output().unwrap();
    assert_eq!(empty.status.code(), Some(2));
}

#[test]
fn index_takes_the_directory_from_the_environment_and_tells_its_use() {
    let aside = TempDir::new().unwrap();
    let cache = aside.path().join("cache");
    let index = |extra: &[&str]| {
        let context = Context::fixture("single");
        let mut command = command();
        command.arg("index").arg(context.layout()).args(["--min-layer-size", "0"]).args(extra);
        let output = command.env("SOCI_LAYOUT_CACHE_DIR", &cache).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let first = index(&[]);
    assert!(first.contains("cache: 0 hits, 4 misses; 4 written, "), "{first}");
    let second = index(&[]);
    assert!(second.contains("cache: 4 hits, 0 misses; nothing written"), "{second}");
    assert_eq!(second.matches("CACHED").count(), 4, "{second}");
    // An empty value turns it off.
    let none = index(&["--cache-dir", ""]);
    assert!(!none.contains("cache:"), "{none}");
}
