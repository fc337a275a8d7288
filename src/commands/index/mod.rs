//! `index`: writes the zTOCs and SOCI indexes of a layout's images.
//!
//! `run.rs` is the walk through a run: resolve → scan layers → prefetch → assemble → commit. Each stage takes the values
//! of the one before and changes nothing; only the last one writes into places that readers see.
//!
//! Of one layer, `decide.rs` says what becomes of it, `settle.rs` looks for its zTOC (`early.rs`, `reuse.rs`,
//! `cached.rs`) and `make.rs` makes one; `schedule.rs` gives that work to threads. `foreseen.rs` is the dry run.
//! `startups.rs` estimates how soon the images start.
//!
//! `registry.rs` runs over an image in a registry, whose layers come as streams; `many.rs` over a list of them.

pub(in crate::commands) mod assemble;
pub(in crate::commands) mod attached;
pub(crate) mod cached;
mod decide;
pub(crate) mod early;
mod foreseen;
mod hiding;
mod images;
mod job;
mod layers;
pub(crate) mod make;
#[cfg(feature = "registry")]
pub mod many;
pub(crate) mod options;
pub mod prefetch;
pub(in crate::commands) mod prune;
mod ready;
#[cfg(feature = "registry")]
pub(crate) mod registry;
#[cfg(feature = "registry")]
mod remote;
pub mod report;
mod reuse;
pub(in crate::commands) mod roots;
pub(crate) mod run;
pub(in crate::commands) mod saving;
mod scanned;
mod schedule;
mod settle;
mod stage;
pub(in crate::commands) mod startups;

pub use run::index;
