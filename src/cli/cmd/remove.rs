//! `soci-layout remove`.

use std::fmt::Write as _;

use soci_layout::{RemoveReport, remove};

use super::super::args::RemoveArgs;
use super::super::show::summary::{digests, effect, field, root_digests, roots, wrote};
use super::super::show::title;
use super::super::talk::LAYOUT_DONE;
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &RemoveArgs, printer: Printer) -> Result<Exit, Exit> {
    let display = &args.display;
    let talk =
        Talk { writes: !args.dry_run, ..Talk::start(display.progress, display.quiet, printer)? };
    let report = talk.watch_closely(
        false,
        |report: &RemoveReport| &report.warnings,
        |progress| remove(&args.layout, &args.options(), progress),
    )?;
    talk.summary(&text(&report));
    let done = (!report.dry_run).then_some(LAYOUT_DONE);
    talk.report(&report, display.json, done, |report| root_digests(&report.roots))
}

/// What was done, for people.
fn text(report: &RemoveReport) -> String {
    let mut out = String::new();
    roots(&mut out, &report.roots, false);
    for image in &report.images {
        let _ = writeln!(out, "{}", title(&image.platform, &image.names.join(", ")));
        digests(&mut out, image.before, image.after, false);
        for index in &image.removed {
            field(&mut out, "removed", &format!("SOCI index {index}"));
        }
        if image.removed.is_empty() {
            field(&mut out, "removed", "nothing: it has no such SOCI index");
        }
    }
    let written = match (report.changed, report.dry_run) {
        (false, _) => "nothing to remove, the layout is unchanged".to_owned(),
        (true, true) => "dry run: index.json would be replaced".to_owned(),
        (true, false) => wrote(report.blobs_written, true, report.bytes_written),
    };
    let effect = effect(&written, report.blobs_pruned, report.bytes_pruned, report.seconds);
    let _ = writeln!(out, "{effect}");
    out
}
