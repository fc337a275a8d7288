//! `soci-layout verify`.

use std::fmt::Write as _;

use soci_layout::verify::{EagerLayer, Finding, Verification, VerifiedImage};
use soci_layout::{Digest, Error};

#[cfg(feature = "registry")]
use super::super::args::registry::registry_image;
use super::super::args::{HINT, VerifyArgs};
use super::super::progress::Progress;
use super::super::show::{Bytes, count, escape, findings, json, names};
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs, printer: Printer) -> Result<Exit, Exit> {
    let display = &args.display;
    let talk = Talk::start(display.progress, display.quiet, printer)?;
    let verification = talk.watch(|progress| verify(args, progress))?;
    talk.report(&verification, display.json, None, |found| text(found, display.quiet))?;
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
        let Finding { consequence, blob, place, offset, expected, found, .. } = finding;
        let _ = write!(out, "{}: ", json::word(consequence));
        wrong(&mut out, *blob, place, *offset, [expected, found, consequence.explanation()]);
    }
    if quiet {
        return out;
    }
    for image in &verification.images {
        let lazy = format!("{} of {} layers lazy", image.lazy_layers, image.layers);
        let fetched = match image.largest_span {
            Some(span) => format!(", reading one file fetches up to {} of a layer", Bytes(span)),
            None => String::new(),
        };
        let names = names(&image.names);
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
        findings(verification.findings.len() as u64),
    );
    out
}

/// Where something is wrong, what was expected there, what was found, and what a runtime makes of it.
pub(super) fn wrong(
    out: &mut String,
    blob: Option<Digest>,
    place: &str,
    offset: Option<u64>,
    [expected, found, gives]: [&str; 3],
) {
    let blob = blob.map(|blob| format!("{blob}: ")).unwrap_or_default();
    let offset = offset.map(|offset| format!(" (offset {offset})")).unwrap_or_default();
    let (place, expected, found) =
        (escape::label(place), escape::label(expected), escape::label(found));
    let _ = writeln!(
        out,
        "{blob}{place}{offset}\n  expected {expected}\n  found    {found}\n  gives    {gives}"
    );
}
