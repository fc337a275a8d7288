//! A SOCI index by its text: what the reference's reader demands of it (`soci-formats` 5.2, 7.2, 7.3), and
//! what its annotations say.

use serde_json::Value;

use super::Findings;
use super::finding::Consequence;
use crate::digest::Digest;
use crate::json::canonical::{self, MANIFEST};
use crate::json::members;
use crate::layout::descriptor::Descriptor;
use crate::media_type::{OCI_MANIFEST, SOCI_INDEX_V1, SOCI_INDEX_V2};
use crate::soci::index::EMPTY_CONFIG;
use crate::soci::{DISABLE_XATTRS, LAYER_DIGEST, LAYER_MEDIA_TYPE, SPAN_SIZE};
use crate::ztoc::Ztoc;

/// The members that the reader's structs have; it drops all others, and so refuses the text.
const TOP: [&str; 6] = ["schemaVersion", "mediaType", "config", "layers", "subject", "annotations"];
const DESCRIPTOR: [&str; 8] =
    ["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"];

/// Checks the text of the SOCI index `digest`.
pub(super) fn index(digest: Digest, text: &str, findings: &mut Findings) {
    let rejected = Consequence::Rejected;
    match canonical::encode(text, &MANIFEST) {
        Ok(canonical) if canonical == text => {}
        Ok(canonical) => {
            let at = canonical.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
            let around = |text: &str| {
                let bytes = text.as_bytes();
                let part = &bytes[at.min(bytes.len())..bytes.len().min(at + 24)];
                format!("\"{}\"", part.escape_ascii())
            };
            let place = "its JSON text, which must be exactly as Go's encoder writes it";
            let (expected, found) = (around(&canonical), around(text));
            findings.add(rejected, Some(digest), place, Some(at as u64), expected, found);
        }
        Err(error) => {
            findings.add(rejected, Some(digest), "its JSON text", None, "a manifest", error);
            return;
        }
    }
    unknown(digest, text, "", &TOP, findings);
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let config = value["config"]["mediaType"].as_str().unwrap_or_default();
    if config != SOCI_INDEX_V1 && config != SOCI_INDEX_V2 {
        let expected = format!("{SOCI_INDEX_V2} or {SOCI_INDEX_V1}");
        findings.add(rejected, Some(digest), "config.mediaType", None, expected, config);
    }
    let empty = Digest::of(EMPTY_CONFIG).to_string();
    if value["config"]["digest"] != empty.as_str() {
        let found = &value["config"]["digest"];
        findings.add(Consequence::Misleading, Some(digest), "config.digest", None, empty, found);
    }
    if value["mediaType"] != OCI_MANIFEST {
        let found = &value["mediaType"];
        findings.add(rejected, Some(digest), "mediaType", None, OCI_MANIFEST, found);
    }
}

/// Members that the reader does not know, in the index and its descriptors.
fn unknown(digest: Digest, text: &str, within: &str, known: &[&str], findings: &mut Findings) {
    let Ok(object) = members(text) else { return };
    for member in &object {
        let name: &str = &member.name;
        let path = format!("{within}{name}");
        if !known.contains(&name) {
            let expected = "no such member: its reader drops it and then misses it";
            findings.add(Consequence::Rejected, Some(digest), &path, None, expected, member.value);
        }
        match name {
            "config" | "subject" if within.is_empty() => {
                unknown(digest, member.value, &format!("{path}."), &DESCRIPTOR, findings);
            }
            "layers" if within.is_empty() => {
                for (number, element) in
                    crate::json::elements(member.value).unwrap_or_default().iter().enumerate()
                {
                    let path = format!("layers[{number}].");
                    unknown(digest, element.value, &path, &DESCRIPTOR, findings);
                }
            }
            _ => {}
        }
    }
}

/// Checks what the index says of one zTOC. `layer` is the image's layer of that digest, if it has one.
pub(super) fn entry(
    index: Digest,
    number: usize,
    entry: &Descriptor,
    layer: Option<&Descriptor>,
    ztoc: Option<&Ztoc>,
    findings: &mut Findings,
) {
    let misleading = Consequence::Misleading;
    let place = |name: &str| format!("layers[{number}], annotation {name}");
    let stored = |name: &str| entry.annotations.get(name).map_or("none", String::as_str);
    let Some(layer) = layer else {
        let expected = "a layer of the image";
        let eager = Consequence::LayerEager;
        let place = place(LAYER_DIGEST);
        findings.add(eager, Some(index), &place, None, expected, stored(LAYER_DIGEST));
        return;
    };
    let found = stored(LAYER_MEDIA_TYPE);
    if found != layer.media_type {
        let (place, right) = (place(LAYER_MEDIA_TYPE), &layer.media_type);
        findings.add(misleading, Some(index), &place, None, right, found);
    }
    let Some(ztoc) = ztoc else { return };
    let (right, found) = (ztoc.zinfo.span_size().to_string(), stored(SPAN_SIZE));
    if found != right && found != "none" {
        findings.add(misleading, Some(index), &place(SPAN_SIZE), None, right, found);
    }
    let found = stored(DISABLE_XATTRS);
    if found == "true" && !ztoc.can_disable_xattrs() {
        let right = "none: the layer has extended attributes or opaque directories";
        let wrong = Consequence::WrongBytes;
        findings.add(wrong, Some(index), &place(DISABLE_XATTRS), None, right, found);
    }
}
