//! From the command line to an exit code.

use std::ffi::OsString;

use clap::Parser;

use super::args::{Cli, Command};
use super::cmd;
use super::exit::Exit;
use super::show::printer::Printer;
use super::talk::Talk;

/// Runs the command line `arguments` (the program's name first).
pub(crate) fn run(arguments: impl Iterator<Item = OsString>, printer: Printer) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, printer),
    };
    let ended = match cli.command {
        Command::Diff(args) => cmd::diff::run(&args, printer),
        Command::Doctor(args) => cmd::doctor::run(&args, printer),
        Command::Index(args) => cmd::index::run(&args, printer),
        Command::Inspect(args) => cmd::inspect::run(&args, printer),
        #[cfg(feature = "registry")]
        Command::Push(args) => cmd::push::run(&args, printer),
        #[cfg(feature = "registry")]
        Command::Check(args) => cmd::check::run(&args, printer),
        Command::Plan(args) => cmd::plan::run(&args, printer),
        Command::Verify(args) => cmd::verify::run(&args, printer),
        Command::Remove(args) => cmd::remove::run(&args, printer),
        Command::Gc(args) => cmd::gc::run(&args, printer),
        Command::Completions(args) => cmd::shell::completions(&args, printer),
        Command::Man(args) => cmd::shell::man(&args, printer),
        Command::Ls(args) => cmd::ls::run(&args, printer),
        Command::Cat(args) => cmd::cat::run(&args, printer),
        Command::Trace(args) => cmd::trace::run(&args, printer),
        Command::Cache(args) => cmd::cache::run(&args, printer),
    };
    // What went wrong has been said by then.
    ended.unwrap_or_else(|exit| exit)
}

/// Prints what clap has to say: help and version are data, anything else is a usage error.
fn explain(error: &clap::Error, printer: Printer) -> Exit {
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        printer.err(&text);
        return Exit::Usage;
    }
    Talk::silent(true, printer).data(&text, None).unwrap_or_else(|exit| exit)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }
}
