//! Archives in: a tar file or a pipe becomes an indexed layout, its layers scanned as they pass by.
//!
//! ```text
//! source ► feed ► decode ► members ──┬──► disk      one file per member, hashed, synced
//! (thread, (async)  gzip    policy   └──► side      scans of what looks like a layer
//!  zstd)                                   │
//!                                     pipeline ► place (rename) or pack (archive)
//! ```
//!
//! The only room that knows tokio; a test (`tests/it/tidy.rs`) holds that. Everything between source,
//! disk and scans goes through bounded channels: the slowest sets the pace, memory stays the same. All
//! is made in a directory of our own beside the result ([`place`]), which comes to its place at the very
//! end: whatever happens before, it does not exist.

mod bounded;
mod decode;
mod disk;
mod failure;
mod feed;
mod index;
mod input;
mod members;
mod output;
mod pack;
mod pieces;
mod place;
mod policy;
mod side;
mod strangers;

pub use index::index;
pub use input::Input;
pub use output::Output;
