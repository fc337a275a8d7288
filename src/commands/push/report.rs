//! What a push did, as plain values; the JSON form is public and only grows.

use serde::{Deserialize, Serialize};

use crate::oci::digest::Digest;

/// Version of the JSON form.
pub const PUSH_REPORT_VERSION: u32 = 1;

/// The outcome of [`super::push`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PushReport {
    /// [`PUSH_REPORT_VERSION`].
    pub version: u32,
    /// The image in the registry, with its tag.
    pub reference: String,
    /// Digest behind the tag, which is the layout's.
    pub digest: Digest,
    /// What was behind the tag before, where the registry says it.
    pub before: Option<String>,
    /// Blobs that were sent.
    pub blobs_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Blobs that were taken over from other repositories of the registry.
    pub blobs_mounted: u64,
    /// Blobs that were there.
    pub blobs_there: u64,
    /// Manifests and indexes that were sent.
    pub manifests_sent: u64,
    /// Manifests and indexes that were there.
    pub manifests_there: u64,
    /// Tags of lists of referrers that were written; none where the registry has the referrers API.
    pub referrers_tags: Vec<String>,
    /// Wall time in seconds.
    pub seconds: f64,
}
