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
//!
//! **Features**, all on by default: `archives` adds the module `archive` (layouts in tar archives and pipes;
//! tokio), `registry` the modules `registry`, `check` and `push` (ureq, rustls), `cli` the program and what it alone needs. A library that works on directories is
//! `soci-layout = { default-features = false }`.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make their own files"))]

#[cfg(feature = "archives")]
#[expect(
    clippy::disallowed_methods,
    reason = "writes into a directory of its own, renames the result"
)]
pub mod archive;
#[expect(clippy::disallowed_methods, reason = "writes entries, renames them to their names")]
pub mod cache;
mod commands;
mod error;
pub mod layer;
#[expect(clippy::disallowed_methods, reason = "the room that writes layouts")]
mod layout;
mod limits;
mod oci;
mod progress;
#[cfg(feature = "registry")]
pub mod registry;
mod soci;
mod threads;
mod unfinished;
pub mod ztoc;

pub use commands::index::options::{
    DEFAULT_MIN_LAYER_SIZE, DEFAULT_MIN_SAVING, DEFAULT_SPAN_SIZE, Link, Options, PrefetchFiles,
    PrefetchLimit,
};
pub use commands::index::prefetch;
pub use commands::index::report::{self, Report};
pub use commands::index::{index, plan, run};
pub use commands::layer_choice::LayerChoice;
pub use commands::remove::{
    REMOVE_REPORT_VERSION, RemoveOptions, RemoveReport, RemovedImage, remove,
};
#[cfg(feature = "registry")]
pub use commands::{check, push};
pub use commands::{diff, doctor, files, gc, inspect, plan as estimate, verify};
pub use error::{Error, ErrorKind, RegistryTrouble, Taken};
pub use layout::Layout;
pub use layout::select::ImageFilter;
pub use oci::digest::Digest;
pub use oci::platform::{ParsePlatformError, Platform};
pub use oci::soci_version::{IndexVersion, V1Shape, V2Platform};
pub use oci::{digest, json, media_type};
pub use progress::event;
pub use soci::index::DEFAULT_BUILD_TOOL_IDENTIFIER;
pub use soci::manifest::LayerTypes;
pub use unfinished::abandon;
