//! `soci-layout check`.

use std::fmt::Write as _;

use soci_layout::check::{CheckFinding, CheckReport, check};

use super::super::args::registry::CheckArgs;
use super::super::show::{Bytes, escape, findings, json};
use super::verify;
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &CheckArgs, printer: Printer) -> Result<Exit, Exit> {
    let display = &args.display;
    let talk = Talk::start(display.progress, display.quiet, printer)?;
    let report = talk.watch(|progress| check(&args.reference, &args.options(), progress))?;
    talk.report(&report, display.json, None, |report| text(report, display.quiet))?;
    let proven = report.verification.as_ref().is_none_or(|proof| proof.findings.is_empty());
    if report.findings.is_empty() && proven { Ok(Exit::Done) } else { Err(Exit::Error) }
}

/// The findings and what was looked at, for people.
fn text(report: &CheckReport, quiet: bool) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        one(&mut out, finding);
    }
    if let Some(proof) = &report.verification {
        out.push_str(&verify::text(proof, quiet));
    }
    if quiet {
        return out;
    }
    let reference = escape::label(&report.reference);
    let _ = writeln!(out, "{reference}  {}", report.digest);
    for image in &report.images {
        let platform = escape::label(&image.platform);
        let lazy = format!("{} of {} layers lazy", image.lazy_layers, image.layers);
        let bytes = format!("{} of {}", Bytes(image.lazy_bytes), Bytes(image.bytes));
        let index = match (image.soci_index, &image.found_by) {
            (Some(index), Some(by)) => format!("SOCI index {index} by {}", found_by(by)),
            _ => "no SOCI index".to_owned(),
        };
        let _ = writeln!(out, "{platform}: {lazy} ({bytes}), {index}");
    }
    let findings = findings(report.findings.len() as u64);
    let _ = writeln!(out, "{findings} in {:.1} s", report.seconds);
    out
}

fn found_by(word: &str) -> &str {
    match word {
        "annotation" => "the manifest's annotation",
        "referrers-api" => "the referrers API",
        "fallback-tag" => "the referrers tag",
        other => other,
    }
}

fn one(out: &mut String, finding: &CheckFinding) {
    let CheckFinding { mistake, consequence, platform, blob, place, expected, found, advice } =
        finding;
    let of = platform.as_ref().map(|platform| format!("{}: ", escape::label(platform)));
    let _ = write!(out, "{}: {}", json::word(mistake), of.unwrap_or_default());
    verify::wrong(out, *blob, place, None, [expected, found, consequence.explanation()]);
    let _ = writeln!(out, "  advice   {advice}");
}
