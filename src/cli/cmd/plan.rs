//! `soci-layout plan`.

use soci_layout::plan::{Estimate, estimate};

use super::super::args::IndexArgs;
use super::super::show;
use super::gates::gates;
use super::index::append_summary;
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &IndexArgs, printer: Printer) -> Result<Exit, Exit> {
    // What takes a moment needs a display only on request.
    let progress = args.display.progress;
    let talk = Talk::start(progress, progress.is_none(), printer)?;
    #[cfg(feature = "registry")]
    if args.list.from_file.is_some() || args.to.is_some() {
        let hint = "index --dry-run says of images in a registry what would be done";
        return Err(talk.misuse("plan works on a directory", hint));
    }
    let options = args.options().map_err(|error| talk.failed(&error))?;
    let estimate = talk.watch_closely(
        args.verbose,
        |estimate: &Estimate| &estimate.plan.warnings,
        |progress| estimate(&args.layout, &options, progress),
    )?;
    if !append_summary(args, &estimate.plan, &options, talk) {
        return Err(Exit::Error);
    }
    let text = |estimate: &Estimate| show::plan::text(estimate, &options, args.verbose);
    talk.report(&estimate, args.display.json, None, text)?;
    Ok(gates(args, &estimate.plan, talk))
}
