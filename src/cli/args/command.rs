//! The commands.

use clap::{Parser, Subcommand};

#[cfg(feature = "registry")]
use super::RegistryCommand;
use super::{
    CacheArgs, CatArgs, CompletionsArgs, DiffArgs, DoctorArgs, GcArgs, IndexArgs, InspectArgs,
    LsArgs, ManArgs, PlanArgs, RemoveArgs, TraceArgs, VerifyArgs,
};
use crate::cli::exit;
use crate::cli::show::style;

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
