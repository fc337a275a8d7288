//! Whether as much is lazy as a pipeline asks for.

use soci_layout::report::{ImageReport, Report};

use super::super::args::{HINT, IndexArgs};
use super::super::exit::Exit;
use super::super::talk::Talk;
use crate::cli::show::summary;

/// Whether as much is lazy (or, dry, would be) as was asked for.
pub(super) fn gates(args: &IndexArgs, report: &Report, talk: Talk) -> Exit {
    match stopped(args, report) {
        None => Exit::Done,
        Some((problem, hint)) => {
            talk.error(&problem, &[], Some(hint));
            Exit::NotLazy
        }
    }
}

/// What stops, and what can be done.
pub(super) fn stopped(args: &IndexArgs, report: &Report) -> Option<(String, &'static str)> {
    if args.require_index && !summary::any_indexed(report) {
        let hint = "--min-layer-size 0 indexes every layer";
        let was = if report.dry_run { "would be" } else { "was" };
        let problem = format!("nothing {was} indexed, and --require-index was given");
        return Some((problem, hint));
    }
    let stop =
        |image: &ImageReport| args.gates.stop(&image.platform, &image.names, report.lazy(image));
    Some((report.images.iter().find_map(stop)?, HINT))
}
