//! How progress can be shown.

use clap::ValueEnum;

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
