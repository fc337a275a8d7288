//! `soci-layout diff`.

use super::super::args::{DiffArgs, Progress};
use super::super::exit::Exit;
use super::super::talk::Talk;
use crate::cli::show;
use crate::cli::show::json;
use crate::cli::show::printer::Printer;

/// Runs the command.
pub(crate) fn run(args: &DiffArgs, printer: Printer) -> Result<Exit, Exit> {
    let talk = Talk::start(Some(Progress::Quiet), true, printer)?;
    let options = match args.options() {
        Ok(options) => options,
        Err(problem) => {
            talk.error(problem, &[], Some("soci-layout diff --help has examples"));
            return Err(Exit::Usage);
        }
    };
    let b = args.b.as_ref().unwrap_or(&args.a);
    let difference = talk.watch(
        false,
        |_| &[],
        |progress| soci_layout::diff::diff(&args.a, b, &options, progress),
    )?;
    let data = if args.json {
        json::document(&difference)
    } else {
        show::diff::text(&difference, args.verbose)
    };
    talk.data(&data, None)?;
    Ok(if args.exit_code && !difference.same { Exit::Error } else { Exit::Done })
}
