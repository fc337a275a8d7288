//! `soci-layout completions` and `soci-layout man`: made from the same description of the command line
//! that parses it, so they cannot say anything else.

#![expect(clippy::disallowed_methods, reason = "man pages, into a directory that the user names")]

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::super::args::{Cli, CompletionsArgs, ManArgs};
use super::{Exit, Printer, Talk};

/// Prints a completion script.
pub(crate) fn completions(args: &CompletionsArgs, printer: Printer) -> Result<Exit, Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "soci-layout", &mut script);
    // clap_complete 4.6.11 writes a hyphen in the program's name in two ways in its script for bash, and
    // then finds no option of any command.
    let script = String::from_utf8_lossy(&script).replace("soci__subcmd__layout", "soci__layout");
    Talk::silent(true, printer).data(&script, None)
}

/// Prints one manual page or writes all of them.
pub(crate) fn man(args: &ManArgs, printer: Printer) -> Result<Exit, Exit> {
    let talk = Talk::silent(true, printer);
    let root = built();
    if let Some(directory) = &args.output {
        return write_all(&root, directory).map(|()| Exit::Done).map_err(|(path, error)| {
            let message = format!("failed to write {}", path.display());
            talk.error(&message, &[error.to_string()], None);
            Exit::Error
        });
    }
    let mut command = &root;
    for name in &args.command {
        let Some(found) = command.find_subcommand(name) else {
            let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            let hint = format!("there are: {}", known.join(", "));
            return Err(talk.misuse(&format!("no command named {name:?}"), &hint));
        };
        command = found;
    }
    talk.data(&String::from_utf8_lossy(&page(command)), None)
}

/// The description of the command line, with the full names of all commands worked out.
fn built() -> Command {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    root
}

fn page(command: &Command) -> Vec<u8> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut roff = Vec::new();
    // The pages are the same on every day.
    let man = Man::new(command.clone()).title(name.to_uppercase()).date("");
    // A vector takes everything.
    let _ = man.render(&mut roff);
    roff
}

/// A page for each command, named as git and others name theirs: `soci-layout-index.1`.
fn write_all(command: &Command, directory: &Path) -> Result<(), (std::path::PathBuf, io::Error)> {
    fs::create_dir_all(directory).map_err(|error| (directory.to_owned(), error))?;
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = directory.join(format!("{name}.1"));
    fs::write(&path, page(command)).map_err(|error| (path, error))?;
    command.get_subcommands().try_for_each(|command| write_all(command, directory))
}
