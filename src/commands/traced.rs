//! What was recorded of a run of an image: files that were read, and bytes of its layers that were fetched.

use serde::{Deserialize, Serialize};

use crate::oci::digest::Digest;

/// A file that a run used, and how much of it.
///
/// Of an entry of a stargz record (`recorder/recorder.go` there) only the path matters: which layer it was is another
/// matter for an image that was built again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TracedFile {
    /// Its name.
    pub path: String,
    /// First and last byte of each part; all of it when there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<(u64, u64)>,
}

impl From<String> for TracedFile {
    fn from(path: String) -> Self {
        Self { path, parts: Vec::new() }
    }
}

/// Bytes of a layer's blob that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRange {
    /// The blob.
    pub layer: Digest,
    /// First byte.
    pub first: u64,
    /// Last byte.
    pub last: u64,
}
