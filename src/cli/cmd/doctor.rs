//! `soci-layout doctor`.

use super::super::args::{DoctorArgs, Progress as Display};
use super::super::exit::Exit;
use super::super::progress::Progress;
use super::super::talk::Talk;
use crate::cli::show;
use crate::cli::show::json;
use crate::cli::show::printer::Printer;

/// Runs the command.
pub(crate) fn run(args: &DoctorArgs, printer: Printer) -> Result<Exit, Exit> {
    let talk = Talk::start(Some(Display::Quiet), true, printer)?;
    // What the plan has to say is said as findings.
    let progress = Progress::start(talk.mode, false, printer);
    let result = soci_layout::doctor::doctor(&args.layout, &args.options(), &progress);
    progress.finish();
    let diagnosis = result.map_err(|error| talk.failed(&error))?;
    let data = if args.json { json::document(&diagnosis) } else { show::doctor::text(&diagnosis) };
    Ok(talk.data(&data, Exit::Done))
}
