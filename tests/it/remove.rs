//! `remove` is the way back from `index`: to the byte while the superseded documents are there, by
//! meaning when they are not.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use soci_layout::event::Silent;
use soci_layout::{IndexVersion, RemoveOptions, RemoveReport, V1Shape, remove};

use crate::context::{Context, fixtures, named, platform, text};

const ALL: [(IndexVersion, V1Shape); 5] = [
    (IndexVersion::V2, V1Shape::Nested),
    (IndexVersion::V1, V1Shape::Nested),
    (IndexVersion::V1, V1Shape::Tagged),
    (IndexVersion::Both, V1Shape::Nested),
    (IndexVersion::Both, V1Shape::Tagged),
];

fn undo(context: &Context, options: &RemoveOptions) -> RemoveReport {
    remove(&context.layout(), options, &Silent).unwrap()
}

fn contents(context: &Context) -> BTreeMap<String, Vec<u8>> {
    context.files().into_iter().map(|(name, state)| (name, state.content)).collect()
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 17, "{names:?}");
    names
}

#[test]
fn every_export_is_as_before_to_the_byte() {
    let mut changed = 0;
    for name in names() {
        for (index_version, v1_shape) in ALL {
            let context = Context::fixture(&name);
            let before = contents(&context);
            let options = with!(Context::options(), index_version, v1_shape);
            let indexed = context.index(&options).unwrap();
            changed += u32::from(indexed.changed);
            let dry = with!(RemoveOptions::default(), dry_run = true);
            let with_index = context.files();
            let planned = undo(&context, &dry);
            assert_eq!(context.files(), with_index, "{name}: a dry run writes nothing");
            let report = undo(&context, &RemoveOptions::default());
            assert_eq!(planned.changed, report.changed, "{name}");
            assert_eq!(report.changed, indexed.changed, "{name} {index_version:?} {v1_shape:?}");
            assert_eq!(report.blobs_written, 0, "{name}: all of it was there");
            let after = contents(&context);
            for (file, content) in &before {
                assert_eq!(
                    after.get(file),
                    Some(content),
                    "{name} {index_version:?} {v1_shape:?}: {file}"
                );
            }
            // Again: nothing is touched.
            let state = context.files();
            assert!(!undo(&context, &RemoveOptions::default()).changed, "{name}");
            assert_eq!(context.files(), state, "{name}");
        }
    }
    assert!(changed > 60, "only {changed} layouts were indexed at all");
}

#[test]
fn with_prune_no_trace_is_left() {
    for name in names() {
        for (index_version, v1_shape) in ALL {
            let context = Context::fixture(&name);
            let before = contents(&context);
            let options = with!(Context::options(), index_version, v1_shape);
            context.index(&options).unwrap();
            undo(&context, &with!(RemoveOptions::default(), prune = true));
            assert_eq!(contents(&context), before, "{name} {index_version:?} {v1_shape:?}");
        }
    }
}

/// What a manifest or index says, without what only its form decides: media types of Docker become OCI's,
/// and digests of other documents are replaced by what these say.
fn meaning(context: &Context, document: &Value) -> Value {
    let text = document.to_string();
    let mut value: Value = serde_json::from_str(
        &text
            .replace("vnd.docker.distribution.manifest.list.v2", "vnd.oci.image.index.v1")
            .replace("vnd.docker.distribution.manifest.v2", "vnd.oci.image.manifest.v1")
            .replace("vnd.docker.container.image.v1", "vnd.oci.image.config.v1")
            .replace("vnd.docker.image.rootfs.diff.tar.gzip", "vnd.oci.image.layer.v1.tar+gzip"),
    )
    .unwrap();
    for list in ["manifests"] {
        for entry in value[list].as_array_mut().into_iter().flatten() {
            let digest = entry["digest"].as_str().unwrap().to_owned();
            entry["digest"] = meaning(context, &context.json(&digest));
            entry["size"] = Value::Null;
            // An attestation's own digest moves with its image's.
            if let Some(annotations) = entry["annotations"].as_object_mut()
                && let Some(reference) = annotations.get_mut("vnd.docker.reference.digest")
            {
                let digest = reference.as_str().unwrap().to_owned();
                *reference = meaning(context, &context.json(&digest));
            }
        }
    }
    if let Some(subject) = value.get_mut("subject") {
        let digest = text_of(&subject["digest"]);
        *subject = meaning(context, &context.json(&digest));
    }
    value
}

fn text_of(value: &Value) -> String {
    text(value).to_owned()
}

