//! A SOCI index that a caller encodes is the one that a run writes.

use std::collections::HashMap;

use serde_json::Value;
use soci_layout::soci_index::{EMPTY_CONFIG, INDEX_DIGEST, ManifestRef, ZtocEntry, encode};
use soci_layout::ztoc::Ztoc;
use soci_layout::{Digest, IndexVersion};

use crate::context::{Context, text};

/// The entries that a caller would make of a manifest, with the zTOCs that are in the layout.
fn entries(context: &Context, manifest: &Value, ztocs: &HashMap<Digest, Digest>) -> Vec<ZtocEntry> {
    let layers = manifest["layers"].as_array().unwrap().iter();
    let entry = |layer: &Value| {
        let digest = text(&layer["digest"]).parse().unwrap();
        let ztoc = *ztocs.get(&digest)?;
        let blob = context.blob(&ztoc.to_string());
        let decoded = Ztoc::decode(&blob).unwrap();
        Some(ZtocEntry {
            ztoc,
            ztoc_size: blob.len() as u64,
            layer: digest,
            layer_media_type: text(&layer["mediaType"]).to_owned(),
            span_size: decoded.zinfo.span_size(),
            disable_xattrs: decoded.can_disable_xattrs(),
        })
    };
    layers.filter_map(entry).collect()
}

#[test]
fn that_a_caller_encodes_is_the_one_that_is_written() {
    let (mut plain, mut disabled) = (0, 0);
    for name in ["docker-mediatypes", "multi-attest", "zstd-mixed"] {
        let context = Context::fixture(name);
        let version = IndexVersion::Both;
        let options = with!(Context::options(), index_version = version, xattr_optimization = true);
        let report = context.index(&options).unwrap();
        let ztocs = report.layers.iter();
        let ztocs: HashMap<Digest, Digest> =
            ztocs.filter_map(|layer| Some((layer.digest, layer.outcome.ztoc()?.ztoc))).collect();
        let tool = &options.build_tool_identifier;
        for image in &report.images {
            let manifest = context.json(&image.after.to_string());
            let entries = entries(&context, &manifest, &ztocs);
            let size = context.blob(&image.after.to_string()).len() as u64;
            let media_type = text(&manifest["mediaType"]).to_owned();
            let subject = ManifestRef { media_type, digest: image.after, size };
            let (v2, v1) = (encode(&entries, None, tool), encode(&entries, Some(&subject), tool));
            assert_eq!(Digest::of(v2.as_bytes()), image.soci_v2.unwrap(), "{name}: {v2}");
            assert_eq!(Digest::of(v1.as_bytes()), image.soci_v1.unwrap(), "{name}: {v1}");
            assert_eq!(manifest["annotations"][INDEX_DIGEST], image.soci_v2.unwrap().to_string());
            context.blob(&Digest::of(EMPTY_CONFIG).to_string());
            disabled += entries.iter().filter(|entry| entry.disable_xattrs).count();
            plain += entries.iter().filter(|entry| !entry.disable_xattrs).count();
        }
    }
    assert!(plain > 0 && disabled > 0, "{plain} {disabled}");
}
