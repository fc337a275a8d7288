//! How images and their indexes are called.

use std::borrow::Borrow;

use soci_layout::inspect::SociVersion;

use super::escape;
use super::style::BOLD;

/// The names of an image, as they are.
pub(in crate::cli) fn names<S: Borrow<str>>(names: &[S]) -> String {
    if names.is_empty() { "(no name)".to_owned() } else { names.join(", ") }
}

/// An image, as a heading: its platform, and whose it is where that is known.
pub(super) fn title(platform: &str, of: &str) -> String {
    let of = if of.is_empty() { String::new() } else { format!(" of {}", escape::label(of)) };
    format!("{BOLD}{}{BOLD:#}{of}", escape::label(platform))
}

/// The version of a SOCI index.
pub(super) fn version(version: SociVersion) -> &'static str {
    match version {
        SociVersion::V1 => "v1",
        SociVersion::V2 => "v2",
    }
}
