//! What a layout holds, as plain values, the same for people and for `--json`.
//!
//! The JSON form is public: members are only ever added under the same [`INSPECTION_VERSION`]. Images
//! and SOCI indexes are listed once each, however many entries lead to them; the tree of `roots` names
//! them by digest.

use serde::{Deserialize, Serialize};

use crate::commands::share::Share;
use crate::commands::startup::Startup;
use crate::oci::digest::Digest;
use crate::soci::prefetch;

/// Version of the JSON form.
pub const INSPECTION_VERSION: u32 = 1;

/// The outcome of [`super::inspect`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Inspection {
    /// [`INSPECTION_VERSION`].
    pub version: u32,
    /// The entries of `index.json` that were asked for, in their order, with all below them.
    pub roots: Vec<Entry>,
    /// Whether `index.json` is itself the index of one image for several platforms, whose entries have no names.
    pub image_index: bool,
    /// The distinct images below them that were asked for, in the order in which they are found.
    pub images: Vec<Image>,
    /// The distinct SOCI indexes below them, in the order in which they are found.
    pub soci_indexes: Vec<SociIndex>,
    /// The blobs of the whole layout.
    pub blobs: Blobs,
    /// Things the user should know.
    pub warnings: Vec<String>,
}

/// An entry of `index.json` or of an index.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// `org.opencontainers.image.ref.name` and `io.containerd.image.name`, the latter when it is another.
    /// Only entries of `index.json` have names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// As written; empty when the entry cannot be read.
    pub digest: String,
    /// As written.
    pub media_type: String,
    /// By the entry, in bytes.
    pub size: u64,
    /// What it leads to.
    #[serde(flatten)]
    pub content: Content,
}

/// What an entry leads to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Content {
    /// An image index or manifest list.
    Index {
        /// Its entries.
        entries: Vec<Entry>,
    },
    /// An image; see [`Inspection::images`].
    Image {
        /// `os/architecture[/variant]`; none when its configuration is missing.
        platform: Option<String>,
    },
    /// A SOCI index; see [`Inspection::soci_indexes`].
    SociIndex,
    /// A `BuildKit` attestation manifest.
    Attestation {
        /// The image that it says it belongs to (`vnd.docker.reference.digest`).
        image: Option<String>,
        /// Whether that image is in the same layout.
        belongs: bool,
        /// Whether its manifest is in the layout.
        present: bool,
        /// Predicate types of its statements.
        statements: Vec<String>,
    },
    /// A list of the referrers tag schema.
    Referrers {
        /// The manifest whose referrers it lists.
        subject: Digest,
        /// Its entries.
        entries: Vec<Entry>,
    },
    /// Another manifest.
    Artifact {
        /// Artifact type as the referrers API defines it.
        artifact_type: String,
        /// The manifest that it refers to.
        subject: Option<Digest>,
    },
    /// Something that is not looked into.
    Other,
    /// A manifest or index that is not in the layout.
    Missing {
        /// `os/architecture[/variant]`, where its descriptor says it.
        platform: Option<String>,
    },
    /// Something that cannot be read.
    Unreadable {
        /// Why.
        problem: String,
    },
}

/// An image for one platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// Names of the `index.json` entries that lead to it.
    pub names: Vec<String>,
    /// `os/architecture[/variant]`; none when its configuration is missing.
    pub platform: Option<String>,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Digests of its SOCI indexes, the one that a reader takes first.
    pub soci_indexes: Vec<Digest>,
    /// What its annotation `com.amazon.soci.index-digest` names, when nothing in the layout's documents
    /// leads there: no push tool takes it along.
    pub lost_soci_index: Option<String>,
    /// Why no layer is lazy, where that has one cause.
    pub eager: Option<String>,
    /// How much of it is lazy.
    pub lazy: Share,
    /// Its layers, bottom first, repeated as in the manifest.
    pub layers: Vec<Layer>,
    /// Digests of the attestation manifests that belong to it.
    pub attestations: Vec<Digest>,
    /// How soon it would be started and ready over the line that was given (`--link`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Startup>,
}

/// A layer of an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Layer {
    /// Digest of the blob.
    pub digest: Digest,
    /// As in the manifest.
    pub media_type: String,
    /// By the manifest, in bytes.
    pub size: u64,
    /// What is wrong with its blob, as far as it is seen without reading it.
    pub problem: Option<Problem>,
    /// Whether a reader would mount it before it is downloaded.
    pub lazy: bool,
    /// Why not.
    pub eager: Option<Eager>,
    /// Its zTOC in the SOCI index that a reader takes.
    pub ztoc: Option<Ztoc>,
}

