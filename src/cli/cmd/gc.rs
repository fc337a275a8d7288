//! `soci-layout gc`.

use std::fmt::Write as _;

use soci_layout::gc::{GcReport, UnreferencedBlob, gc};

use super::super::args::GcArgs;
use super::super::show::{Bytes, count, escape};
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &GcArgs, printer: Printer) -> Result<Exit, Exit> {
    // Only files are listed and removed: there is no progress worth showing.
    let talk = Talk { writes: !args.dry_run, ..Talk::silent(args.quiet, printer) };
    let report = talk.watch(|progress| gc(&args.layout, &args.options(), progress))?;
    talk.summary(&text(&report));
    // The digests that go, one per line.
    talk.report(&report, args.json, None, |GcReport { removed, .. }| {
        removed.iter().fold(String::new(), |lines, blob| lines + &format!("{}\n", blob.digest))
    })
}

/// What was done, for people.
fn text(report: &GcReport) -> String {
    let mut out = String::new();
    let blobs = |list: &[UnreferencedBlob]| count(list.len() as u64, "blob");
    let bytes = |list: &[UnreferencedBlob]| Bytes(list.iter().map(|blob| blob.size).sum());
    let verb = if report.dry_run { "would remove" } else { "removed" };
    for path in &report.leftovers {
        let _ = writeln!(out, "{verb} leftover {}", escape::text(&path.display().to_string()));
    }
    for path in &report.strangers {
        let path = path.display().to_string();
        let _ = writeln!(out, "left alone: {} is no sha256 blob", escape::text(&path));
    }
    if !report.young.is_empty() {
        let (young, size) = (blobs(&report.young), bytes(&report.young));
        let _ = writeln!(out, "kept {young}, {size}, unreferenced but young (--min-age)");
    }
    let kept = format!("{}, {}", count(report.kept, "blob"), Bytes(report.bytes_kept));
    let _ = writeln!(out, "{kept} referenced");
    let removed = if report.removed.is_empty() {
        "nothing to remove".to_owned()
    } else {
        format!("{verb} {}, {}", blobs(&report.removed), Bytes(report.bytes_removed))
    };
    let _ = writeln!(out, "{removed}; {:.1}s", report.seconds);
    out
}
