//! `soci-layout doctor`.

use super::super::args::{DoctorArgs, Progress};
use super::super::exit::Exit;
use super::super::talk::Talk;
use crate::cli::show;
use crate::cli::show::json;
use crate::cli::show::printer::Printer;

/// Runs the command.
pub(crate) fn run(args: &DoctorArgs, printer: Printer) -> Result<Exit, Exit> {
    let talk = Talk::start(Some(Progress::Quiet), true, printer)?;
    // What the plan has to say is said as findings.
    let diagnosis = talk.watch(
        false,
        |_| &[],
        |progress| soci_layout::doctor::doctor(&args.layout, &args.options(), progress),
    )?;
    let data = if args.json { json::document(&diagnosis) } else { show::doctor::text(&diagnosis) };
    talk.data(&data, None)?;
    Ok(Exit::Done)
}
