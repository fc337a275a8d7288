//! The SOCI index manifest, to the byte (`soci-formats` 5.2; reference: `soci/soci_index.go`).
//!
//! The consumer decodes it, encodes it again and compares: anything but this exact form makes the
//! whole image silently not lazy. A caller that stores layers in a way of its own makes an index like this:
//!
//! ```
//! use soci_layout::layer::{Scan, ScanObserver, ScanRequest, scan};
//! use soci_layout::media_type::{Compression, SOCI_INDEX_V2};
//! use soci_layout::soci_index::{ZtocEntry, encode};
//! use soci_layout::{DEFAULT_BUILD_TOOL_IDENTIFIER, DEFAULT_SPAN_SIZE, Digest};
//!
//! struct Unobserved;
//! impl ScanObserver for Unobserved {
//!     fn progress(&self, _bytes: u64) {}
//!     fn cancelled(&self) -> bool {
//!         false
//!     }
//! }
//!
//! # let layout = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/layout.rs"));
//! # let found = soci_layout::inspect::inspect(layout.path(), &Default::default(), &soci_layout::event::Silent)?;
//! # let path = layout.path().join("blobs/sha256").join(found.images[0].layers[0].digest.hex());
//! let layer: Vec<u8> = std::fs::read(path)?; // a tar archive, compressed with gzip
//! let request = ScanRequest {
//!     digest: Digest::of(&layer),
//!     size: layer.len() as u64,
//!     compression: Compression::Gzip,
//!     span_size: DEFAULT_SPAN_SIZE,
//!     build_tool_identifier: DEFAULT_BUILD_TOOL_IDENTIFIER,
//!     second_thread: true,
//! };
//! let ztoc = match scan(&mut layer.as_slice(), &request, &Unobserved)? {
//!     Scan::Indexed(ztoc) => ztoc.encode()?,
//!     Scan::Eager(reason) => return Err(reason.to_string().into()),
//! };
//! let entry = ZtocEntry {
//!     ztoc: Digest::of(&ztoc),
//!     ztoc_size: ztoc.len() as u64,
//!     layer: request.digest,
//!     layer_media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
//!     span_size: DEFAULT_SPAN_SIZE,
//!     disable_xattrs: false,
//! };
//! let index = encode(&[entry], None, DEFAULT_BUILD_TOOL_IDENTIFIER);
//! assert!(index.contains(SOCI_INDEX_V2));
//! // Store `ztoc`, `index` and `EMPTY_CONFIG` as blobs, and annotate the image's manifest with `INDEX_DIGEST`.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt::Write as _;

use super::{BUILD_TOOL, DISABLE_XATTRS, LAYER_DIGEST, LAYER_MEDIA_TYPE, SPAN_SIZE};
pub use crate::oci::annotation::INDEX_DIGEST;
use crate::oci::digest::Digest;
use crate::oci::json::string;
use crate::oci::media_type::{OCI_MANIFEST, SOCI_INDEX_V1, SOCI_INDEX_V2, SOCI_PREFETCH, ZTOC};
use crate::oci::soci_version::IndexVersion;
use crate::soci::prefetch::PrefetchEntry;

/// The reference's default identifier; equal bytes need the equal text.
pub const DEFAULT_BUILD_TOOL_IDENTIFIER: &str = "AWS SOCI CLI v0.2";

/// The OCI empty configuration `{}`, a blob to which every SOCI index refers.
pub const EMPTY_CONFIG: &[u8] = b"{}";

/// A zTOC as the index lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZtocEntry {
    /// Digest of the zTOC's blob.
    pub ztoc: Digest,
    /// Its size in bytes.
    pub ztoc_size: u64,
    /// Digest of the layer's blob.
    pub layer: Digest,
    /// As in the image manifest, unchanged.
    pub layer_media_type: String,
    /// Uncompressed bytes between checkpoints.
    pub span_size: u64,
    /// Whether the layer has no extended attributes, so that a reader need not look for them
    /// ([`crate::ztoc::Ztoc::can_disable_xattrs`]).
    pub disable_xattrs: bool,
}

/// A manifest by its descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestRef {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// The type of a SOCI index of one version, as `config.mediaType` and as artifact type.
pub(crate) fn artifact_type(version: IndexVersion) -> &'static str {
    match version {
        IndexVersion::V1 => SOCI_INDEX_V1,
        IndexVersion::V2 | IndexVersion::Both => SOCI_INDEX_V2,
    }
}

/// The text of a SOCI index. With a `subject`, the image's manifest, it is a V1 index, which is found by it. Without, it
/// is a V2 index, which is found by the annotation [`INDEX_DIGEST`] of that manifest. The zTOCs stand in the order of
/// the image's layers, repeated as there.
#[must_use]
pub fn encode(
    ztocs: &[ZtocEntry],
    subject: Option<&ManifestRef>,
    build_tool_identifier: &str,
) -> String {
    encode_with(ztocs, &[], subject, build_tool_identifier)
}

