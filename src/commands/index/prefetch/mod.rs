//! Prefetch: the files that a reader fetches before the image starts, found in the image and told as spans.
//!
//! ```text
//! lists, traces ► paths ► image's merged tree ► places in layers ► spans of zTOCs ► artifacts
//!  lists.rs, trace.rs      paths.rs                                 stage, covered   soci/prefetch.rs
//! access logs ─────────────────────────────────► bytes of layers ──────┘
//!  ranges.rs
//! ```
//!
//! The reader (`fs/layer/layer.go` of the reference) fetches all spans of a layer's artifact when it mounts the
//! layer. When it first reads a file, it asks for the span of the tar header up to that of the byte behind the
//! file (`fs/reader/reader.go`, `fs/span-manager/span_manager.go`).

mod covered;
mod fatrace;
mod lists;
mod paths;
mod ranges;
mod stage;
mod strace;
mod trace;

pub use crate::commands::traced::{BlobRange, TracedFile};
pub use lists::read_list;
pub(super) use stage::Search;
pub use trace::{Trace, read_trace};
