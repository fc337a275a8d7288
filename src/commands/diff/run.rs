//! Compares two layouts.

use std::path::Path;

use super::contrast::Both;
use super::report::{Change, DIFFERENCE_VERSION, Difference};
use super::side::Side;
use crate::error::Error;
use crate::oci::platform::Platform;
use crate::progress::event::Observer;

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

/// Compares the layout directories at `a` and `b`, which may be one. Nothing is locked or written.
///
/// # Errors
/// As [`crate::commands::inspect::inspect`], for either side. A platform that only one side has is no error.
pub fn diff(
    a: &Path,
    b: &Path,
    options: &DiffOptions,
    observer: &dyn Observer,
) -> Result<Difference, Error> {
    let DiffOptions { ref_a, ref_b, platforms } = options;
    let (a, missing_a) = Side::open(a, ref_a.as_ref(), platforms, observer)?;
    let (b, missing_b) = Side::open(b, ref_b.as_ref(), platforms, observer)?;
    if let (Some(error), Some(_)) = (missing_a, missing_b) {
        return Err(error);
    }
    let both = Both { a, b, observer };
    let images = both.images()?;
    // Who names two images wants to see how the images differ.
    let names = if ref_a == ref_b { both.names() } else { Vec::new() };
    let blobs = both.blobs([ref_a.as_ref(), ref_b.as_ref()], !platforms.is_empty())?;
    let same = names.is_empty()
        && images.iter().all(|image| image.change == Change::Same)
        && blobs.only_a.is_empty()
        && blobs.only_b.is_empty();
    Ok(Difference { version: DIFFERENCE_VERSION, same, names, images, blobs })
}
