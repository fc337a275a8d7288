//! `soci-layout plan`.

use soci_layout::plan::{Estimate, estimate};

use super::super::args::PlanArgs;
use super::super::exit::Exit;
use super::super::talk::Talk;
use super::gates::gates;
use super::index::append_summary;
use crate::cli::show;
use crate::cli::show::json;
use crate::cli::show::printer::Printer;

/// Runs the command.
pub(crate) fn run(args: &PlanArgs, printer: Printer) -> Result<Exit, Exit> {
    let args = &args.index;
    // What takes a moment needs a display only on request.
    let progress = args.display.progress;
    let talk = Talk::start(progress, progress.is_none(), printer)?;
    #[cfg(feature = "registry")]
    if args.list.from_file.is_some() || args.to.is_some() {
        let hint = "index --dry-run says of images in a registry what would be done";
        talk.error("plan works on a directory", &[], Some(hint));
        return Err(Exit::Usage);
    }
    let mut options = args.options();
    args.prefetch.read(&mut options.prefetch).map_err(|error| talk.failed(&error))?;
    let estimate = talk.watch(
        args.verbose,
        |estimate: &Estimate| &estimate.plan.warnings,
        |progress| estimate(&args.layout, &options, progress),
    )?;
    if !append_summary(args, &estimate.plan, talk) {
        return Err(Exit::Error);
    }
    let data = if args.display.json {
        json::document(&estimate)
    } else {
        show::plan::text(&estimate, &options, args.verbose)
    };
    talk.data(&data, None)?;
    Ok(gates(args, &estimate.plan, talk))
}
