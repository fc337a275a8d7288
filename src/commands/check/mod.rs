//! Checks what was pushed: whether a consumer of the tag would find the SOCI indexes, and everything that they lead to.
//!
//! An index is lost silently: every push succeeds, and the image starts as it did before. So this asks the registry for what the
//! consumer asks for, in its order (`push-interop` 1): the index that the image manifest's annotation names, else what the
//! registry lists as referrers. Documents are read and held to their digests; blobs are only asked for.
//! Each finding says which mistake leads to it.

mod image;
mod report;
mod run;

pub use report::{CHECK_REPORT_VERSION, CheckFinding, CheckReport, CheckedImage, Mistake};
pub use run::{CheckOptions, check};
