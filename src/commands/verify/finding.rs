//! What verification found, as plain values; the JSON form is public and only grows.

use serde::{Deserialize, Serialize};

use crate::commands::share::Share;
use crate::layer::eager::EagerReason;
use crate::oci::digest::Digest;

/// Version of the JSON form.
pub const VERIFICATION_VERSION: u32 = 1;

/// The outcome of [`super::verify`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verification {
    /// [`VERIFICATION_VERSION`].
    pub version: u32,
    /// The images that were verified, in the order in which they are found.
    pub images: Vec<VerifiedImage>,
    /// Everything that is wrong, in the order of the images; empty when all is well.
    pub findings: Vec<Finding>,
    /// Distinct layers whose bytes were read.
    pub layers: u64,
    /// Checkpoints from which was inflated.
    pub checkpoints: u64,
    /// TOC entries compared with their archives.
    pub files: u64,
    /// Wall time in seconds.
    pub seconds: f64,
}

impl Verification {
    /// The layers of at least `min_layer_size` bytes that are eager, with the images that they belong to.
    pub fn eager_from(
        &self,
        min_layer_size: u64,
    ) -> impl Iterator<Item = (&VerifiedImage, &EagerLayer)> {
        self.images.iter().flat_map(move |image| {
            let large = image.eager.iter().filter(move |layer| layer.size >= min_layer_size);
            large.map(move |layer| (image, layer))
        })
    }
}

/// An image that was verified.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VerifiedImage {
    /// Names of the `index.json` entries that lead to it.
    pub names: Vec<String>,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Digests of its SOCI indexes, V2 first.
    pub soci_indexes: Vec<Digest>,
    /// Layers that have a zTOC.
    pub lazy_layers: u64,
    /// All its layers.
    pub layers: u64,
    /// How much of it is lazy, in layers and bytes.
    pub lazy: Share,
    /// Layers that have none, lowest first: pulled whole before the image starts, and no fault.
    pub eager: Vec<EagerLayer>,
    /// The most that reading one place of a lazy layer fetches: compressed bytes of its largest span.
    pub largest_span: Option<u64>,
}

/// A layer that is pulled whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EagerLayer {
    /// Its position among the image's layers, from 1.
    pub number: u64,
    /// Digest of the blob.
    pub digest: Digest,
    /// By the manifest, in bytes.
    pub size: u64,
    /// Why it is eager.
    #[serde(flatten)]
    pub reason: EagerReason,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// What the consumer would make of it.
    pub consequence: Consequence,
    /// The blob that is wrong; none for `index.json` itself.
    pub blob: Option<Digest>,
    /// Which part of it, for people.
    pub place: String,
    /// Where in the blob (or, for entries and windows, in the uncompressed archive), in bytes.
    pub offset: Option<u64>,
    /// What should be.
    pub expected: String,
    /// What is.
    pub found: String,
}

/// What the reference's reader does (`soci-formats` 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consequence {
    /// The layer is mounted and some file has wrong bytes or attributes, without any error.
    WrongBytes,
    /// Reading a file or mounting the layer fails.
    IoError,
    /// A push or pull tool refuses the image, or a part of it does not arrive.
    Unpullable,
    /// The SOCI index is not taken: the whole image is pulled before it starts.
    Rejected,
    /// This layer is pulled before the image starts; the others are lazy.
    LayerEager,
    /// Incorrect, but ignored by readers.
    Misleading,
    /// It is not known what this is, so it was not verified; a runtime may take it for an image.
    Unverified,
}

impl Consequence {
    /// A sentence for people.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::WrongBytes => "files with wrong content or attributes, without an error",
            Self::IoError => "an I/O error when files are read, or when the layer is mounted",
            Self::Unpullable => "pushing or pulling fails or leaves it behind",
            Self::Rejected => {
                "the index is rejected, and the whole image is pulled before it starts"
            }
            Self::LayerEager => "this layer is pulled before the image starts",
            Self::Misleading => "incorrect, but ignored by readers",
            Self::Unverified => "a runtime may take it for an image, which was not verified",
        }
    }
}
