//! The options of `soci-layout cache` and its commands, and `--cache-dir`, which `index` has too.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::OsStringValueParser;
use clap::{Args, Subcommand};
use soci_layout::cache::PruneOptions;

use super::{OUTPUT, RUN, exit, size};

/// Environment variable with the directory.
const VARIABLE: &str = "SOCI_LAYOUT_CACHE_DIR";

/// Where zTOCs are kept.
#[derive(Args, Clone, Debug)]
pub(crate) struct CacheDir {
    /// Directory in which zTOCs are kept from run to run [default: none]
    ///
    /// A layer whose zTOC is there for these settings is not scanned; its blob is still read and checked against
    /// its digest (but see --trust-blobs). zTOCs that are made are put there. Everyone who can write there is
    /// trusted: a wrong zTOC makes wrong files. An empty value is none.
    #[arg(long, value_name = "DIR", env = VARIABLE, hide_env_values = true, help_heading = RUN, value_parser = OsStringValueParser::new())]
    cache_dir: Option<OsString>,
}

impl CacheDir {
    /// The directory; `None` for no cache.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.cache_dir.as_ref().filter(|dir| !dir.is_empty()).map(PathBuf::from)
    }
}

/// Manage the zTOC cache
///
/// The directory is the one of index --cache-dir. An entry is used for the layer and the settings that its name
/// stands for; all else in the directory is left alone.
#[derive(Args, Debug)]
#[command(after_long_help = exit::HELP)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    Ls(LsArgs),
    Prune(PruneArgs),
    Verify(CheckArgs),
}

/// List the entries, the last used first
#[derive(Args, Debug)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) cache: CacheDir,

    /// Write the list as one JSON document to standard output
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

/// Remove the entries that were not used for longest
///
/// Also removes what killed runs left an hour ago or earlier. A run that uses the directory at the same time
/// is not disturbed: what it does not find any more it makes anew.
#[derive(Args, Debug)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("limit").args(["max_size", "max_age"]).required(true).multiple(true))]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) cache: CacheDir,

    /// Keep at most this much
    #[arg(long, value_name = "SIZE", help_heading = RUN, value_parser = size::parse)]
    max_size: Option<u64>,

    /// Keep only what was used within this time: 12h, 30d, 2weeks
    ///
    /// The time of the last use is known to the day.
    #[arg(long, value_name = "DURATION", help_heading = RUN, value_parser = humantime::parse_duration)]
    max_age: Option<Duration>,

    /// Say what would be removed, remove nothing
    #[arg(long, help_heading = RUN)]
    dry_run: bool,

    /// Write what was removed as one JSON document to standard output
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

/// Check all entries: checksum, structure, and that each is what its name says
///
/// Finds damage. That a zTOC is true cannot be seen without its layer: index a layout from the cache, then
/// run soci-layout verify on it.
#[derive(Args, Debug)]
#[command(after_help = "Exits with 0 only when no entry is corrupt.")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) cache: CacheDir,

    /// Remove the corrupt entries
    #[arg(long, help_heading = RUN)]
    pub(crate) remove: bool,

    /// Write the result as one JSON document to standard output
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

impl CacheCommand {
    /// The directory that the command is about.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        match self {
            Self::Ls(args) => args.cache.path(),
            Self::Prune(args) => args.cache.path(),
            Self::Verify(args) => args.cache.path(),
        }
    }
}

impl PruneArgs {
    /// The library's settings.
    pub(crate) fn options(&self) -> PruneOptions {
        let mut options = PruneOptions::default();
        options.max_size = self.max_size;
        options.max_age = self.max_age;
        options.dry_run = self.dry_run;
        options
    }
}

#[cfg(test)]
mod tests {
    use clap::{Parser as _, error::ErrorKind};

    use super::super::{Cli, Command};
    use super::*;

    fn cache(arguments: &str) -> Result<CacheCommand, clap::Error> {
        let arguments = ["soci-layout", "cache"].into_iter().chain(arguments.split_whitespace());
        Cli::try_parse_from(arguments).map(|cli| match cli.command {
            Command::Cache(args) => args.command,
            _ => unreachable!("it begins with cache"),
        })
    }

    #[test]
    fn limits_reach_the_library() {
        for (arguments, max_size, max_age) in [
            ("prune --cache-dir D --max-size 1.5GiB", Some(3 << 29), None),
            ("prune --max-age 30d --cache-dir D", None, Some(30)),
            ("prune --cache-dir=D --max-size 0 --max-age 2weeks", Some(0), Some(14)),
        ] {
            let command = cache(arguments).expect(arguments);
            assert_eq!(command.directory(), Some("D".into()));
            let CacheCommand::Prune(args) = command else { panic!("{arguments}") };
            let options = args.options();
            assert_eq!(options.max_size, max_size);
            assert_eq!(options.max_age, max_age.map(|days| Duration::from_secs(86_400 * days)));
            assert!(!options.dry_run);
        }
    }

    #[test]
    fn usage_errors() {
        for (arguments, kind) in [
            ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("prune --cache-dir D", ErrorKind::MissingRequiredArgument),
            ("prune --cache-dir D --max-age 30", ErrorKind::ValueValidation),
            ("prune --cache-dir D --max-age -1d", ErrorKind::UnknownArgument),
            ("prune --cache-dir D --max-size big", ErrorKind::ValueValidation),
            ("ls D", ErrorKind::UnknownArgument),
            ("clear", ErrorKind::InvalidSubcommand),
        ] {
            assert_eq!(cache(arguments).expect_err(arguments).kind(), kind, "{arguments}");
        }
    }

    #[test]
    fn an_empty_directory_is_none() {
        assert_eq!(cache("ls --cache-dir=").expect("valid").directory(), None);
    }
}