#[test]
fn without_the_superseded_documents_it_means_the_same() {
    for name in names() {
        for (index_version, v1_shape) in ALL {
            let context = Context::fixture(&name);
            let before = meaning(&context, &context.index_json());
            let options = with!(Context::options(), index_version, v1_shape, prune = true);
            context.index(&options).unwrap();
            let report = undo(&context, &with!(RemoveOptions::default(), prune = true));
            let after = meaning(&context, &context.index_json());
            assert_eq!(after, before, "{name} {index_version:?} {v1_shape:?}");
            if name != "zstd" {
                assert!(report.images.iter().all(|image| !image.removed.is_empty()), "{name}");
            }
            // What is left can be indexed like the original.
            let context_2 = Context::fixture(&name);
            let again = context.index(&options).unwrap();
            let fresh = context_2.index(&options).unwrap();
            let soci = |report: &soci_layout::Report| -> Vec<_> {
                report.images.iter().map(|image| image.soci_v2).collect()
            };
            assert_eq!(soci(&again), soci(&fresh), "{name}");
        }
    }
}

#[test]
fn a_root_without_platform_gets_none_back() {
    let context = Context::fixture("single");
    let original = context.index_json().to_string();
    let bare = original.replace(r#","platform":{"architecture":"amd64","os":"linux"}"#, "");
    assert_ne!(bare, original);
    context.write_index_json(&bare);
    for (index_version, v1_shape) in ALL {
        context.index(&with!(Context::options(), index_version, v1_shape)).unwrap();
        undo(&context, &RemoveOptions::default());
        assert_eq!(context.index_json().to_string(), bare, "{index_version:?} {v1_shape:?}");
    }
}

#[test]
fn one_version_goes_and_the_other_stays() {
    for v1_shape in [V1Shape::Nested, V1Shape::Tagged] {
        for name in ["single", "multi-attest", "appended", "two-names-multi"] {
            let both = with!(Context::options(), index_version = IndexVersion::Both, v1_shape);
            let context = Context::fixture(name);
            context.index(&both).unwrap();
            let only = |index_version| with!(RemoveOptions::default(), index_version);
            let report = undo(&context, &only(IndexVersion::V2));
            assert!(report.images.iter().all(|image| image.removed.len() == 1), "{name}");
            // As if only V1 had been asked for.
            let expected = Context::fixture(name);
            let v1 = with!(Context::options(), index_version = IndexVersion::V1, v1_shape);
            expected.index(&v1).unwrap();
            assert_eq!(context.index_json(), expected.index_json(), "{name} {v1_shape:?}");
            assert!(!undo(&context, &only(IndexVersion::V2)).changed, "{name}");

            let context = Context::fixture(name);
            context.index(&both).unwrap();
            undo(&context, &only(IndexVersion::V1));
            let expected = Context::fixture(name);
            expected.index(&Context::options()).unwrap();
            assert_eq!(context.index_json(), expected.index_json(), "{name} {v1_shape:?}");
        }
    }
}

#[test]
fn one_platform_goes_and_the_others_stay() {
    for (index_version, v1_shape) in ALL {
        let options = with!(Context::options(), index_version, v1_shape);
        let context = Context::fixture("multi-attest");
        let original = context.index_json();
        context.index(&options).unwrap();
        let images = platform("linux/arm64");
        let report = undo(&context, &with!(RemoveOptions::default(), images));
        assert_eq!(report.images.len(), 1);
        let expected = Context::fixture("multi-attest");
        expected.index(&with!(options, images = platform("linux/amd64"))).unwrap();
        assert_eq!(context.index_json(), expected.index_json(), "{index_version:?} {v1_shape:?}");
        undo(&context, &RemoveOptions::default());
        assert_eq!(context.index_json(), original);
    }
}

#[test]
fn one_name_goes_and_the_others_stay() {
    let context = Context::fixture("appended");
    let original = context.index_json();
    context.index(&Context::options()).unwrap();
    let indexed = context.index_json();
    undo(&context, &with!(RemoveOptions::default(), images = named("v1")));
    let now = context.index_json();
    assert_eq!(now["manifests"][0], original["manifests"][0]);
    assert_eq!(now["manifests"][1], indexed["manifests"][1]);
    assert_eq!(now["manifests"][2], indexed["manifests"][2]);
    let error =
        remove(&context.layout(), &with!(RemoveOptions::default(), images = named("v9")), &Silent);
    assert!(error.unwrap_err().to_string().contains("v9"));
}
