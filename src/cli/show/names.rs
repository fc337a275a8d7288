//! How images and their indexes are called.

use std::borrow::Borrow;

use soci_layout::Digest;
use soci_layout::inspect::SociVersion;

use super::escape;
use super::style::BOLD;

/// The names of an image, as they are.
pub(in crate::cli) fn names<S: Borrow<str>>(names: &[S]) -> String {
    if names.is_empty() { "(no name)".to_owned() } else { names.join(", ") }
}

/// An image, as a heading: what it is called, and of what it is one where that is known.
pub(in crate::cli) fn title(platform: &str, of: &str) -> String {
    let of = if of.is_empty() { String::new() } else { format!(" of {}", escape::label(of)) };
    format!("{BOLD}{}{BOLD:#}{of}", escape::label(platform))
}

/// A digest: in full, or so much of it that it can be told apart.
pub(super) fn short(digest: &Digest, verbose: bool) -> String {
    if verbose { digest.to_string() } else { digest.short() }
}

/// The version of a SOCI index.
pub(super) fn version(version: SociVersion) -> &'static str {
    match version {
        SociVersion::V1 => "v1",
        SociVersion::V2 => "v2",
    }
}
