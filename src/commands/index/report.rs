//! What a run did (or, dry, would do): plain values, the same for people and for `--json`.
//!
//! The JSON form is public: members are only ever added under the same [`REPORT_VERSION`].

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::commands::share::Share;
use crate::commands::startup::Startup;
use crate::layer::eager::EagerReason;
use crate::oci::digest::Digest;

/// Version of the JSON form.
pub const REPORT_VERSION: u32 = 1;

/// The whole outcome of [`crate::index()`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// Whether this only says what would be done.
    pub dry_run: bool,
    /// Whether `index.json` was (or would be) replaced.
    pub changed: bool,
    /// Entries of `index.json` that were selected, in their order.
    pub roots: Vec<RootReport>,
    /// Distinct image manifests, in the order in which they are found.
    pub images: Vec<ImageReport>,
    /// Distinct layers of those images, in the order in which they are found.
    pub layers: Vec<LayerReport>,
    /// What is fetched before each image starts, in the order of `images`; empty when nothing was asked for.
    pub prefetch: Vec<PrefetchReport>,
    /// How soon each image would be started and ready over the line of `--link`; nothing without it. A dry run of `index`
    /// leaves out images with layers to be scanned, of which only `plan` has an idea.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub startups: Vec<ImageStartup>,
    /// Things the user should know although the run succeeded.
    pub warnings: Vec<String>,
    /// What is attached to the images by their digests and stays behind, as they got (or would get) others; the
    /// first twenty, each with a warning.
    pub stays_behind: Vec<Attached>,
    /// Blobs written.
    pub blobs_written: u64,
    /// Bytes written, blobs and `index.json` together.
    pub bytes_written: u64,
    /// Blobs removed by `--prune`.
    pub blobs_pruned: u64,
    /// Bytes removed by `--prune`.
    pub bytes_pruned: u64,
    /// What the cache did; nothing when there was none.
    pub cache: Option<CacheReport>,
    /// What was written to the registry, for an image of a registry.
    #[cfg(feature = "registry")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<crate::commands::push::PushReport>,
    /// Wall time in seconds.
    pub seconds: f64,
}

impl Report {
    /// How much of one of its images is lazy, or (dry) would be.
    #[must_use]
    pub fn lazy(&self, image: &ImageReport) -> Share {
        // Of two reports on one blob (two media types) the first counts.
        let layers: HashMap<Digest, &LayerReport> =
            self.layers.iter().rev().map(|layer| (layer.digest, layer)).collect();
        let own = image.layers.iter().filter_map(|digest| layers.get(digest));
        Share::of(own.map(|layer| (layer.size, layer.outcome.is_lazy())))
    }
}

/// One entry of `index.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RootReport {
    /// `org.opencontainers.image.ref.name`, else `io.containerd.image.name`.
    pub name: Option<String>,
    /// Digest before the run.
    pub before: Digest,
    /// Digest after it; equal when nothing had to change.
    pub after: Digest,
}

/// A signature, an SBOM or another artifact that is attached to an image by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attached {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its artifact type, its tag, or the word by which cosign tells the entries of its layouts apart.
    pub what: String,
    /// What it is attached to; not known in layouts of cosign.
    pub subject: Option<Digest>,
}

/// One image manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageReport {
    /// Names of the `index.json` entries that lead to it.
    pub names: Vec<String>,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Digest before the run.
    pub before: Digest,
    /// Digest after it (differs for V2, which annotates the manifest).
    pub after: Digest,
    /// Digest of its SOCI V2 index.
    pub soci_v2: Option<Digest>,
    /// Digest of its SOCI V1 index.
    pub soci_v1: Option<Digest>,
    /// Digests of its layers, bottom first, repeated as in the manifest.
    pub layers: Vec<Digest>,
}

/// One distinct layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LayerReport {
    /// Digest of the layer blob.
    pub digest: Digest,
    /// Media type as in the manifest.
    pub media_type: String,
    /// Size of the blob in bytes.
    pub size: u64,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: LayerOutcome,
}

