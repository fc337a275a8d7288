//! `soci-layout verify`.

use std::fmt::Write as _;

use soci_layout::Error;
use soci_layout::verify::{EagerLayer, Finding, Verification, VerifiedImage};

#[cfg(feature = "registry")]
use super::super::args::registry::registry_image;
use super::super::args::{HINT, VerifyArgs};
use super::super::exit::Exit;
use super::super::progress::Progress;
use super::super::talk::Talk;
use crate::cli::show::json;
use crate::cli::show::printer::Printer;
use crate::cli::show::size::Bytes;
use crate::cli::show::{count, escape};

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs, printer: Printer) -> Result<Exit, Exit> {
    let display = &args.display;
    let talk = Talk::start(display.progress, display.quiet, printer)?;
    let verification = talk.watch(false, |_| &[], |progress| verify(args, progress))?;
    let findings = || text(&verification, display.quiet);
    let data = if display.json { json::document(&verification) } else { findings() };
    talk.data(&data, None)?;
    if !verification.findings.is_empty() {
        return Err(Exit::Error);
    }
    let mut eager = verification.eager_from(args.min_layer_size).map(|(_, layer)| layer);
    if args.require_lazy
        && let Some(first) = eager.next()
    {
        let reason = escape::text(&first.reason.text);
        let layers = count(1 + eager.count() as u64, "layer");
        let cause = format!("{}: {reason}", first.digest);
        let message = format!("{layers} not lazy, and --require-lazy was given");
        talk.error(&message, &[cause], None);
        return Err(Exit::NotLazy);
    }
    let stop = |image: &VerifiedImage| args.gates.stop(&image.platform, &image.names, image.lazy);
    if let Some(problem) = verification.images.iter().find_map(stop) {
        talk.error(&problem, &[], Some(HINT));
        return Err(Exit::NotLazy);
    }
    Ok(Exit::Done)
}

fn verify(args: &VerifyArgs, progress: &Progress) -> Result<Verification, Error> {
    #[cfg(feature = "registry")]
    if let Some(reference) = registry_image(&args.layout) {
        return soci_layout::verify::verify_registry(&reference, &args.options(), progress);
    }
    soci_layout::verify::verify(&args.layout, &args.options(), progress)
}

/// The findings and what was verified, for people.
pub(super) fn text(verification: &Verification, quiet: bool) -> String {
    let mut out = String::new();
    for finding in &verification.findings {
        one(&mut out, finding);
    }
    if quiet {
        return out;
    }
    for image in &verification.images {
        let names = match image.names.as_slice() {
            [] => "(no name)".to_owned(),
            names => names.join(", "),
        };
        let lazy = format!("{} of {} layers lazy", image.lazy_layers, image.layers);
        let fetched = match image.largest_span {
            Some(span) => format!(", reading one file fetches up to {} of a layer", Bytes(span)),
            None => String::new(),
        };
        let (names, platform) = (escape::label(&names), escape::label(&image.platform));
        let _ = writeln!(out, "{names} {platform}: {lazy}{fetched}");
        for layer in &image.eager {
            let EagerLayer { number, digest, size, reason, .. } = layer;
            let (size, reason) = (Bytes(*size), escape::label(&reason.text));
            let _ = writeln!(out, "  eager: layer {number} {digest} ({size}): {reason}");
        }
    }
    let Verification { layers, checkpoints, files, seconds, .. } = verification;
    let _ = writeln!(
        out,
        "{}: {layers} layers, {checkpoints} checkpoints, {files} files verified in {seconds:.1} s",
        match verification.findings.len() {
            0 => "no findings".to_owned(),
            found => count(found as u64, "finding"),
        },
    );
    out
}

fn one(out: &mut String, finding: &Finding) {
    let Finding { consequence, blob, place, offset, expected, found, .. } = finding;
    let word = serde_json::to_string(consequence).unwrap_or_default();
    let _ = write!(out, "{}: ", word.trim_matches('"'));
    if let Some(blob) = blob {
        let _ = write!(out, "{blob}: ");
    }
    let _ = write!(out, "{}", escape::label(place));
    if let Some(offset) = offset {
        let _ = write!(out, " (offset {offset})");
    }
    let (expected, found) = (escape::label(expected), escape::label(found));
    let _ = writeln!(
        out,
        "\n  expected {expected}\n  found    {found}\n  gives    {}",
        consequence.explanation()
    );
}
