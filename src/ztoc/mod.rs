//! The zTOC: table of contents and checkpoints of one layer.
//!
//! [`Ztoc`] is the plain value; [`Ztoc::encode`] gives the reference's bytes, [`Ztoc::decode`] reads
//! any zTOC and says what the reference's reader would refuse.

pub(crate) mod compare;
mod decode;
mod encode;
mod flatbuffer;
mod head;
#[cfg(test)]
mod judge;
pub(crate) mod paths;
pub(crate) mod spans;
mod time;
pub mod toc;
mod value;
pub mod zinfo;

pub use decode::DecodeError;
pub(crate) use decode::version;
pub use encode::{Encoding, ZtocTooLarge};
pub use head::{Head, HeadError};
pub use value::{ZTOC_VERSION, Zinfo, Ztoc};
