//! The commands.

use clap::{Parser, Subcommand};

#[cfg(feature = "registry")]
use super::registry::{CheckArgs, PushArgs};
use super::{
    CacheArgs, CatArgs, CompletionsArgs, DiffArgs, DoctorArgs, GcArgs, IndexArgs, InspectArgs,
    LsArgs, ManArgs, RemoveArgs, TraceArgs, VerifyArgs, exit,
};
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
    Plan(IndexArgs),
    Verify(VerifyArgs),
    #[cfg(feature = "registry")]
    Push(PushArgs),
    #[cfg(feature = "registry")]
    Check(CheckArgs),
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    /// What is said of `index` must not stand in the help of `plan`.
    #[test]
    fn help_is_its_own_and_options_are_those_of_index() {
        let cli = Cli::command();
        let about = |name: &str| {
            let command = cli.find_subcommand(name).expect("a command");
            command.get_about().expect("a text").to_string()
        };
        assert!(about("plan").starts_with("Preview an index run"), "{}", about("plan"));
        assert!(about("index").starts_with("Index the images"), "{}", about("index"));
        let options = |name: &str| {
            let command = cli.find_subcommand(name).expect("a command");
            command.get_arguments().map(|a| a.get_id().clone()).collect::<Vec<_>>()
        };
        assert_eq!(options("plan"), options("index"));
    }
}
