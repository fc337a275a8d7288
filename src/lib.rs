//! Writes SOCI indexes into an OCI image layout directory, in place.
//!
//! SOCI lets a container runtime fetch an image file by file: a *zTOC* per layer says where each file
//! lies and where decompression can begin, a *SOCI index* per image names the zTOCs. This crate makes
//! both for the images of a layout directory (what `docker buildx build -o type=oci,tar=false` writes)
//! and binds them to the image, so that any push tool carries them along. No daemon, no root, no copy.
//!
//! ```no_run
//! use soci_layout::{Options, event::Silent, index};
//!
//! let report = index("oci-dir".as_ref(), &Options::default(), &Silent)?;
//! for image in &report.images {
//!     println!("{}: {} is now {}", image.platform, image.before, image.after);
//! }
//! # Ok::<(), soci_layout::Error>(())
//! ```
//!
//! The zTOC bytes are those of the reference (`awslabs/soci-snapshotter`), apart from the deliberate
//! differences that `docs/differences.md` lists. References such as "`soci-formats` 5.1" in the
//! documentation point into the notes of that name in `docs/`.
//!
//! The library never prints: progress comes as [`event::Event`]s, results as a [`report::Report`].

pub mod cache;
pub mod diff;
pub mod digest;
mod error;
pub mod estimate;
pub mod event;
pub mod gc;
pub mod ingest;
pub mod inspect;
pub mod json;
mod layout;
mod limits;
pub mod media_type;
mod options;
mod pipeline;
mod platform;
pub mod report;
pub mod rootfs;
pub mod scan;
mod select;
mod sha256;
mod soci;
mod steps;
pub mod verify;
mod warnings;
pub mod ztoc;

pub use digest::Digest;
pub use error::Error;
pub use layout::Layout;
pub use options::{
    DEFAULT_BUILD_TOOL_IDENTIFIER, DEFAULT_MIN_LAYER_SIZE, DEFAULT_SPAN_SIZE, IndexVersion,
    Options, V1Shape,
};
pub use pipeline::remove::{
    REMOVE_REPORT_VERSION, RemoveOptions, RemoveReport, RemovedImage, remove,
};
pub use pipeline::{index, plan, run};
pub use platform::{ParsePlatformError, Platform};
pub use report::Report;
