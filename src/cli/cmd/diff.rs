//! `soci-layout diff`.

use soci_layout::diff::{Difference, diff};

use super::super::args::DiffArgs;
use super::super::show;
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &DiffArgs, printer: Printer) -> Result<Exit, Exit> {
    let talk = Talk::silent(true, printer);
    let hint = "soci-layout diff --help has examples";
    let options = args.options().map_err(|problem| talk.misuse(problem, hint))?;
    let b = args.b.as_ref().unwrap_or(&args.a);
    let difference = talk.watch(|progress| diff(&args.a, b, &options, progress))?;
    let text = |difference: &Difference| show::diff::text(difference, args.verbose);
    talk.report(&difference, args.json, None, text)?;
    Ok(if args.exit_code && !difference.same { Exit::Error } else { Exit::Done })
}
