//! `--v2-platform unknown`: a V2 index that no tool takes for the image of a platform.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use soci_layout::event::Silent;
use soci_layout::verify::{VerifyOptions, verify};
use soci_layout::{IndexVersion, RemoveOptions, V1Shape, V2Platform, remove};

use crate::context::{Context, fixtures, text};

fn contents(context: &Context) -> BTreeMap<String, Vec<u8>> {
    context.files().into_iter().map(|(name, state)| (name, state.content)).collect()
}

/// All V2 SOCI descriptors of the image indexes behind `index.json`.
fn soci(context: &Context) -> Vec<Value> {
    let mut found = Vec::new();
    for root in context.index_json()["manifests"].as_array().unwrap() {
        if !text(&root["mediaType"]).contains("index") {
            continue;
        }
        let index = context.json(text(&root["digest"]));
        let children = index["manifests"].as_array().unwrap().clone();
        found.extend(
            children.into_iter().filter(|child| {
                child["artifactType"] == "application/vnd.amazon.soci.index.v2+json"
            }),
        );
    }
    found
}

/// In every export: only the platforms differ from what is written by default, `verify` finds nothing, each setting
/// leads to the other, and `remove` leads back to the byte.
#[test]
fn only_the_platform_of_the_descriptor_differs() {
    let mut seen = 0;
    for entry in fs::read_dir(fixtures()).unwrap() {
        let entry = entry.unwrap();
        if !entry.path().is_dir() {
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        for (index_version, v1_shape) in
            [(IndexVersion::V2, V1Shape::Nested), (IndexVersion::Both, V1Shape::Tagged)]
        {
            let by = |v2_platform| with!(Context::options(), index_version, v1_shape, v2_platform);
            let context = Context::fixture(&name);
            let before = contents(&context);
            context.index(&by(V2Platform::Unknown)).unwrap();
            let unknown = (context.index_json(), soci(&context));
            let usual = Context::fixture(&name);
            usual.index(&by(V2Platform::Image)).unwrap();
            let expected = soci(&usual);
            assert_eq!(unknown.1.len(), expected.len(), "{name}");
            for (mut found, expected) in unknown.1.iter().cloned().zip(&expected) {
                assert_eq!(found["platform"], json!({"architecture": "unknown", "os": "unknown"}));
                found["platform"] = expected["platform"].clone();
                assert_eq!(&found, expected, "{name}");
                seen += 1;
            }

            let checked = verify(&context.layout(), &VerifyOptions::default(), &Silent).unwrap();
            let of_usual = verify(&usual.layout(), &VerifyOptions::default(), &Silent).unwrap();
            assert_eq!(checked.findings.len(), of_usual.findings.len(), "{:?}", checked.findings);
            assert_eq!(checked.images.len(), of_usual.images.len(), "{name}");

            // Again nothing changes; from one to the other and back.
            assert!(!context.index(&by(V2Platform::Unknown)).unwrap().changed, "{name}");
            context.index(&by(V2Platform::Image)).unwrap();
            assert_eq!(context.index_json(), usual.index_json(), "{name}");
            context.index(&by(V2Platform::Unknown)).unwrap();
            assert_eq!(context.index_json(), unknown.0, "{name}");

            remove(&context.layout(), &RemoveOptions::default(), &Silent).unwrap();
            let after = contents(&context);
            for (file, content) in &before {
                assert_eq!(after.get(file), Some(content), "{name}: {file}");
            }
        }
    }
    assert!(seen > 30, "{seen}");
}
