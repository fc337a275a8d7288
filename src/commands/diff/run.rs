//! Compares two layouts.

use std::path::Path;

use super::contrast::Both;
use super::options::DiffOptions;
use super::report::{Change, DIFFERENCE_VERSION, Difference};
use super::side::Side;
use crate::error::Error;
use crate::progress::event::Observer;

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
    let platforms = &options.platforms;
    let (a, missing_a) = Side::open(a, options.ref_a.as_ref(), platforms, observer)?;
    let (b, missing_b) = Side::open(b, options.ref_b.as_ref(), platforms, observer)?;
    if let (Some(error), Some(_)) = (missing_a, missing_b) {
        return Err(error);
    }
    let both = Both { a, b, observer };
    let images = both.images()?;
    // Who names two images wants to see how the images differ.
    let names = if options.ref_a == options.ref_b { both.names() } else { Vec::new() };
    let blobs = both.blobs(options)?;
    let same = names.is_empty()
        && images.iter().all(|image| image.change == Change::Same)
        && blobs.only_a.is_empty()
        && blobs.only_b.is_empty();
    Ok(Difference { version: DIFFERENCE_VERSION, same, names, images, blobs })
}
