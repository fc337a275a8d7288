//! Digests of blobs: how they are written, and how they are computed.

mod hasher;
mod interleaved;
mod value;

pub(crate) use hasher::Hasher;
pub use value::{Digest, ParseDigestError};
pub(crate) use value::{hex, unhex};
