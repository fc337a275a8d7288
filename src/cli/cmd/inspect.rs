//! `soci-layout inspect`.

use soci_layout::inspect::{Inspection, inspect};

use super::super::args::{InspectArgs, Progress};
use super::super::exit::Exit;
use super::super::talk::Talk;
use crate::cli::show;
use crate::cli::show::json;
use crate::cli::show::printer::Printer;

/// Runs the command.
pub(crate) fn run(args: &InspectArgs, printer: Printer) -> Result<Exit, Exit> {
    let talk = Talk::start(Some(Progress::Quiet), true, printer)?;
    let inspection = talk.watch(
        false,
        |inspection: &Inspection| &inspection.warnings,
        |progress| inspect(&args.layout, &args.options(), progress),
    )?;
    let data = if args.json {
        json::document(&inspection)
    } else {
        show::inspect::text(&inspection, args.verbose)
    };
    talk.data(&data, None)?;
    Ok(Exit::Done)
}
