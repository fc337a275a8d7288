//! Pushes an image of a layout to a registry, with everything that its entry leads to and that refers to it.
//!
//! First the blobs (those that are there already are not sent), then the SOCI indexes, the image manifests, what refers to them,
//! the image indexes, the lists of referrers, and last the tag: whoever pulls by tag meanwhile gets the old image
//! or the whole new one. Documents are sent byte for byte, so the digest behind the tag is the layout's.

mod collect;
mod lists;
mod report;
mod run;

pub use report::{PUSH_REPORT_VERSION, PushReport};
pub(in crate::commands) use run::run;
pub use run::{PushOptions, push};
