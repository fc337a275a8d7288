//! What an indexing run would do and how long it would take, as plain values.
//!
//! The JSON form is public: members are only ever added under the same [`ESTIMATE_VERSION`].

use serde::{Deserialize, Serialize};

use crate::commands::index::report::Report;
use crate::layer::eager::EagerCause;
use crate::oci::digest::Digest;

/// Version of the JSON form.
pub const ESTIMATE_VERSION: u32 = 1;

/// The outcome of [`super::estimate`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Estimate {
    /// [`ESTIMATE_VERSION`].
    pub version: u32,
    /// What would be done, as a dry run of `index` says it.
    pub plan: Report,
    /// The layers that would be read, in the order in which they would be begun.
    pub layers: Vec<LayerEstimate>,
    /// Layers read at a time.
    pub jobs: u64,
    /// Processors of this machine.
    pub processors: u64,
    /// Expected wall time of reading the layers in seconds, when nothing else works on the machine.
    pub seconds: f64,
    /// Expected processor time, in seconds.
    pub cpu_seconds: f64,
    /// Bytes of layers that would be read.
    pub layer_bytes: u64,
    /// Expected bytes of new zTOCs.
    pub ztoc_bytes: u64,
    /// What the times were made of.
    pub measured: Measured,
}

/// What was measured for an estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measured {
    /// Layers of which the first part was read; the others are taken to be like them.
    pub layers: u64,
    /// Bytes read of them.
    pub bytes: u64,
    /// Processor time that took, in seconds.
    pub cpu_seconds: f64,
    /// Time on the clock, in seconds; much more than the processor time when the machine is busy.
    pub wall_seconds: f64,
}

/// A layer that would be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LayerEstimate {
    /// Digest of the blob.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it would be scanned; otherwise only checked, as its zTOC is there.
    pub scanned: bool,
    /// Whether its own first part was measured.
    pub measured: bool,
    /// Expected bytes of uncompressed archive.
    pub uncompressed_size: u64,
    /// Whether that is what the blob says itself (plain tar, or the end of a gzip file).
    pub uncompressed_size_stated: bool,
    /// Expected number of spans.
    pub spans: u64,
    /// Expected bytes of the zTOC; of the one that is there, its own.
    pub ztoc_size: u64,
    /// When it would begin, in seconds from the start.
    pub start: f64,
    /// When it would end.
    pub end: f64,
    /// Why no zTOC will come of it, where its first part shows that already.
    pub doubt: Option<String>,
    /// The kind of that reason.
    pub doubt_cause: Option<EagerCause>,
}
