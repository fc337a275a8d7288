//! What was typed: the commands, and what several of them share.
//!
//! Each command's options, their help and their translation into the library's settings are in the
//! command's own file. `docs/cli.md` is the long form of these texts.

mod cache;
mod cat;
mod command;
mod diff;
mod display;
mod doctor;
mod filter;
mod gates;
mod gc;
mod image;
mod index;
mod inspect;
mod ls;
mod prefetch;
#[cfg(feature = "registry")]
pub(crate) mod registry;
mod remove;
mod shell;
mod trace;
mod value;
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
pub(crate) use image::ImageArgs;
pub(crate) use index::IndexArgs;
pub(crate) use inspect::InspectArgs;
pub(crate) use ls::LsArgs;
pub(crate) use remove::RemoveArgs;
pub(crate) use shell::{CompletionsArgs, ManArgs};
pub(crate) use trace::TraceArgs;
use value::jobs;
pub(crate) use verify::VerifyArgs;

use super::exit;
use super::show::size;

// Headings of the options in the help.
const IMAGES: &str = "Which images";
const LAYERS: &str = "Which layers";
const CONTENT: &str = "What is written";
const RUN: &str = "Run";
const OUTPUT: &str = "Output";
