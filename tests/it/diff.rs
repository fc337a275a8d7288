//! What `diff` tells: an indexer's work, other settings, a rebuild, damage.

use std::path::Path;

use serde_json::Value;
use soci_layout::diff::{Change, DiffOptions, Difference, diff};
use soci_layout::event::Silent;
use soci_layout::ztoc::Ztoc;
use soci_layout::{IndexVersion, Options};

use crate::context::{Context, fixtures, platform};
use crate::inspect::{run, stdout};
use crate::verify::{change_zinfo, indexed, largest_ztoc, replace};

fn compared(a: &Path, b: &Path) -> Difference {
    diff(a, b, &DiffOptions::default(), &Silent).unwrap()
}

fn with(fixture: &str, change: impl FnOnce(&mut Options)) -> Context {
    let context = Context::fixture(fixture);
    let mut options = Context::options();
    change(&mut options);
    context.index(&options).unwrap();
    context
}

#[test]
fn the_whole_text() {
    let after = with("multi-attest", |_| {});
    let before = fixtures().join("multi-attest");
    let shown = stdout(run("diff", &[&before, &after.layout()]));
    insta::assert_snapshot!("indexed", shown);
}

#[test]
fn exit_codes() {
    let (a, b) = (fixtures().join("single"), fixtures().join("gzip9"));
    let same = run("diff", &[&a, &Context::fixture("single").layout(), &"--exit-code"]);
    assert!(stdout(same).starts_with("no difference: 1 image, 6 blobs, "));
    stdout(run("diff", &[&a, &b]));
    assert_eq!(run("diff", &[&a, &b, &"--exit-code"]).status.code(), Some(1));
    assert_eq!(run("diff", &[&a]).status.code(), Some(2));
    assert_eq!(run("diff", &[&a, &"--ref", &"v1"]).status.code(), Some(2));
    assert_eq!(run("diff", &[&a, &b, &"--ref", &"v7"]).status.code(), Some(1));
    assert_eq!(run("diff", &[&a, &"/nonexistent"]).status.code(), Some(1));
}

#[test]
fn indexing_adds_and_a_second_run_reuses() {
    let (before, after) = (Context::fixture("appended"), with("appended", |_| {}));
    let found = compared(&before.layout(), &after.layout());
    assert!(!found.same);
    // The tags v1, v2, latest and their full names.
    assert_eq!(found.names.len(), 6);
    assert_eq!(found.images.len(), 3);
    for image in &found.images {
        assert_eq!(image.change, Change::Changed);
        for layer in &image.layers {
            assert_eq!((layer.change, layer.ztoc), (Change::Same, Some(Change::Added)));
        }
    }
    // One platform more: the other's zTOCs are the same.
    let one = with("multi-attest", |o| o.images = platform("linux/amd64"));
    let both = with("multi-attest", |_| {});
    let found = compared(&one.layout(), &both.layout());
    let ztocs =
        |image: usize| found.images[image].layers.iter().map(|l| l.ztoc).collect::<Vec<_>>();
    assert_eq!(ztocs(0), [Some(Change::Same); 3]);
    assert_eq!(found.images[0].change, Change::Same);
    assert_eq!(ztocs(1), [Some(Change::Added); 3]);
    let found = compared(&both.layout(), &one.layout());
    assert_eq!(found.images[1].layers[0].ztoc, Some(Change::Removed));
}

