//! How two layouts (or two images of one) differ, as plain values; the JSON form is public and only grows.

use serde::{Deserialize, Serialize};

use crate::commands::inspect::{Blob, Layer, Share, SociVersion};
use crate::oci::digest::Digest;

/// Version of the JSON form.
pub const DIFFERENCE_VERSION: u32 = 1;

/// The outcome of [`super::diff`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// [`DIFFERENCE_VERSION`].
    pub version: u32,
    /// Whether both sides have the same names, images and blobs.
    pub same: bool,
    /// The names that are not the same on both sides, in their order, A's first.
    pub names: Vec<NameDifference>,
    /// The images of both sides, A's in their order, then those that only B has.
    pub images: Vec<ImageDifference>,
    /// The blobs that what was compared leads to.
    pub blobs: BlobDifference,
}

/// What happened from A to B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// On both sides and the same.
    Same,
    /// On both sides, but not the same.
    Changed,
    /// Only in B.
    Added,
    /// Only in A.
    Removed,
}

impl Change {
    /// By what is there on either side, and whether both are the same.
    pub(super) fn of<T>(a: Option<&T>, b: Option<&T>, same: impl FnOnce(&T, &T) -> bool) -> Self {
        match (a, b) {
            (Some(a), Some(b)) if same(a, b) => Self::Same,
            (Some(_), Some(_)) => Self::Changed,
            (None, Some(_)) => Self::Added,
            (_, None) => Self::Removed,
        }
    }
}

/// A name of an entry of `index.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NameDifference {
    /// The name.
    pub name: String,
    /// Added, removed, or changed when it is another digest's now.
    pub change: Change,
    /// What it names in A.
    pub a: Option<String>,
    /// What it names in B.
    pub b: Option<String>,
}

/// An image for one platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageDifference {
    /// Its names on either side.
    pub names: Vec<String>,
    /// `os/architecture[/variant]`; none when it is not known.
    pub platform: Option<String>,
    /// The same when manifest, SOCI indexes and zTOCs are.
    pub change: Change,
    /// In A.
    pub a: Option<ImageSide>,
    /// In B.
    pub b: Option<ImageSide>,
    /// Its layers, bottom first.
    pub layers: Vec<LayerDifference>,
}

/// An image on one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageSide {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Its SOCI indexes, the one that a reader takes first.
    pub soci_indexes: Vec<SociRef>,
    /// How much of it is lazy.
    pub lazy: Share,
}

/// A SOCI index by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SociRef {
    /// `v1` or `v2`.
    pub soci_version: SociVersion,
    /// Digest of its manifest.
    pub digest: Digest,
}

/// A layer on both sides.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LayerDifference {
    /// The same when the blob is.
    pub change: Change,
    /// Whether two different blobs hold the same archive (by the diff IDs of the configurations).
    pub same_content: bool,
    /// In A.
    pub a: Option<Layer>,
    /// In B.
    pub b: Option<Layer>,
    /// What happened to its zTOC; none when neither side has one. `same` means that it was reused.
    pub ztoc: Option<Change>,
    /// For one layer with two zTOCs: how they differ; and how the spans that are fetched ahead do.
    pub contrasts: Vec<Contrast>,
    /// For two layers with zTOCs: how their files differ.
    pub files: Option<FileDifference>,
}

/// One thing that is not the same in two zTOCs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Contrast {
    /// What, and where.
    pub place: String,
    /// In A.
    pub a: String,
    /// In B.
    pub b: String,
}

/// How the entries of two tables of contents differ. A file whose content changed, but neither its size
/// nor its time, counts as unchanged: a table of contents has no digests of files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileDifference {
    /// Entries only in B.
    pub added: u64,
    /// Entries only in A.
    pub removed: u64,
    /// Entries in both with another type, size, time, mode, owner, link target, device or extended
    /// attribute.
    pub changed: u64,
    /// Entries in both that are the same.
    pub unchanged: u64,
    /// The first of them by name: removed, added and changed.
    pub examples: Vec<FileChange>,
}

/// An entry that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileChange {
    /// What happened to it.
    pub change: Change,
    /// Its name, as UTF-8.
    pub name: String,
}

/// The blobs of both sides, each list in the order of digests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BlobDifference {
    /// Only in A.
    pub only_a: Vec<Blob>,
    /// Their bytes.
    pub only_a_bytes: u64,
    /// Only in B: what a push of B adds where A is already.
    pub only_b: Vec<Blob>,
    /// Their bytes.
    pub only_b_bytes: u64,
    /// In both.
    pub common: u64,
    /// Their bytes.
    pub common_bytes: u64,
}
