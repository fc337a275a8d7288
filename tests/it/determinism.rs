//! The bytes depend on the input and the options alone.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use soci_layout::Options;

use crate::context::Context;

/// Content by path.
fn contents(context: &Context) -> BTreeMap<String, Vec<u8>> {
    context.files().into_iter().map(|(name, state)| (name, state.content)).collect()
}

#[test]
fn any_number_of_jobs_gives_the_same_bytes() {
    for fixture in ["appended", "estargz"] {
        let mut results = Vec::new();
        for jobs in [1, 2, 7] {
            let context = Context::fixture(fixture);
            let options = with!(Context::options(), jobs = NonZeroUsize::new(jobs));
            context.index(&options).unwrap();
            results.push(contents(&context));
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{fixture}");
    }
}

#[test]
fn the_order_of_the_directory_does_not_matter() {
    let plain = Context::fixture("appended");
    plain.index(&Context::options()).unwrap();
    let context = Context::fixture("appended");
    // Written again in another order, among other files: a directory lists them in another one then.
    let blobs = context.layout().join("blobs/sha256");
    let mut names: Vec<_> = std::fs::read_dir(&blobs).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for (number, path) in names.iter().rev().enumerate() {
        let content = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        std::fs::write(blobs.join(format!("stray-{number}")), b"x").unwrap();
        std::fs::write(path, content).unwrap();
    }
    context.index(&Context::options()).unwrap();
    let mut found = contents(&context);
    found.retain(|name, _| !name.contains("stray-"));
    assert_eq!(found, contents(&plain));
}

#[test]
fn a_dry_run_says_what_a_run_does_and_touches_nothing() {
    let context = Context::fixture("zstd-mixed");
    let before = context.files();
    let dry = context.index(&with!(Context::options(), dry_run = true)).unwrap();
    assert_eq!(context.files(), before);
    assert!(dry.dry_run && dry.changed);
    let real = context.index(&Context::options()).unwrap();
    assert_eq!(dry.layers.len(), real.layers.len());
    let again = context.index(&with!(Context::options(), dry_run = true)).unwrap();
    let outcome = |report: &soci_layout::Report| {
        serde_json::to_value(&report.layers[0]).unwrap()["outcome"].clone()
    };
    assert_eq!(
        (outcome(&dry), outcome(&real), outcome(&again)),
        ("pending".into(), "indexed".into(), "reused".into())
    );
}

#[test]
fn small_layers_alone_leave_the_layout_untouched() {
    let context = Context::fixture("single");
    let before = context.files();
    let report = context.index(&Options::default()).unwrap();
    assert!(!report.changed && report.blobs_written == 0);
    assert_eq!(context.files(), before);
}
