//! `soci-layout push`.

use std::fmt::Write as _;

use soci_layout::push::{PushReport, push};

use super::super::args::registry::PushArgs;
use super::super::show::{Bytes, count, escape};
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &PushArgs, printer: Printer) -> Result<Exit, Exit> {
    let talk = Talk::start(args.display.progress, args.display.quiet, printer)?;
    let (layout, options) = args.options();
    let report = talk.watch(|progress| push(&layout, &args.reference, &options, progress))?;
    talk.summary(&summary(&report));
    let done = Some("it was pushed all the same");
    talk.report(&report, args.display.json, done, |report| format!("{}\n", report.digest))
}

/// What was done, for people.
pub(super) fn summary(report: &PushReport) -> String {
    let reference = escape::label(&report.reference);
    let digest = report.digest;
    let before = match report.before.as_deref() {
        Some(before) if before == digest.to_string() => " (as before)".to_owned(),
        Some(before) => format!(" (before: {})", escape::label(before)),
        None => String::new(),
    };
    let blobs = count(report.blobs_sent, "blob");
    let bytes = Bytes(report.bytes_sent);
    let manifests = count(report.manifests_sent, "manifest");
    let there = report.blobs_there + report.manifests_there;
    let mounted = match report.blobs_mounted {
        0 => String::new(),
        mounted => format!(", {mounted} taken over from other repositories"),
    };
    let seconds = report.seconds;
    let mut out = format!(
        "{reference}  {digest}{before}\n\
         sent {blobs} ({bytes}) and {manifests}; {there} were there{mounted}, in {seconds:.1} s\n"
    );
    for tag in &report.referrers_tags {
        let _ = writeln!(out, "list of referrers: {}", escape::label(tag));
    }
    out
}
