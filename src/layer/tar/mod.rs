//! Reading the headers of a tar stream for the table of contents of a zTOC.
//!
//! The SOCI reader verifies a zTOC against what Go's `archive/tar` makes of the headers, so a [`TarWalker`]
//! reads them exactly as that package does (Go 1.26, `src/archive/tar`), down to its quirks; `soci-formats`
//! section 2 lists the rules. It does no input or output of its own: the caller feeds it the uncompressed
//! stream in pieces of any length and takes the [`TarSummary`] at the end.
//!
//! The walker keeps the table of contents, at most one block and at most one extended header of 1 MiB, never
//! file data.

mod entry;
mod error;
mod header;
mod links;
mod pax;
mod sparse;
#[cfg(test)]
mod tests;
mod walker;

pub use error::{TarError, TarErrorKind};
pub(super) use header::{Header, is_zero};
pub(crate) use links::dangling;
pub(crate) use sparse::SparseMap;
pub use walker::{MAX_TOC_SIZE, TarSummary, TarWalker};

/// Longest payload of an extended header (`x`, `g`, `L`, `K`) and longest sparse map, in bytes. Go's limit
/// (`maxSpecialFileSize`); it also bounds the walker's buffer against hostile archives.
pub const MAX_META_SIZE: usize = 1 << 20;
