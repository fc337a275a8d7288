//! What an in-place edit must keep (names, annotations, order, unknown members, attestation links),
//! and what it must add.

use serde_json::{Value, json};

use crate::context::{Context, named, text};

const INDEX_DIGEST: &str = "com.amazon.soci.index-digest";
const IMAGE_MANIFEST_DIGEST: &str = "com.amazon.soci.image-manifest-digest";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const V2: &str = "application/vnd.amazon.soci.index.v2+json";

fn children(index: &Value) -> &Vec<Value> {
    index["manifests"].as_array().unwrap()
}

fn is_soci(descriptor: &Value) -> bool {
    descriptor["artifactType"]
        .as_str()
        .is_some_and(|t| t.starts_with("application/vnd.amazon.soci"))
}

#[test]
fn a_single_image_gets_an_index_and_keeps_its_names_on_the_root() {
    let context = Context::fixture("single");
    let before = context.index_json();
    let report = context.index(&Context::options()).unwrap();
    let after = context.index_json();
    let (old, new) = (&children(&before)[0], &children(&after)[0]);
    assert_eq!(new["annotations"], old["annotations"]);
    assert_eq!(new["mediaType"], OCI_INDEX);
    assert!(new["platform"].is_null());
    let index = context.json(text(&new["digest"]));
    let [image, soci] = children(&index).as_slice() else { panic!("{index}") };
    assert_eq!(image["platform"], old["platform"]);
    assert_eq!(image["annotations"], json!({INDEX_DIGEST: soci["digest"]}));
    assert_eq!(soci["artifactType"], V2);
    assert_eq!(soci["platform"], old["platform"]);
    assert_eq!(soci["annotations"], json!({IMAGE_MANIFEST_DIGEST: image["digest"]}));
    let manifest = context.json(text(&image["digest"]));
    assert_eq!(manifest["annotations"][INDEX_DIGEST], soci["digest"]);
    assert_eq!(report.roots[0].after.to_string(), text(&new["digest"]));
}

#[test]
fn index_json_changes_nowhere_but_in_the_selected_entries() {
    let context = Context::fixture("appended");
    let before = context.index_json();
    let options = with!(Context::options(), images = named("v1"));
    context.index(&options).unwrap();
    let after = context.index_json();
    assert_eq!(children(&after)[1..], children(&before)[1..]);
    assert_eq!(children(&after)[0]["annotations"], children(&before)[0]["annotations"]);
    assert_ne!(children(&after)[0]["digest"], children(&before)[0]["digest"]);
}

#[test]
fn all_names_of_an_image_move_together() {
    for options in [Context::options(), with!(Context::options(), images = named("v2"))] {
        let context = Context::fixture("appended");
        context.index(&options).unwrap();
        let after = context.index_json();
        assert_eq!(children(&after)[1]["digest"], children(&after)[2]["digest"]);
        assert_eq!(children(&after)[1]["mediaType"], OCI_INDEX);
        let name =
            |i: usize| children(&after)[i]["annotations"]["io.containerd.image.name"].clone();
        assert_eq!(
            (name(1), name(2)),
            (json!("example.com/app:v2"), json!("example.com/app:latest"))
        );
    }
}

#[test]
fn a_build_cache_in_the_same_directory_is_left_alone() {
    let context = Context::fixture("cache-shared");
    let before = context.index_json();
    context.index(&Context::options()).unwrap();
    let after = context.index_json();
    assert_eq!(children(&after)[0], children(&before)[0]);
    assert_ne!(children(&after)[1], children(&before)[1]);
}