/// Why a layer is downloaded before the image starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Eager {
    /// The image has no SOCI index.
    NoIndex,
    /// The SOCI index is one that no reader takes.
    IndexRejected,
    /// No zTOC of such a layer can be made.
    Unsupported {
        /// Why.
        reason: String,
    },
    /// It has no zTOC; it is smaller than every layer that has one, and than the default minimum.
    Small,
    /// It has no zTOC, and nothing in the layout says why.
    NoZtoc,
    /// Its zTOC cannot be used.
    BadZtoc,
}

/// What is wrong with a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Problem {
    /// It is not in the layout.
    Missing,
    /// It is not, and need not be: such layers stay with their owner.
    LeftToOwner,
    /// Its file has another size than its descriptor says.
    Size {
        /// Of the file, in bytes.
        found: u64,
    },
    /// It cannot be used for another reason.
    Unusable {
        /// The reason.
        reason: String,
    },
}

impl Problem {
    #[expect(clippy::needless_pass_by_value, reason = "for use with `map_err`")]
    pub(super) fn unusable(reason: impl ToString) -> Self {
        Self::Unusable { reason: reason.to_string() }
    }
}

/// A zTOC in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ztoc {
    /// The layer that it is said to be for.
    pub layer: Option<Digest>,
    /// Digest of the blob.
    pub digest: Digest,
    /// By the SOCI index, in bytes.
    pub size: u64,
    /// Whether readers are told that the layer has no extended attributes.
    pub disable_xattrs: bool,
    /// What it says itself; none when it cannot be read.
    pub head: Option<ZtocHead>,
    /// Why it cannot be used, as far as its head tells.
    pub problem: Option<Problem>,
}

/// What a zTOC says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ZtocHead {
    /// The tool that made it.
    pub build_tool: String,
    /// Number of spans.
    pub spans: u64,
    /// Uncompressed bytes between checkpoints.
    pub span_size: u64,
    /// Number of entries in the TOC.
    pub files: u64,
    /// Bytes of the layer's blob that it was made of.
    pub compressed_size: u64,
    /// Bytes of uncompressed archive that it covers.
    pub uncompressed_size: u64,
    /// Compressed bytes of its largest span: the most that is fetched to read one place of the layer. Not known
    /// when there are more spans than are examined.
    pub largest_span: Option<u64>,
}

/// A SOCI index.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SociIndex {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Bytes of its manifest.
    pub size: u64,
    /// `v1` or `v2`.
    pub soci_version: SociVersion,
    /// How the layout's documents lead to it.
    pub shapes: Vec<Shape>,
    /// The images that it belongs to: those whose annotation names it, or its subject.
    pub images: Vec<Digest>,
    /// The tool that made it.
    pub build_tool: Option<String>,
    /// Why no reader takes it, as far as that is seen without reading layers.
    pub rejected: Option<String>,
    /// Its zTOCs.
    pub ztocs: Vec<Ztoc>,
    /// Its prefetch artifacts: spans that a reader may fetch before the image starts.
    pub prefetch: Vec<Prefetch>,
}

/// Versions of SOCI indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SociVersion {
    /// Found through referrers.
    V1,
    /// Found through the manifest's annotation.
    V2,
}

/// How a layout leads to a SOCI index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// As a child of an image index.
    Nested,
    /// In a list of the referrers tag schema.
    Tagged,
    /// As an entry of `index.json`.
    Root,
}

/// A prefetch artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prefetch {
    /// The layer that it is for.
    pub layer: Option<Digest>,
    /// Digest of the blob.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// First and last span of each range.
    pub spans: Vec<(u64, u64)>,
    /// Why it cannot be used.
    pub problem: Option<Problem>,
}

impl Prefetch {
    /// The number of spans in its ranges; the largest number where a damaged artifact names more.
    #[must_use]
    pub fn span_count(&self) -> u64 {
        prefetch::count(&self.spans)
    }
}

/// The blobs of a layout.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Blobs {
    /// Blobs that are there and that `index.json` leads to.
    pub referenced: u64,
    /// Their bytes.
    pub referenced_bytes: u64,
    /// Blobs that nothing leads to, in the order of their digests.
    pub unreferenced: Vec<Blob>,
    /// Their bytes.
    pub unreferenced_bytes: u64,
    /// Files among the blobs that are none: temporary files, other names.
    pub strangers: u64,
    /// What the layout's documents lead to and is not there or not right, in the order of the documents.
    pub broken: Vec<BrokenBlob>,
}

/// A blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

/// A blob that is not there or not right.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BrokenBlob {
    /// Its digest.
    pub digest: Digest,
    /// By its descriptor, in bytes.
    pub size: u64,
    /// What it is for its document: `layer`, `configuration`, `zTOC`, …
    pub role: String,
    /// Who leads to it; none for `index.json`.
    pub referrer: Option<Digest>,
    /// What is wrong.
    #[serde(flatten)]
    pub problem: Problem,
}
