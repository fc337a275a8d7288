//! The command line program: parses, runs, turns the outcome into an exit code.
//!
//! Everything that talks to people is in [`cli`]; the work is in the library, which never prints.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make their own files"))]

mod cli;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use cli::exit::Exit;
use cli::show::printer::Printer;

fn main() -> ExitCode {
    cli::bug::install();
    cli::signals::install();
    let printer = Printer::new();
    // Nothing of the run is used after a panic, so no broken invariant can be seen.
    let outcome = catch_unwind(AssertUnwindSafe(|| cli::run(std::env::args_os(), printer)));
    let exit = outcome.unwrap_or_else(|_panic| {
        printer.err(&cli::bug::message());
        Exit::Bug
    });
    exit.code().into()
}