/// [`encode`], with prefetch artifacts behind the zTOCs.
pub(super) fn encode_with(
    entries: &[ZtocEntry],
    prefetch: &[PrefetchEntry],
    subject: Option<&ManifestRef>,
    tool: &str,
) -> String {
    let version = if subject.is_some() { IndexVersion::V1 } else { IndexVersion::V2 };
    let blob = |media_type: &str, digest, size, more: &[(&str, &str)]| {
        let media_type = media_type.to_owned();
        descriptor_text(&ManifestRef { media_type, digest, size }, more)
    };
    let config = Digest::of(EMPTY_CONFIG);
    let config = blob(artifact_type(version), config, EMPTY_CONFIG.len() as u64, &[]);
    let ztocs = entries.iter().map(|entry| {
        let xattrs = entry.disable_xattrs.then(|| (DISABLE_XATTRS, "true".to_owned()));
        let others = [
            (LAYER_DIGEST, entry.layer.to_string()),
            (LAYER_MEDIA_TYPE, entry.layer_media_type.clone()),
            (SPAN_SIZE, entry.span_size.to_string()),
        ];
        let annotations = strings(xattrs.into_iter().chain(others));
        blob(ZTOC, entry.ztoc, entry.ztoc_size, &[("annotations", &annotations)])
    });
    let artifacts = prefetch.iter().map(|entry| {
        let annotations = strings([(LAYER_DIGEST, entry.layer)]);
        blob(SOCI_PREFETCH, entry.artifact, entry.size, &[("annotations", &annotations)])
    });
    let layers = ztocs.chain(artifacts).collect::<Vec<_>>().join(",");
    let subject = subject.map(|image| format!(",\"subject\":{}", descriptor_text(image, &[])));
    let subject = subject.unwrap_or_default();
    let annotations = strings([(BUILD_TOOL, tool)]);
    format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{OCI_MANIFEST}\",\"config\":{config},\"layers\":[{layers}]{subject},\
         \"annotations\":{annotations}}}"
    )
}

/// A descriptor's text. `more` are members behind the three that each has, in Go's order, with their JSON texts.
pub(crate) fn descriptor_text(blob: &ManifestRef, more: &[(&str, &str)]) -> String {
    let ManifestRef { media_type, digest, size } = blob;
    let media_type = string(media_type);
    let mut text = format!("{{\"mediaType\":{media_type},\"digest\":\"{digest}\",\"size\":{size}");
    for (name, value) in more {
        let _ = write!(text, ",\"{name}\":{value}");
    }
    text.push('}');
    text
}

/// An object of strings, as annotations are.
pub(crate) fn strings<N: AsRef<str>, V: ToString>(
    pairs: impl IntoIterator<Item = (N, V)>,
) -> String {
    let pair =
        |(name, value): (N, V)| format!("{}:{}", string(name.as_ref()), string(&value.to_string()));
    format!("{{{}}}", pairs.into_iter().map(pair).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soci::prefetch::{Prefetch, SpanSet};

    /// The worked example of `soci-formats` 8.4.
    #[test]
    fn equals_the_documented_example() {
        let entry = ZtocEntry {
            ztoc: "sha256:21c148212f8d1e60f2289b96dcca9ab1ceb7d56a1f0464907b419dea1391c11b"
                .parse()
                .expect("digest"),
            ztoc_size: 33472,
            layer: "sha256:7b0422734cacdf6ec542fde15c60931a20b89efd559cb955e319ce3c5504aea7"
                .parse()
                .expect("digest"),
            layer_media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
            span_size: 4_194_304,
            disable_xattrs: false,
        };
        let subject = ManifestRef {
            media_type: OCI_MANIFEST.to_owned(),
            digest: "sha256:f15b74a0853f72cfa14bc7e30f263d412afe0cd38063e4a15bd9222e18c759a5"
                .parse()
                .expect("digest"),
            size: 401,
        };
        let tool = DEFAULT_BUILD_TOOL_IDENTIFIER;
        let v2 = encode(std::slice::from_ref(&entry), None, tool);
        assert_eq!(
            (v2.len(), Digest::of(v2.as_bytes()).to_string().as_str()),
            (710, "sha256:16a0b18b4db378d79c1ecc1480849c849a8e0380b77c3f5d78651bf0c1ca9f2e")
        );
        let mut lists = Prefetch::default();
        let mut spans = SpanSet::default();
        spans.insert((0, 0));
        lists.insert(subject.digest, entry.layer, &spans);
        let (listed, artifacts) = lists.of_image(&subject.digest, [entry.layer].iter());
        assert_eq!(
            (artifacts[0].len(), Digest::of(artifacts[0].as_bytes()).to_string().as_str()),
            (66, "sha256:520900f4a24d9f67823edbe61838eec1b7bd8c64667f0a577a264715d4e9a37b")
        );
        let with_prefetch = encode_with(std::slice::from_ref(&entry), &listed, None, tool);
        assert_eq!(
            (with_prefetch.len(), Digest::of(with_prefetch.as_bytes()).to_string().as_str()),
            (991, "sha256:09e8f76dae72c55a9685ccda0f80d731121dc071b6a1da2ca4e32b7708d339e5")
        );
        let v1 = encode(&[entry], Some(&subject), tool);
        assert_eq!(
            (v1.len(), Digest::of(v1.as_bytes()).to_string().as_str()),
            (873, "sha256:a25b8efc60f3ccf0b11ce2a7be422abc57670234a23bf55a3e6301352e32de4b")
        );
    }
}
