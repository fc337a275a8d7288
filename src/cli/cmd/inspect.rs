//! `soci-layout inspect`.

use soci_layout::inspect::{Inspection, inspect};

use super::super::args::InspectArgs;
use super::super::show;
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &InspectArgs, printer: Printer) -> Result<Exit, Exit> {
    let talk = Talk::silent(true, printer);
    let inspection = talk.watch_closely(
        false,
        |inspection: &Inspection| &inspection.warnings,
        |progress| inspect(&args.layout, &args.options(), progress),
    )?;
    let text = |inspection: &Inspection| show::inspect::text(inspection, args.verbose);
    talk.report(&inspection, args.json, None, text)
}
