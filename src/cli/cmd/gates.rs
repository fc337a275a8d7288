//! Whether as much is lazy as a pipeline asks for.

use soci_layout::doctor::of_reason;
use soci_layout::layer::EagerCause;
use soci_layout::media_type::{LayerKind, layer_kind};
use soci_layout::report::{ImageReport, LayerOutcome, Report};

use super::super::args::{HINT, IndexArgs};
use super::{Exit, Talk};
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
        let was = if report.dry_run { "would be" } else { "was" };
        let problem = format!("nothing {was} indexed, and --require-index was given");
        return Some((problem, remedy(report)));
    }
    let stop =
        |image: &ImageReport| args.gates.stop(&image.platform, &image.names, report.lazy(image));
    Some((report.images.iter().find_map(stop)?, HINT))
}

/// What makes the largest layer lazy next time. One that was left out on request is no mistake, if there are others.
fn remedy(report: &Report) -> &'static str {
    let excluded = |outcome: &LayerOutcome| matches!(outcome, LayerOutcome::Skipped(reason) if reason.cause == EagerCause::Excluded);
    let largest = report.layers.iter().max_by_key(|layer| (!excluded(&layer.outcome), layer.size));
    let known = largest.and_then(|layer| match &layer.outcome {
        LayerOutcome::Small => matches!(layer_kind(&layer.media_type), LayerKind::Indexable(_))
            .then_some("--min-layer-size 0 indexes every layer that can be lazy"),
        outcome if excluded(outcome) => Some("--skip-layer left out all that could be lazy"),
        LayerOutcome::Skipped(reason) => of_reason(&layer.media_type, reason),
        _ => None,
    });
    known.unwrap_or(HINT)
}
