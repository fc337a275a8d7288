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

use super::{BUILD_TOOL, DISABLE_XATTRS, LAYER_DIGEST, LAYER_MEDIA_TYPE, SPAN_SIZE};
pub use crate::oci::annotation::INDEX_DIGEST;
use crate::oci::digest::Digest;
use crate::oci::json::write_string;
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
    let mut out = String::from("{\"schemaVersion\":2,\"mediaType\":\"");
    out.push_str(OCI_MANIFEST);
    out.push_str("\",\"config\":");
    let config = Digest::of(EMPTY_CONFIG);
    write_head(&mut out, artifact_type(version), &config, EMPTY_CONFIG.len() as u64);
    out.push_str("},\"layers\":[");
    for (position, entry) in entries.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        write_head(&mut out, ZTOC, &entry.ztoc, entry.ztoc_size);
        out.push_str(",\"annotations\":{");
        if entry.disable_xattrs {
            write_pair(&mut out, DISABLE_XATTRS, "true");
            out.push(',');
        }
        write_pair(&mut out, LAYER_DIGEST, &entry.layer.to_string());
        out.push(',');
        write_pair(&mut out, LAYER_MEDIA_TYPE, &entry.layer_media_type);
        out.push(',');
        write_pair(&mut out, SPAN_SIZE, &entry.span_size.to_string());
        out.push_str("}}");
    }
    for entry in prefetch {
        // No image has an artifact without a zTOC.
        out.push(',');
        write_head(&mut out, SOCI_PREFETCH, &entry.artifact, entry.size);
        out.push_str(",\"annotations\":{");
        write_pair(&mut out, LAYER_DIGEST, &entry.layer.to_string());
        out.push_str("}}");
    }
    out.push(']');
    if let Some(subject) = subject {
        out.push_str(",\"subject\":");
        out.push_str(&head(&subject.media_type, &subject.digest, subject.size));
    }
    out.push_str(",\"annotations\":{");
    write_pair(&mut out, BUILD_TOOL, tool);
    out.push_str("}}");
    out
}

/// A descriptor of these three members only.
pub(super) fn head(media_type: &str, digest: &Digest, size: u64) -> String {
    let mut out = String::new();
    write_head(&mut out, media_type, digest, size);
    out.push('}');
    out
}

/// A descriptor's three first members, without the closing brace.
pub(crate) fn write_head(out: &mut String, media_type: &str, digest: &Digest, size: u64) {
    out.push_str("{\"mediaType\":");
    write_string(out, media_type);
    out.push_str(",\"digest\":\"");
    out.push_str(&digest.to_string());
    out.push_str("\",\"size\":");
    out.push_str(&size.to_string());
}

/// One string member.
pub(crate) fn write_pair(out: &mut String, name: &str, value: &str) {
    write_string(out, name);
    out.push(':');
    write_string(out, value);
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
