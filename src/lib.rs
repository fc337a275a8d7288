//! Writes SOCI indexes into an OCI image layout directory, in place.
//!
//! SOCI lets a container runtime fetch an image file by file: a *zTOC* per layer says where each file
//! lies and where decompression can begin, a *SOCI index* per image names the zTOCs. This crate makes
//! both for the images of a layout directory (what `docker buildx build -o type=oci,tar=false` writes)
//! and binds them to the image, so that any push tool carries them along. No daemon, no root, no copy.
//!
//! **Index a layout.** Options and reports may get more fields, so options are changed and not written out.
//!
//! ```
//! # let layout = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/layout.rs"));
//! use soci_layout::{Options, event::Silent, index};
//!
//! let mut options = Options::default();
//! options.min_layer_size = 0;
//! let report = index(layout.path(), &options, &Silent)?;
//! for image in &report.images {
//!     println!("{}: {} is now {}", image.platform, image.before, image.after);
//! }
//! assert!(report.layers.iter().any(|layer| layer.outcome.ztoc().is_some()));
//! // What `index --json` prints can be read as a report again.
//! let json = serde_json::to_string(&report)?;
//! let report: soci_layout::Report = serde_json::from_str(&json)?;
//! # assert!(report.changed);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Read a file through a zTOC**, as a lazy mount does: only the spans that hold it are read.
//!
//! ```
//! # let layout = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/layout.rs"));
//! # let mut options = soci_layout::Options::default();
//! # options.min_layer_size = 0;
//! # soci_layout::index(layout.path(), &options, &soci_layout::event::Silent)?;
//! use soci_layout::event::Silent;
//! use soci_layout::files::{FilesOptions, ImageFiles};
//!
//! let image = ImageFiles::open(layout.path(), &FilesOptions::default(), &Silent)?;
//! let root = image.root()?;
//! let file = root.lookup(b"/etc/app.conf", true)?;
//! let mut content = Vec::new();
//! let read = root.read(file, &mut content, &Silent)?;
//! assert_eq!(content.len() as u64, root.entry(file).size());
//! println!("{:?} of {} spans of layer {}", read.spans, read.span_count, read.layer_number);
//! # assert!(read.ztoc.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Show progress.** An [`Observer`](event::Observer) gets an [`Event`](event::Event) for whatever happens, from
//! several threads, and may cancel the run.
//!
//! ```
//! # let layout = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/layout.rs"));
//! use std::sync::atomic::{AtomicUsize, Ordering};
//!
//! use soci_layout::event::{Event, Observer, Outcome};
//! use soci_layout::{Options, index};
//!
//! #[derive(Default)]
//! struct Display {
//!     done: AtomicUsize,
//! }
//!
//! impl Observer for Display {
//!     fn event(&self, event: &Event) {
//!         match event {
//!             Event::Planned(step) => eprintln!("#{} {}", step.id, step.name),
//!             Event::Progress { step, current, total } => eprintln!("#{step} {current}/{total}"),
//!             Event::Warning { message, .. } => eprintln!("warning: {message}"),
//!             Event::Finished { outcome: Outcome::Done | Outcome::Cached, .. } => {
//!                 self.done.fetch_add(1, Ordering::Relaxed);
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//!
//! let display = Display::default();
//! index(layout.path(), &Options::default(), &display)?;
//! assert!(display.done.into_inner() > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`soci_index`] encodes a SOCI index of layers that are in no layout.
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
mod trouble;
mod unfinished;
pub mod ztoc;

pub use commands::index::index;
pub use commands::index::options::{
    DEFAULT_MIN_LAYER_SIZE, DEFAULT_MIN_SAVING, DEFAULT_SPAN_SIZE, Options, PrefetchFiles,
    PrefetchLimit,
};
pub use commands::index::prefetch;
pub use commands::index::report::{self, Report};
#[cfg(feature = "registry")]
pub use commands::index::{many, registry::index_registry};
pub use commands::layer_choice::LayerChoice;
pub use commands::link::Link;
pub use commands::remove::{
    REMOVE_REPORT_VERSION, RemoveOptions, RemoveReport, RemovedImage, remove,
};
#[cfg(feature = "registry")]
pub use commands::{check, push};
pub use commands::{diff, doctor, files, gc, inspect, plan, startup, verify};
pub use error::Error;
pub use layout::select::ImageFilter;
pub use oci::digest::{Digest, ParseDigestError};
pub use oci::platform::{ParsePlatformError, Platform};
pub use oci::soci_version::{IndexVersion, V1Shape, V2Platform};
// For the fuzz targets; no part of what is promised.
#[doc(hidden)]
pub use oci::json;
pub use oci::media_type;
pub use progress::event;
pub use soci::index::{self as soci_index, DEFAULT_BUILD_TOOL_IDENTIFIER};
pub use soci::manifest::LayerTypes;
pub use trouble::{ErrorKind, InputTrouble, RegistryTrouble, Taken};
pub use unfinished::abandon;
