//! The options of `soci-layout completions` and `soci-layout man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Print a completion script for a shell
///
/// For bash: soci-layout completions bash > /etc/bash_completion.d/soci-layout (or a file that your
/// shell reads), then start a new shell.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// Shell to complete for
    pub(crate) shell: Shell,
}

/// Print a manual page, or write all of them into a directory
///
/// soci-layout man index | man -l - shows the page of a command; soci-layout man --output DIR writes
/// soci-layout.1 and a page for each command.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Command whose page is printed [default: the page of soci-layout itself]
    #[arg(value_name = "COMMAND", num_args = 0.., conflicts_with = "output")]
    pub(crate) command: Vec<String>,

    /// Write all pages into this directory, which is made when it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}
