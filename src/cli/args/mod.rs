//! What was typed: the commands, and what several of them share.
//!
//! Each command's options, their help and their translation into the library's settings are in the
//! command's own file. `docs/cli.md` is the long form of these texts.

mod cache;
mod cat;
mod choice;
mod command;
mod diff;
mod display;
mod doctor;
mod filter;
mod gates;
mod gc;
mod headings;
mod image;
mod index;
mod inspect;
mod jobs;
mod ls;
mod prefetch;
#[cfg(feature = "registry")]
pub(crate) mod registry;
mod remove;
mod shell;
mod trace;
mod verify;

pub(crate) use cache::{CacheArgs, CacheCommand, CacheDir};
pub(crate) use cat::CatArgs;
pub(crate) use command::{Cli, Command};
pub(crate) use diff::DiffArgs;
use display::{DIGESTS_OR_JSON, FINDINGS_ONLY};
pub(crate) use display::{DisplayArgs, Progress};
pub(crate) use doctor::DoctorArgs;
use filter::ImageFilterArgs;
pub(crate) use gates::{Gates, HINT};
pub(crate) use gc::GcArgs;
use headings::{CONTENT, IMAGES, LAYERS, OUTPUT, RUN};
pub(crate) use image::ImageArgs;
pub(crate) use index::IndexArgs;
pub(crate) use inspect::InspectArgs;
use jobs::jobs;
pub(crate) use ls::LsArgs;
pub(crate) use remove::RemoveArgs;
pub(crate) use shell::{CompletionsArgs, ManArgs};
pub(crate) use trace::TraceArgs;
pub(crate) use verify::VerifyArgs;
