//! What is asked for.

use crate::oci::platform::Platform;

/// What to compare.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DiffOptions {
    /// Name of the image in A; none for everything.
    pub ref_a: Option<String>,
    /// Name of the image in B; none for everything.
    pub ref_b: Option<String>,
    /// Platforms; empty for all.
    pub platforms: Vec<Platform>,
}
