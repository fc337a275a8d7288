//! Two at once, and somebody else's lock.

use std::fs::File;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use soci_layout::Options;

use crate::context::Context;

#[test]
fn buildkits_lock_is_waited_for_and_removed_afterwards() {
    let context = Context::fixture("single");
    let path = context.layout().join("index.json.lock");
    let lock = File::create(&path).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        let run = scope.spawn(|| context.index(&Context::options()).unwrap());
        thread::sleep(Duration::from_millis(400));
        // As BuildKit does it: unlocked first, removed then.
        drop(lock);
        let _ = std::fs::remove_file(&path);
        assert!(run.join().unwrap().changed);
    });
    assert!(start.elapsed() >= Duration::from_millis(400));
    assert!(!path.exists());
}

#[test]
fn runs_at_the_same_time_take_turns() {
    let alone = Context::fixture("multi-attest");
    alone.index(&Context::options()).unwrap();
    let context = Context::fixture("multi-attest");
    let barrier = Barrier::new(4);
    let changed: usize = thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    context.index(&Context::options()).unwrap()
                })
            })
            .collect();
        runs.into_iter().map(|run| usize::from(run.join().unwrap().changed)).sum()
    });
    assert_eq!(changed, 1);
    assert_eq!(context.index_json(), alone.index_json());
    assert_eq!(
        context.files().keys().collect::<Vec<_>>(),
        alone.files().keys().collect::<Vec<_>>()
    );
}

#[test]
fn leftovers_of_a_killed_run_are_removed() {
    let context = Context::fixture("single");
    let before = context.files();
    std::fs::write(context.layout().join("blobs/sha256/.soci-layout-abc123.tmp"), b"half").unwrap();
    std::fs::write(context.layout().join(".soci-layout-abc123.tmp"), b"half").unwrap();
    context.index(&Options::default()).unwrap();
    assert_eq!(context.files(), before);
}

#[test]
fn a_trusted_blob_is_not_read() {
    let context = Context::fixture("single");
    let report = context.index(&Context::options()).unwrap();
    let layer = report.layers[0].digest.to_string();
    let mut bytes = context.blob(&layer);
    bytes[500] ^= 1;
    std::fs::remove_file(context.blob_path(&layer)).unwrap();
    std::fs::write(context.blob_path(&layer), bytes).unwrap();
    let trusting = with!(Context::options(), trust_blobs = true);
    assert!(!context.index(&trusting).unwrap().changed);
    assert!(context.index(&Context::options()).unwrap_err().to_string().contains("corrupt"));
}

#[test]
fn a_layer_that_must_not_be_handed_on_may_be_missing() {
    let context = Context::fixture("single");
    let mut index = context.index_json();
    let root = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let mut manifest = context.json(&root);
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    manifest["layers"][0]["mediaType"] =
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip".into();
    let manifest = manifest.to_string();
    index["manifests"][0]["digest"] = context.put(manifest.as_bytes()).into();
    index["manifests"][0]["size"] = manifest.len().into();
    context.write_index_json(&index.to_string());
    std::fs::remove_file(context.blob_path(&layer)).unwrap();
    let report = context.index(&Context::options()).unwrap();
    let outcome = serde_json::to_value(&report.layers[0]).unwrap();
    assert!(outcome["reason"].as_str().unwrap().contains("non-distributable"), "{outcome}");
    assert!(report.changed);
}
