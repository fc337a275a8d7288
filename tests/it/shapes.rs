//! V1 and V2, nested and tagged, and the ways between them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use soci_layout::{IndexVersion, Options, V1Shape};

use crate::context::{Context, text};

pub(crate) const ALL: [(IndexVersion, V1Shape); 5] = [
    (IndexVersion::V2, V1Shape::Nested),
    (IndexVersion::V1, V1Shape::Nested),
    (IndexVersion::V1, V1Shape::Tagged),
    (IndexVersion::Both, V1Shape::Nested),
    (IndexVersion::Both, V1Shape::Tagged),
];

const V1: &str = "application/vnd.amazon.soci.index.v1+json";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

fn options(version: IndexVersion, shape: V1Shape) -> Options {
    with!(Context::options(), index_version = version, v1_shape = shape)
}

/// Entries of `index.json` by name.
fn roots(context: &Context) -> BTreeMap<String, Value> {
    let index = context.index_json();
    let list = index["manifests"].as_array().unwrap();
    list.iter().map(|d| (text(&d["annotations"][REF_NAME]).to_owned(), d.clone())).collect()
}

fn children(context: &Context, descriptor: &Value) -> Vec<Value> {
    context.json(text(&descriptor["digest"]))["manifests"].as_array().unwrap().clone()
}

#[test]
fn v1_nested_changes_no_image_manifest() {
    let context = Context::fixture("multi-attest");
    let before = children(&context, &roots(&context)["v1"]);
    context.index(&options(IndexVersion::V1, V1Shape::Nested)).unwrap();
    let after = children(&context, &roots(&context)["v1"]);
    assert_eq!(after[..before.len()], before);
    let soci = &after[before.len()..];
    assert_eq!(soci.len(), 2);
    for (descriptor, image) in soci.iter().zip(&before) {
        assert_eq!(descriptor["artifactType"], V1);
        assert_eq!(descriptor["platform"], json!({"architecture": "unknown", "os": "unknown"}));
        let manifest = context.json(text(&descriptor["digest"]));
        assert!(manifest["artifactType"].is_null());
        for member in ["mediaType", "digest", "size"] {
            assert_eq!(manifest["subject"][member], image[member]);
        }
    }
}

#[test]
fn v1_tagged_keeps_every_digest_and_adds_a_list_per_image() {
    let context = Context::fixture("multi-attest");
    let before = roots(&context);
    let images = children(&context, &before["v1"]);
    context.index(&options(IndexVersion::V1, V1Shape::Tagged)).unwrap();
    let after = roots(&context);
    assert_eq!(after["v1"], before["v1"]);
    assert_eq!(after.len(), 3);
    for image in &images[..2] {
        let tag = text(&image["digest"]).replace(':', "-");
        let list = children(&context, &after[&tag]);
        assert_eq!(list[0]["artifactType"], V1);
        assert_eq!(
            list[0]["annotations"],
            json!({"com.amazon.soci.build-tool-identifier": "AWS SOCI CLI v0.2"})
        );
        assert_eq!(context.json(text(&list[0]["digest"]))["subject"]["digest"], image["digest"]);
        // The attestation refers to the image as well.
        assert_eq!(list[1]["artifactType"], "application/vnd.docker.attestation.manifest.v1+json");
        assert_eq!(list.len(), 2);
    }
}