/// What became of a layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LayerOutcome {
    /// Scanned in this run.
    Indexed {
        /// Its zTOC.
        #[serde(flatten)]
        ztoc: ZtocReport,
    },
    /// A valid zTOC for these settings was there already.
    Reused {
        /// Its zTOC.
        #[serde(flatten)]
        ztoc: ZtocReport,
        /// Where it was.
        from: ReusedFrom,
    },
    /// To be scanned (dry run only).
    Pending,
    /// Smaller than the minimum layer size.
    Small,
    /// Eager: its bytes are right, but no reader could load it lazily and correctly, or it does not pay.
    Skipped(EagerReason),
}

impl LayerOutcome {
    /// Whether the layer loads lazily, or (dry) would.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        matches!(self, Self::Indexed { .. } | Self::Reused { .. } | Self::Pending)
    }

    /// Its zTOC, when it has one now.
    #[must_use]
    pub fn ztoc(&self) -> Option<&ZtocReport> {
        match self {
            Self::Indexed { ztoc } | Self::Reused { ztoc, .. } => Some(ztoc),
            _ => None,
        }
    }
}

/// What is fetched before an image starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PrefetchReport {
    /// Digest of the image manifest before the run.
    pub image: Digest,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Files that are fetched ahead.
    pub files: u64,
    /// Spans of them, each a request.
    pub spans: u64,
    /// Compressed bytes of those spans.
    pub bytes: u64,
    /// Files that are left out, as fetching would take too long (`--prefetch-max-time`).
    pub left_out: u64,
    /// Recorded ranges of bytes of its layers that are fetched ahead.
    pub ranges: u64,
    /// Recorded ranges of layers that the image does not have.
    pub ranges_not_found: u64,
    /// Seconds that fetching takes by the line that was given (`--link`).
    pub seconds: Option<f64>,
    /// The artifacts that say so, in the order of the layers.
    pub artifacts: Vec<PrefetchArtifact>,
    /// Paths that stand for no file of the image.
    pub not_found: Vec<String>,
    /// Paths with files in layers that have no zTOC, which are fetched whole anyway.
    pub eager: Vec<String>,
}

/// The spans of one layer that are fetched ahead.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PrefetchArtifact {
    /// Digest of the layer.
    pub layer: Digest,
    /// Digest of the artifact.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// First and last span of each range.
    pub spans: Vec<(u64, u64)>,
    /// Compressed bytes of the spans.
    pub bytes: u64,
}

/// How soon an image would be started and ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageStartup {
    /// Digest of the image manifest before the run.
    pub image: Digest,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// The estimate.
    #[serde(flatten)]
    pub startup: Startup,
}

/// Where a zTOC was that did not have to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReusedFrom {
    /// In the layout.
    Layout,
    /// In the cache.
    Cache,
    /// In a registry.
    Registry,
}

/// The use of the cache in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CacheReport {
    /// Layers whose zTOC came from it.
    pub hits: u64,
    /// Layers that had to be (or, dry, would be) scanned.
    pub misses: u64,
    /// Those among them whose entry could not be used.
    pub rejected: u64,
    /// Entries written.
    pub writes: u64,
    /// Bytes of them.
    pub bytes_written: u64,
}

/// A zTOC in numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ZtocReport {
    /// Digest of the zTOC blob.
    pub ztoc: Digest,
    /// Its size in bytes.
    pub ztoc_size: u64,
    /// Number of spans.
    pub spans: u64,
    /// Number of entries in the TOC.
    pub files: u64,
    /// Bytes of uncompressed archive that it covers.
    pub uncompressed_size: u64,
    /// Compressed bytes of its largest span: the most that is fetched to read one place of the layer.
    pub largest_span: u64,
    /// The first entry of which a lazy mount shows something else than unpacking gives, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlike_unpacked: Option<String>,
}
