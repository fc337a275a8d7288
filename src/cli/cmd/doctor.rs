//! `soci-layout doctor`.

use soci_layout::doctor::doctor;

use super::super::args::DoctorArgs;
use super::super::show;
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &DoctorArgs, printer: Printer) -> Result<Exit, Exit> {
    let talk = Talk::silent(true, printer);
    // What the plan has to say is said as findings.
    let diagnosis = talk.watch(|progress| doctor(&args.layout, &args.options(), progress))?;
    talk.report(&diagnosis, args.json, None, show::doctor::text)
}
