//! Against what the reference made of the same layouts (`testdata/layouts/reference.json`).

use std::collections::BTreeSet;

use serde_json::Value;
use soci_layout::LayerTypes;

use crate::context::{Context, fixtures, text};

fn reference() -> Value {
    let path = fixtures().join("reference.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Digests of one member over a list of objects.
fn digests(list: &Value, member: &str) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(|v| text(&v[member]).to_owned()).collect()
}

/// What the reference says of a variant, over all its roots.
fn expectations(variant: &Value) -> Vec<&Value> {
    match variant["roots_alone"].as_array() {
        Some(roots) => roots.iter().filter(|root| root["error"].is_null()).collect(),
        None => vec![variant],
    }
}

#[test]
fn ztocs_indexes_and_manifests_are_the_references() {
    let reference = reference();
    let mut compared = 0;
    for (name, variant) in reference["variants"].as_object().unwrap() {
        if name == "zstd" {
            continue;
        }
        let context = Context::fixture(name);
        // The reference leaves Docker's layer types in OCI manifests.
        let options = with!(Context::options(), layer_types = LayerTypes::Keep);
        let report = context.index(&options).unwrap_or_else(|e| panic!("{name}: {e}"));
        for expected in expectations(variant) {
            for ztoc in digests(&expected["ztocs"], "ztoc") {
                context.blob(&ztoc);
                compared += 1;
            }
            for soci in digests(&expected["soci_indexes"], "digest") {
                context.blob(&soci);
            }
            for image in expected["image_manifests"].as_array().unwrap() {
                context.blob(text(&image["after"]));
                let found = report.images.iter().find(|i| i.before.to_string() == image["before"]);
                assert_eq!(found.unwrap().after.to_string(), text(&image["after"]), "{name}");
            }
            if expected["equal_expected"]["root_index"] == true {
                context.blob(text(&expected["root_index"]["digest"]));
            }
        }
    }
    assert!(compared > 60, "only {compared} zTOCs compared");
}
