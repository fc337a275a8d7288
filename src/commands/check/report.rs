//! What a check found, as plain values; the JSON form is public and only grows.

use serde::{Deserialize, Serialize};

use crate::commands::doctor::Target;
use crate::commands::verify::Consequence;
use crate::commands::verify::Verification;
use crate::oci::digest::Digest;

/// Version of the JSON form.
pub const CHECK_REPORT_VERSION: u32 = 1;

/// The outcome of [`super::check`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckReport {
    /// [`CHECK_REPORT_VERSION`].
    pub version: u32,
    /// The image as it was asked for.
    pub reference: String,
    /// Digest behind the tag.
    pub digest: Digest,
    /// Whose rules count; `null` for all.
    pub target: Option<Target>,
    /// Its images, in the order in which they are found.
    pub images: Vec<CheckedImage>,
    /// Everything that is wrong, in the order of the images; empty when all is well.
    pub findings: Vec<CheckFinding>,
    /// What proving it by its layers and zTOCs gave, when that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// An image for one platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckedImage {
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// The SOCI index that the consumer takes.
    pub soci_index: Option<Digest>,
    /// How it is found: `annotation`, `referrers-api`, `fallback-tag`.
    pub found_by: Option<String>,
    /// Layers that have a zTOC in it, which is there.
    pub lazy_layers: u64,
    /// All its layers.
    pub layers: u64,
    /// Bytes of the lazy layers.
    pub lazy_bytes: u64,
    /// Bytes of all layers.
    pub bytes: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckFinding {
    /// What went wrong, a word for programs.
    pub mistake: Mistake,
    /// What the consumer makes of it.
    pub consequence: Consequence,
    /// The platform of the image, when it concerns one.
    pub platform: Option<String>,
    /// The blob or manifest that is missing or wrong.
    pub blob: Option<Digest>,
    /// Which part of it, for people.
    pub place: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub found: String,
    /// What led to it, and what to do.
    pub advice: String,
}

/// Mistakes that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mistake {
    /// Another digest is behind the tag than the one that was asked for.
    TagMoved,
    /// The image names an index that never came along.
    PushedWithoutAll,
    /// The image and the index of its tag name an index that is not there any more.
    IndexDeleted,
    /// The image has no SOCI index at all.
    NoIndex,
    /// The index was pushed, but the registry does not list it where it is looked for.
    NotListed,
    /// A V1 index for a consumer that takes V2 only.
    V1WhereV2IsNeeded,
    /// The consumer's reader rejects the index.
    RejectedIndex,
    /// The index is another image's.
    OtherImage,
    /// A zTOC is not there.
    ZtocMissing,
    /// A zTOC has another size.
    ZtocSize,
    /// A layer or configuration is not there, or has another size.
    BlobMissing,
    /// A manifest that an index names is not there.
    ManifestMissing,
    /// A document cannot be read.
    Unreadable,
    /// A large layer of a type of which no zTOC can be made.
    LayerType,
    /// Incorrect, but ignored by readers.
    Misleading,
}