#[test]
fn attestations_follow_their_image_and_keep_everything_else() {
    for fixture in ["multi-attest", "multi-attest-legacy", "sbom", "two-names-multi"] {
        let context = Context::fixture(fixture);
        let before = context.index_json();
        let old_index = context.json(text(&children(&before)[0]["digest"]));
        context.index(&Context::options()).unwrap();
        let after = context.index_json();
        let new_index = context.json(text(&children(&after)[0]["digest"]));
        let mut checked = 0;
        for (old, new) in children(&old_index).iter().zip(children(&new_index)) {
            let reference = &old["annotations"]["vnd.docker.reference.digest"];
            if reference.is_null() {
                continue;
            }
            let position =
                children(&old_index).iter().position(|d| d["digest"] == *reference).unwrap();
            let image = &children(&new_index)[position];
            let mut expected = old.clone();
            expected["annotations"]["vnd.docker.reference.digest"] = image["digest"].clone();
            expected["digest"] = new["digest"].clone();
            expected["size"] = new["size"].clone();
            assert_eq!(*new, expected, "{fixture}");
            let old_text = String::from_utf8(context.blob(text(&old["digest"]))).unwrap();
            let new_text = String::from_utf8(context.blob(text(&new["digest"]))).unwrap();
            let manifest: Value = serde_json::from_str(&new_text).unwrap();
            if manifest["subject"].is_null() {
                assert_eq!(new["digest"], old["digest"], "{fixture}");
            } else {
                assert_eq!(manifest["subject"]["digest"], image["digest"], "{fixture}");
                assert_eq!(manifest["subject"]["size"], image["size"], "{fixture}");
                // Only the subject's two values changed: putting them back gives the old text.
                let old_manifest: Value = serde_json::from_str(&old_text).unwrap();
                let back = new_text.replace(text(&image["digest"]), text(reference)).replacen(
                    &format!("\"size\": {}", image["size"]),
                    &format!("\"size\": {}", old_manifest["subject"]["size"]),
                    1,
                );
                assert_eq!(back, old_text, "{fixture}");
            }
            checked += 1;
        }
        assert!(checked > 0, "{fixture}");
        // Images first, SOCI indexes last.
        let first_soci = children(&new_index).iter().position(is_soci).unwrap();
        assert!(children(&new_index)[first_soci..].iter().all(is_soci));
        assert_eq!(first_soci, children(&old_index).len());
    }
}

#[test]
fn annotations_stay_where_they_are() {
    let context = Context::fixture("rewrite-annotations");
    let before = context.index_json();
    let old_index = context.json(text(&children(&before)[0]["digest"]));
    context.index(&Context::options()).unwrap();
    let after = context.index_json();
    let new_index = context.json(text(&children(&after)[0]["digest"]));
    assert_eq!(children(&after)[0]["annotations"], children(&before)[0]["annotations"]);
    assert_eq!(new_index["annotations"], old_index["annotations"]);
    for (old, new) in children(&old_index).iter().zip(children(&new_index)) {
        let mut annotations = old["annotations"].clone();
        annotations[INDEX_DIGEST] = new["annotations"][INDEX_DIGEST].clone();
        assert_eq!(new["annotations"], annotations);
        assert_eq!(new["platform"], old["platform"]);
    }
}

#[test]
fn nothing_but_new_blobs_and_index_json_changes() {
    for fixture in ["single", "multi-attest", "appended", "docker-manifest-list", "uncompressed"] {
        let context = Context::fixture(fixture);
        let before = context.files();
        context.index(&Context::options()).unwrap();
        let after = context.files();
        for (name, state) in &before {
            if name != "index.json" {
                assert_eq!(after.get(name), Some(state), "{fixture}: {name}");
            }
        }
        for (name, state) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
            assert!(name.starts_with("blobs/sha256/"), "{fixture}: {name}");
            assert_eq!(state.mode, 0o444, "{fixture}: {name}");
        }
        assert_eq!(after["index.json"].mode, 0o644);
    }
}

#[test]
fn a_second_run_touches_nothing() {
    for fixture in ["single", "multi-attest", "two-names-multi", "rewrite-annotations", "estargz"] {
        for (version, shape) in crate::shapes::ALL {
            let context = Context::fixture(fixture);
            let options = with!(Context::options(), index_version = version, v1_shape = shape);
            let first = context.index(&options).unwrap();
            assert!(first.changed);
            let before = context.files();
            let second = context.index(&options).unwrap();
            assert!(!second.changed && second.blobs_written == 0 && second.bytes_written == 0);
            assert_eq!(context.files(), before, "{fixture} {version:?} {shape:?}");
        }
    }
}

#[test]
fn platforms_can_be_added_one_by_one() {
    let whole = Context::fixture("multi-attest");
    whole.index(&Context::options()).unwrap();
    for order in [["linux/amd64", "linux/arm64"], ["linux/arm64", "linux/amd64"]] {
        let context = Context::fixture("multi-attest");
        for platform in order {
            let images = crate::context::platform(platform);
            context.index(&with!(Context::options(), images)).unwrap();
        }
        assert_eq!(context.index_json(), whole.index_json());
    }
}