#[test]
fn one_layer_with_two_ztocs() {
    let base = with("single", |_| {});
    let places = |other: &Context| -> Vec<String> {
        let found = compared(&base.layout(), &other.layout());
        let layer = &found.images[0].layers[0];
        assert_eq!((layer.change, layer.ztoc), (Change::Same, Some(Change::Changed)));
        assert!(layer.contrasts.iter().all(|contrast| contrast.a != contrast.b));
        layer.contrasts.iter().map(|contrast| contrast.place.clone()).collect()
    };
    let other = with("single", |o| o.span_size = 1 << 17);
    assert_eq!(places(&other), ["span size", "spans", "checkpoint 1"]);
    let other = with("single", |o| o.build_tool_identifier = "other".into());
    assert_eq!(places(&other), ["build tool"]);

    // One byte of a window; one field of one entry.
    let base = indexed("single", IndexVersion::V2);
    let damaged = change_zinfo(|bytes| bytes[12 + (17 + (32 << 10)) + 17 + 20_000] ^= 8);
    let found = compared(&base.layout(), &damaged.layout());
    let layers = &found.images[0].layers;
    let contrasts: Vec<_> = layers.iter().flat_map(|layer| &layer.contrasts).collect();
    assert_eq!(contrasts.len(), 1, "{contrasts:?}");
    assert_eq!(contrasts[0].place, "window of checkpoint 1, byte 20000");

    let other = indexed("single", IndexVersion::V2);
    let digest = largest_ztoc(&other);
    let mut bytes = other.blob(&digest);
    // `0755` of some entry, where it is stored; the first one found is one.
    let at = bytes.windows(8).rposition(|w| w == 0o755_i64.to_le_bytes()).unwrap();
    bytes[at] ^= 1;
    let index = Ztoc::decode(&bytes).unwrap();
    let number = index.toc.iter().position(|file| file.mode() == 0o754).unwrap();
    replace(&other, &digest, &bytes);
    let found = compared(&base.layout(), &other.layout());
    let layers = &found.images[0].layers;
    let contrast = layers.iter().flat_map(|layer| &layer.contrasts).next().unwrap();
    assert!(contrast.place.starts_with(&format!("mode of TOC entry {number} (")), "{contrast:?}");
    assert_eq!((contrast.a.as_str(), contrast.b.as_str()), ("0o755", "0o754"));

    replace(&other, &largest_ztoc(&other), b"not one");
    let found = compared(&base.layout(), &other.layout());
    let contrasts: Vec<_> =
        found.images[0].layers.iter().flat_map(|layer| &layer.contrasts).collect();
    assert!(contrasts[0].place == "the zTOC" && contrasts[0].a == "good", "{contrasts:?}");
}

#[test]
fn a_rebuild() {
    // The same content in another compression.
    let (a, b) = (with("single", |_| {}), with("gzip9", |_| {}));
    let found = compared(&a.layout(), &b.layout());
    let layers = &found.images[0].layers;
    assert_eq!(layers.len(), 4);
    let changed: Vec<_> = layers.iter().filter(|l| l.change == Change::Changed).collect();
    assert!(!changed.is_empty() && changed.iter().all(|layer| layer.same_content));
    for files in changed.iter().filter_map(|layer| layer.files.as_ref()) {
        assert_eq!((files.added, files.removed, files.changed), (0, 0, 0));
    }
    // Written by another tool: the same files in another archive.
    let b = with("estargz", |_| {});
    let found = compared(&a.layout(), &b.layout());
    let files = found.images[0].layers[0].files.as_ref().unwrap();
    assert_eq!((files.added, files.removed, files.changed), (0, 0, 0));
    assert!(files.unchanged > 50, "{files:?}");
    assert!(!found.images[0].layers[0].same_content);
}

#[test]
fn two_names_of_one_layout() {
    let context = with("appended", |_| {});
    let json =
        stdout(run("diff", &[&context.layout(), &"--ref", &"v1", &"--ref", &"v2", &"--json"]));
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&value["version"], &value["same"]), (&1.into(), &false.into()));
    assert_eq!(value["names"].as_array().unwrap().len(), 0);
    let changes: Vec<_> =
        value["images"].as_array().unwrap().iter().map(|i| &i["change"]).collect();
    assert_eq!(changes, ["changed", "removed"]);
    let layer = &value["images"][0]["layers"][0];
    assert_eq!((&layer["change"], &layer["ztoc"]), (&"changed".into(), &"changed".into()));
    let files = &layer["files"];
    let numbers = ["added", "removed", "changed", "unchanged"].map(|name| files[name].clone());
    assert_eq!(numbers, [95, 5, 24, 0]);
    assert_eq!(files["examples"].as_array().unwrap().len(), 124);
    let options =
        with!(DiffOptions::default(), ref_a = Some("v2".into()), ref_b = Some("latest".into()));
    let found = diff(&context.layout(), &context.layout(), &options, &Silent).unwrap();
    assert!(found.same, "{found:?}");
    // A platform that one side has not.
    let options = with!(
        DiffOptions::default(),
        ref_a = Some("v1".into()),
        ref_b = Some("v2".into()),
        platforms = vec!["linux/arm64".parse().unwrap()]
    );
    let found = diff(&context.layout(), &context.layout(), &options, &Silent).unwrap();
    assert_eq!(found.images.len(), 1);
    assert_eq!(found.images[0].change, Change::Removed);
    let nowhere = with!(options, platforms = vec!["linux/s390x".parse().unwrap()]);
    assert!(diff(&context.layout(), &context.layout(), &nowhere, &Silent).is_err());
}
