//! `soci-layout remove`.

use std::fmt::Write as _;

use soci_layout::{RemoveReport, remove};

use super::super::args::RemoveArgs;
use super::super::exit::Exit;
use super::super::talk::{LAYOUT_DONE, Talk};
use crate::cli::show::json;
use crate::cli::show::printer::Printer;
use crate::cli::show::size::Bytes;
use crate::cli::show::summary::{count, digests, field, heading, root_digests, roots};

/// Runs the command.
pub(crate) fn run(args: &RemoveArgs, printer: Printer) -> Result<Exit, Exit> {
    let display = &args.display;
    let talk =
        Talk { writes: !args.dry_run, ..Talk::start(display.progress, display.quiet, printer)? };
    let report = talk.watch(
        false,
        |report: &RemoveReport| &report.warnings,
        |progress| remove(&args.layout, &args.options(), progress),
    )?;
    talk.summary(&text(&report));
    let data = if display.json { json::document(&report) } else { root_digests(&report.roots) };
    talk.data(&data, (!report.dry_run).then_some(LAYOUT_DONE))?;
    Ok(Exit::Done)
}

/// What was done, for people.
fn text(report: &RemoveReport) -> String {
    let mut out = String::new();
    roots(&mut out, &report.roots, false);
    for image in &report.images {
        heading(&mut out, &image.platform, &image.names.join(", "));
        digests(&mut out, image.before, image.after, false);
        for index in &image.removed {
            field(&mut out, "removed", &format!("SOCI index {index}"));
        }
        if image.removed.is_empty() {
            field(&mut out, "removed", "nothing: it has no such SOCI index");
        }
    }
    let mut parts = Vec::new();
    match (report.changed, report.dry_run) {
        (false, _) => parts.push("nothing to remove, the layout is unchanged".to_owned()),
        (true, true) => parts.push("dry run: index.json would be replaced".to_owned()),
        (true, false) => {
            let blobs = count(report.blobs_written, "blob");
            let size = Bytes(report.bytes_written);
            parts.push(format!("wrote {blobs} and index.json, {size}"));
        }
    }
    if report.blobs_pruned > 0 {
        let blobs = count(report.blobs_pruned, "blob");
        parts.push(format!("removed {blobs}, {}", Bytes(report.bytes_pruned)));
    }
    let _ = writeln!(out, "{}; {:.1}s", parts.join("; "), report.seconds);
    out
}
