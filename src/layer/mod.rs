//! Scans a layer: one pass over the blob gives everything a zTOC holds.
//!
//! ```text
//! blob ──► blob digest
//!   │
//!   ├────► span digests ◄── span starts ──┐
//!   └────► gzip members, deflate blocks ──┴─► checkpoints
//!                 │ uncompressed bytes
//!                 └──► tar headers ──► TOC
//! ```
//!
//! The parts know nothing of each other and nothing of files or layouts: [`source`] reads, [`gzip`] and
//! [`inflate`] find members and blocks, [`checkpoint`] decides, [`span`] hashes, [`tar`] reads headers;
//! [`walk`] puts the content's side together, [`threads`] both sides, and [`splitter`] lets
//! other threads read gzip members and blocks ahead. Memory is bounded by the TOC, the checkpoints and fixed buffers,
//! whatever the size of the layer. [`probe`] holds a zTOC against a layer, [`unpack`] and [`zstd`] give the
//! content to those who want files.

mod buffer;
mod checkpoint;
pub(crate) mod content;
#[cfg(test)]
mod costs;
#[cfg(test)]
mod crafted;
pub(crate) mod eager;
pub(crate) mod fidelity;
mod gzip;
mod inflate;
pub(crate) mod list;
#[cfg(test)]
mod model;
mod name_key;
mod places;
pub(crate) mod probe;
pub(crate) mod sample;
mod scan;
#[cfg(test)]
mod serial_judge;
mod source;
mod span;
mod splitter;
pub mod tar;
mod threads;
pub(crate) mod unpack;
mod walk;
mod window;
pub(crate) mod zstd;

#[cfg(feature = "archives")]
pub(crate) use buffer::Buffer;
pub use eager::{EagerCause, EagerReason};
#[cfg(test)]
use scan::divided;
pub use scan::{Scan, ScanError, ScanObserver, ScanRequest, scan};
#[cfg(feature = "archives")]
pub(crate) use source::CHUNK;
pub(crate) use source::pieces;
