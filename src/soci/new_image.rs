//! What an image becomes when it gets SOCI indexes, or loses them.

use super::index::ManifestRef;
use crate::oci::digest::Digest;
use crate::oci::soci_version::V1Shape;

/// The V1 index of an image and where it is put.
#[derive(Clone, Debug)]
pub(crate) struct V1Index {
    pub(crate) blob: ManifestRef,
    pub(crate) shape: V1Shape,
    /// The tool that made it, for its entry in a list.
    pub(crate) tool: String,
}

/// What an image becomes.
#[derive(Clone, Debug)]
pub(crate) struct NewImage {
    /// The manifest it had.
    pub(crate) before: Digest,
    /// The manifest it has now.
    pub(crate) manifest: ManifestRef,
    pub(crate) v2: Option<ManifestRef>,
    pub(crate) v1: Option<V1Index>,
}

impl NewImage {
    /// The V1 index, when it is a child of the image index.
    pub(super) fn nested_v1(&self) -> Option<&ManifestRef> {
        self.v1.as_ref().filter(|v1| v1.shape == V1Shape::Nested).map(|v1| &v1.blob)
    }

    /// The V1 index, when it stands in a list of its own.
    pub(super) fn tagged_v1(&self) -> Option<&V1Index> {
        self.v1.as_ref().filter(|v1| v1.shape == V1Shape::Tagged)
    }
}
