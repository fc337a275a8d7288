//! What the doctor found, as plain values; the JSON form is public and only grows.

use serde::{Deserialize, Serialize};

use crate::commands::share::Share;
use crate::oci::digest::Digest;

/// Version of the JSON form.
pub const DIAGNOSIS_VERSION: u32 = 1;

/// The outcome of [`super::doctor`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// [`DIAGNOSIS_VERSION`].
    pub version: u32,
    /// The runtime that was asked about; none for all of them.
    pub target: Option<Target>,
    /// The images that were examined, in the order in which they are found.
    pub images: Vec<Examined>,
    /// What keeps them from starting lazily, image by image; empty when nothing does.
    pub findings: Vec<Finding>,
    /// Findings that are left out because there are so many.
    pub more: u64,
    /// What matters to that runtime as well, and is in no layout.
    #[serde(default)]
    pub unseen: Option<String>,
}

/// A runtime that loads images lazily.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// AWS Fargate (ECS).
    Fargate,
    /// EKS with nodes that have the soci-snapshotter.
    Eks,
    /// containerd with the soci-snapshotter, anywhere.
    Containerd,
}

impl Target {
    /// What matters to it as well, and is in no layout.
    pub(super) fn unseen(self) -> String {
        let (place, page) = match self {
            Self::Fargate => ("the image is in private ECR", "v1-or-v2.md"),
            Self::Eks | Self::Containerd => {
                ("the node's snapshotter is set up for it", "troubleshooting.md")
            }
        };
        format!(
            "a layout does not tell whether {place}, nor which volumes are mounted: files on EFS, EBS or a bind mount \
             are no part of the image, and no index makes them load sooner (docs/{page})"
        )
    }
}

/// An image that was examined.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Examined {
    /// Names of the `index.json` entries that lead to it.
    pub names: Vec<String>,
    /// `os/architecture[/variant]`; none when it is not known.
    pub platform: Option<String>,
    /// Digest of its manifest.
    pub digest: Digest,
    /// How much of it is lazy as it is.
    pub lazy: Share,
}

/// One thing that keeps an image, or a part of it, from starting lazily.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is, for programs.
    pub kind: Kind,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What it is, for people.
    pub sentence: String,
    /// The option or command that changes it.
    pub remedy: String,
}

/// A place in a layout; what is not there does not apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Place {
    /// Names of the entries of `index.json`.
    pub names: Vec<String>,
    /// The image's platform.
    pub platform: Option<String>,
    /// Digest of the image's manifest.
    pub image: Option<Digest>,
    /// Position of the layer in its image, from 1.
    pub layer: Option<u64>,
    /// Digest of the layer, or of what else it is about.
    pub blob: Option<Digest>,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// `index` fails on this layout.
    IndexFails,
    /// A layer, a configuration or a document is missing, or cannot be read.
    BrokenBlob,
    /// An image of an index that is not in the layout.
    MissingPlatform,
    /// No image for a platform that the runtime has.
    NoUsablePlatform,
    /// An image of unknown platform.
    UnknownPlatform,
    /// An image that is not for Linux.
    NotLinux,
    /// An entry of `index.json` that no push tool can be told to take.
    NoName,
    /// Docker's media types.
    DockerTypes,
    /// An image without a SOCI index, of which one can be made.
    NotIndexed,
    /// An image of which `index` makes nothing, as all layers are small.
    SmallLayers,
    /// An image smaller than those for which lazy loading is advised.
    SmallImage,
    /// An image that is hardly more than one layer.
    OneLargeLayer,
    /// An image that has V1 indexes only.
    V1Only,
    /// The SOCI index that a manifest names is not there.
    LostIndex,
    /// A SOCI index that no reader takes.
    RejectedIndex,
    /// A layer compressed with zstd.
    ZstdLayer,
    /// An encrypted layer.
    EncryptedLayer,
    /// A layer of another type that has no zTOC, or whose content is of another type.
    UnsupportedLayer,
    /// A layer of a supported type that cannot be lazy, or for which it does not pay.
    EagerLayer,
    /// A layer that could have a zTOC, in an image that has an index.
    NoZtoc,
    /// A layer whose zTOC cannot be used.
    BadZtoc,
    /// A signature, an SBOM or another artifact that indexing would leave behind.
    AttachmentStaysBehind,
    /// One whose image is not in the layout, or not any more.
    AttachmentLost,
}

impl Kind {
    /// Whether it matters to this runtime; without one, everything does.
    pub(super) fn matters(self, target: Option<Target>) -> bool {
        match self {
            Self::SmallImage => matches!(target, None | Some(Target::Fargate)),
            Self::NoUsablePlatform => {
                matches!(target, Some(Target::Fargate | Target::Eks))
            }
            _ => true,
        }
    }
}
