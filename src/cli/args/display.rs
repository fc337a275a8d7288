//! How a command speaks: the options that all commands with a display of progress share.

use clap::{Args, ValueEnum};

use super::OUTPUT;

/// Progress, report and silence.
#[derive(Args, Debug)]
pub(crate) struct DisplayArgs {
    /// How progress is shown on standard error [default: auto]
    #[arg(long, value_name = "DISPLAY", help_heading = OUTPUT)]
    pub(crate) progress: Option<Progress>,

    /// Write the report as one JSON document to standard output
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,

    /// Only errors and warnings on standard error
    #[arg(long, short, help_heading = OUTPUT)]
    pub(crate) quiet: bool,
}

/// Displays of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// tty on a terminal outside of CI, else plain
    Auto,
    /// Steps with bars, redrawn in place
    Tty,
    /// One line after the other
    Plain,
    /// One JSON object per line, as buildx has it (docs/progress.md)
    Rawjson,
    /// None
    Quiet,
}

/// The long help of `--json` where standard output has digests without it.
pub(super) const DIGESTS_OR_JSON: &str = "\
Write the report as one JSON document to standard output

Without it, standard output gets the digests of the selected entries of index.json as they are after the run, each \
once and one per line.";

/// The help of `--quiet` where findings are what standard output gets.
pub(super) const FINDINGS_ONLY: &str = "Only the findings; with none of them, nothing";
