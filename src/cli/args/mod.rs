//! What was typed: the commands, and what several of them share.
//!
//! Each command's options, their help and their translation into the library's settings are in the
//! command's own file. `docs/cli.md` is the long form of these texts.

mod cache;
mod cat;
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
mod plan;
mod prefetch;
mod progress;
#[cfg(feature = "registry")]
pub(crate) mod registry;
mod remove;
mod shell;
mod trace;
mod verify;

use clap::{Parser, Subcommand};

use super::exit;
use crate::cli::show::style;
pub(crate) use cache::{CacheArgs, CacheCommand, CacheDir};
pub(crate) use cat::CatArgs;
pub(crate) use diff::DiffArgs;
pub(crate) use display::DisplayArgs;
use display::{DIGESTS_OR_JSON, FINDINGS_ONLY};
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
pub(crate) use plan::PlanArgs;
pub(crate) use progress::Progress;
#[cfg(feature = "registry")]
pub(crate) use registry::RegistryCommand;
pub(crate) use remove::RemoveArgs;
pub(crate) use shell::{CompletionsArgs, ManArgs};
pub(crate) use trace::TraceArgs;
pub(crate) use verify::VerifyArgs;

/// Writes SOCI indexes into OCI image layouts, so that container runtimes can start images before
/// they have downloaded them.
#[derive(Debug, Parser)]
#[command(name = "soci-layout", version, styles = style::HELP, max_term_width = 100, after_long_help = exit::HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

// In the order in which people need them, which is that of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Index(IndexArgs),
    /// Preview an index run: layers, sizes, estimated time
    ///
    /// Takes the options of index. Which layers would be indexed is decided as a run does it; times and
    /// sizes are estimated from the first megabytes of the largest layers, scanned here and now. Nothing is
    /// locked or written. How good the estimate is stands below it.
    #[command(after_help = "See --help for more about each option.", after_long_help = exit::HELP)]
    Plan(PlanArgs),
    Verify(VerifyArgs),
    #[cfg(feature = "registry")]
    #[command(flatten)]
    Registry(RegistryCommand),
    Doctor(DoctorArgs),
    Inspect(InspectArgs),
    Ls(LsArgs),
    Cat(CatArgs),
    Trace(TraceArgs),
    Diff(DiffArgs),
    Remove(RemoveArgs),
    Gc(GcArgs),
    Cache(CacheArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}
