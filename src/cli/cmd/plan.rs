//! `soci-layout plan`.

use super::super::args::PlanArgs;
use super::super::exit::Exit;
use super::super::progress::Progress;
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
    let talk = Talk::start(args.progress, args.progress.is_none(), printer)?;
    #[cfg(feature = "registry")]
    if args.list.from_file.is_some() || args.to.is_some() {
        let hint = "index --dry-run says of images in a registry what would be done";
        talk.error("plan works on a directory", &[], Some(hint));
        return Err(Exit::Usage);
    }
    let mut options = args.options();
    args.prefetch.read(&mut options.prefetch).map_err(|error| talk.failed(&error))?;
    let progress = Progress::start(talk.mode, args.verbose, printer);
    let result = soci_layout::estimate::estimate(&args.layout, &options, &progress);
    let shown = progress.finish();
    let estimate = result.map_err(|error| talk.failed(&error))?;
    for warning in estimate.plan.warnings.iter().filter(|warning| !shown.contains(warning)) {
        talk.warning(warning);
    }
    if !append_summary(args, &estimate.plan, talk) {
        return Err(Exit::Error);
    }
    let data = if args.json {
        json::document(&estimate)
    } else {
        show::plan::text(&estimate, &options, args.verbose)
    };
    Ok(match talk.data(&data, Exit::Done) {
        Exit::Done => gates(args, &estimate.plan, talk),
        exit => exit,
    })
}
