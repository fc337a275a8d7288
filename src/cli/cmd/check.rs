//! `soci-layout check`.

use std::fmt::Write as _;

use soci_layout::check::{CheckFinding, CheckReport};

use super::super::args::registry::CheckArgs;
use super::super::exit::Exit;
use super::super::talk::Talk;
use super::verify;
use crate::cli::show::printer::Printer;
use crate::cli::show::size::Bytes;
use crate::cli::show::{count, escape, json};

/// Runs the command.
pub(crate) fn run(args: &CheckArgs, printer: Printer) -> Result<Exit, Exit> {
    let display = &args.display;
    let talk = Talk::start(display.progress, display.quiet, printer)?;
    let report = talk.watch(
        false,
        |_| &[],
        |progress| soci_layout::check::check(&args.reference, &args.options(), progress),
    )?;
    let data = if display.json { json::document(&report) } else { text(&report, display.quiet) };
    talk.data(&data, None)?;
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
    let findings = match report.findings.len() {
        0 => "no findings".to_owned(),
        found => count(found as u64, "finding"),
    };
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
    let word = serde_json::to_string(mistake).unwrap_or_default();
    let _ = write!(out, "{}: ", word.trim_matches('"'));
    if let Some(platform) = platform {
        let _ = write!(out, "{}: ", escape::label(platform));
    }
    if let Some(blob) = blob {
        let _ = write!(out, "{blob}: ");
    }
    let (place, expected, found) =
        (escape::label(place), escape::label(expected), escape::label(found));
    let _ = writeln!(
        out,
        "{place}\n  expected {expected}\n  found    {found}\n  gives    {}\n  advice   {advice}",
        consequence.explanation()
    );
}
