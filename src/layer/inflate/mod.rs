//! Raw inflate that can stop at the end of a deflate block, made for scanning.
//!
//! Output goes straight into the caller's buffer, in which the last 32 KiB of output stand in front of
//! the place to write to; so nothing is copied out of or into a window. Verdicts are zlib's on every
//! input (RFC 1951 leaves some to the decoder); it is the judge in the tests.
//!
//! [`header`] and [`tables`] make decoding tables, [`fast`] decodes while input and room are plenty,
//! [`careful`] at the margins, and [`inflater`] goes from block to block. [`find`] guesses where a block begins,
//! and [`symbol`] has what output is made of when the history in front of it is not known.

mod bits;
mod careful;
mod fast;
mod find;
mod header;
mod inflater;
mod output;
mod symbol;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use find::{Finder, Start};
pub(crate) use inflater::{Inflater, Stop};
pub(crate) use output::DataError;
pub(crate) use symbol::{
    Resolver, Symbol, behind_references, reaches_too_far, resolve_window, unknown,
};
