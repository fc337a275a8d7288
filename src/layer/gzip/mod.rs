//! Walks the members of a gzip layer in one pass: headers, blocks, trailers, checkpoints.
//!
//! The wrapper is read here (RFC 1952) and not by zlib, because the walker must know where each
//! member's header ends. As strict as the reference (`soci-formats` 3.4): wrong header or data
//! checksums, reserved flags, truncation and anything behind the last member are errors.
//!
//! [`member`] goes from one byte to the next, [`walker`] does so from the blob's first byte on and decides on
//! checkpoints, [`ahead`] does so from a place further on where a member or a block seems to begin, without
//! knowing what stands before it. When the walker comes to such a place, it takes over what was found there.

mod ahead;
mod error;
mod member;
mod pattern;
mod walker;

pub(crate) use ahead::{Ahead, Origin};
pub(crate) use error::{GzipError, GzipErrorKind};
pub(crate) use pattern::HeaderPattern;
pub(crate) use walker::{GzipWalker, ReadAhead};