#[test]
fn an_image_that_was_not_selected_stays_byte_for_byte() {
    let context = Context::fixture("multi-attest");
    let before = context.index_json();
    let old_index = context.json(text(&children(&before)[0]["digest"]));
    let images = crate::context::platform("linux/arm64");
    context.index(&with!(Context::options(), images)).unwrap();
    let new_index = context.json(text(&children(&context.index_json())[0]["digest"]));
    assert_eq!(children(&new_index)[0], children(&old_index)[0]);
    assert_ne!(children(&new_index)[1], children(&old_index)[1]);
    assert_eq!(children(&new_index)[2], children(&old_index)[2]);
}

#[test]
fn unknown_members_survive() {
    let context = Context::fixture("single");
    let root = &children(&context.index_json())[0].clone();
    let mut manifest = context.json(text(&root["digest"]));
    manifest["x-unknown"] = json!({"a": [1, "<&>"]});
    manifest["layers"][0]["x-layer"] = json!(1.5);
    let digest = context.put(manifest.to_string().as_bytes());
    let mut index = context.index_json();
    index["x-top"] = json!("kept");
    index["manifests"][0]["digest"] = json!(digest);
    index["manifests"][0]["size"] = json!(manifest.to_string().len());
    index["manifests"][0]["x-root"] = json!(true);
    context.write_index_json(&index.to_string());
    context.index(&Context::options()).unwrap();
    let after = context.index_json();
    assert_eq!(after["x-top"], "kept");
    assert_eq!(after["manifests"][0]["x-root"], true);
    let nested = context.json(text(&after["manifests"][0]["digest"]));
    let image = context.json(text(&nested["manifests"][0]["digest"]));
    assert_eq!(image["x-unknown"], manifest["x-unknown"]);
    assert_eq!(image["layers"][0]["x-layer"], 1.5);
}

#[test]
fn a_missing_platform_is_reported_and_left_alone() {
    let context = Context::fixture("multi-attest");
    let before = context.index_json();
    let old_index = context.json(text(&children(&before)[0]["digest"]));
    let gone = text(&children(&old_index)[0]["digest"]);
    std::fs::remove_file(context.blob_path(gone)).unwrap();
    let report = context.index(&Context::options()).unwrap();
    assert!(report.warnings.iter().any(|w| w.contains(gone)), "{:?}", report.warnings);
    let new_index = context.json(text(&children(&context.index_json())[0]["digest"]));
    assert_eq!(children(&new_index)[0], children(&old_index)[0]);
    assert!(!children(&new_index)[1]["annotations"][INDEX_DIGEST].is_null());
}

#[test]
fn zstd_layers_are_skipped_with_a_reason() {
    let context = Context::fixture("zstd-mixed");
    let report = context.index(&Context::options()).unwrap();
    let skipped: Vec<String> = report
        .layers
        .iter()
        .filter_map(|layer| match &layer.outcome {
            soci_layout::report::LayerOutcome::Skipped(reason) => Some(reason.text.clone()),
            _ => None,
        })
        .collect();
    assert!(skipped.len() == 2 && skipped.iter().all(|r| r.contains("zstd")), "{skipped:?}");
    assert!(report.changed);

    let context = Context::fixture("zstd");
    let before = context.files();
    assert!(!context.index(&Context::options()).unwrap().changed);
    assert_eq!(context.files(), before);
    let strict = with!(Context::options(), strict = true);
    assert!(context.index(&strict).unwrap_err().to_string().contains("zstd"));
}

#[test]
fn prune_removes_what_was_superseded_and_nothing_else() {
    let context = Context::fixture("multi-attest");
    let before = context.files();
    let options = with!(Context::options(), prune = true);
    let report = context.index(&options).unwrap();
    let after = context.files();
    let gone: Vec<&String> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    // The index, two image manifests, two attestation manifests.
    assert_eq!((gone.len(), report.blobs_pruned), (5, 5), "{gone:?}");
    assert!(!context.index(&options).unwrap().changed);
    assert_eq!(context.files(), after);
}