#[test]
fn an_existing_list_is_merged() {
    let context = Context::fixture("single");
    let image = roots(&context)["v1"].clone();
    let other = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "text/x", "config": {"mediaType": "application/vnd.oci.empty.v1+json",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "size": 2},
        "layers": [], "subject": {"mediaType": image["mediaType"], "digest": image["digest"],
        "size": image["size"]}});
    let entry = |bytes: &[u8], digest: &str| {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
               "size": bytes.len(), "artifactType": "text/x"})
    };
    let bytes = other.to_string().into_bytes();
    let referrer = entry(&bytes, &context.put(&bytes));
    let list = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [referrer]})
    .to_string();
    let tag = text(&image["digest"]).replace(':', "-");
    let mut index = context.index_json();
    index["manifests"].as_array_mut().unwrap().push(json!({
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": context.put(list.as_bytes()), "size": list.len(), "annotations": {REF_NAME: tag}}));
    context.write_index_json(&index.to_string());

    context.index(&options(IndexVersion::V1, V1Shape::Tagged)).unwrap();
    let after = children(&context, &roots(&context)[&tag]);
    assert_eq!(roots(&context).len(), 2);
    assert_eq!((after.len(), &after[0]["artifactType"]), (2, &json!(V1)));
    assert_eq!(after[1], referrer);
    // Other settings replace it and leave what others put there.
    context.index(&options(IndexVersion::V2, V1Shape::Nested)).unwrap();
    assert_eq!(children(&context, &roots(&context)[&tag]), [referrer]);
}

#[test]
fn both_makes_v1_for_the_annotated_manifest() {
    let context = Context::fixture("two-names");
    context.index(&options(IndexVersion::Both, V1Shape::Nested)).unwrap();
    let list = children(&context, &roots(&context)["v1"]);
    let [image, v2, v1] = list.as_slice() else { panic!("{list:?}") };
    let manifest = context.json(text(&image["digest"]));
    assert_eq!(manifest["annotations"]["com.amazon.soci.index-digest"], v2["digest"]);
    let v1 = context.json(text(&v1["digest"]));
    assert_eq!(v1["subject"]["digest"], image["digest"]);
    let v2 = context.json(text(&v2["digest"]));
    assert_eq!(v1["layers"], v2["layers"]);
    assert_eq!(roots(&context)["latest"]["digest"], roots(&context)["v1"]["digest"]);
}

#[test]
fn new_settings_replace_the_old_index() {
    for fixture in ["multi-attest", "rewrite-annotations", "docker-manifest-list", "appended"] {
        for (to, to_shape) in ALL {
            let direct = Context::fixture(fixture);
            direct.index(&options(to, to_shape)).unwrap();
            for (from, from_shape) in ALL {
                let context = Context::fixture(fixture);
                context.index(&options(from, from_shape)).unwrap();
                context.index(&options(to, to_shape)).unwrap();
                let what = format!("{fixture}: {from:?} {from_shape:?} to {to:?} {to_shape:?}");
                // The tagged shape leaves the index as it is, so what canonical form an earlier run gave
                // it stays; everything else is as if made directly.
                if to == IndexVersion::V1
                    && to_shape == V1Shape::Tagged
                    && (from, from_shape) != (to, to_shape)
                {
                    assert_eq!(images(&context), images(&direct), "{what}");
                    continue;
                }
                assert_eq!(context.index_json(), direct.index_json(), "{what}");
            }
        }
    }
}

/// Digests of everything that stands in indexes and lists, or alone.
fn images(context: &Context) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in roots(context).into_values() {
        if text(&root["mediaType"]).contains("manifest.v") {
            found.insert(text(&root["digest"]).to_owned());
        } else {
            found.extend(children(context, &root).iter().map(|d| text(&d["digest"]).to_owned()));
        }
    }
    found
}

#[test]
fn the_tagged_shape_needs_a_name() {
    let context = Context::fixture("single");
    let mut index = context.index_json();
    index["manifests"][0].as_object_mut().unwrap().remove("annotations");
    context.write_index_json(&index.to_string());
    let before = context.files();
    let tagged = options(IndexVersion::V1, V1Shape::Tagged);
    let error = context.index(&tagged).unwrap_err();
    assert!(crate::hints::hint(&error, true).unwrap().contains("--name"), "{error}");
    assert_eq!(context.files(), before);
    let image = index["manifests"][0]["digest"].clone();
    context.index(&with!(tagged.clone(), name = Some("v7".into()))).unwrap();
    assert_eq!(roots(&context)["v7"]["digest"], image);
    assert_eq!(roots(&context).len(), 2);
    let error = context.index(&with!(tagged, name = Some("v8".into()))).unwrap_err();
    assert!(error.to_string().contains("already named"), "{error}");
}

#[test]
fn a_name_can_be_given_with_v2_as_well() {
    let context = Context::fixture("single");
    let mut index = context.index_json();
    index["manifests"][0].as_object_mut().unwrap().remove("annotations");
    context.write_index_json(&index.to_string());
    context.index(&with!(Context::options(), name = Some("v7".into()))).unwrap();
    assert!(text(&roots(&context)["v7"]["mediaType"]).contains("index"));
}
