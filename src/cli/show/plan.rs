//! `soci-layout plan` for people: the images, the layers in the order of the run, and what to expect.

use std::collections::HashSet;
use std::fmt::Write as _;

use soci_layout::plan::{Estimate, LayerEstimate};
use soci_layout::report::{LayerOutcome, LayerReport};
use soci_layout::{Digest, Options};

use super::names::{short, title};
use super::style::{DIM, WARNING};
use super::summary::prefetched;
use super::table::Table;
use super::{Bytes, count, escape, startup};

/// The whole text.
pub(crate) fn text(estimate: &Estimate, options: &Options, verbose: bool) -> String {
    let mut out = String::new();
    let plan = &estimate.plan;
    for image in &plan.images {
        let title = title(&image.platform, &image.names.join(", "));
        let _ = writeln!(out, "{title}  {}", image.before);
        for list in plan.prefetch.iter().filter(|list| list.image == image.before) {
            let _ = writeln!(out, "  prefetch: {}", prefetched(list));
        }
        for own in plan.startups.iter().filter(|own| own.image == image.before) {
            for line in startup::lines(&own.startup) {
                let _ = writeln!(out, "  {line}");
            }
        }
    }
    let mut table = Table::new(&[true, false, true, false, true, true, true, true, false]);
    let columns = if estimate.layers.is_empty() { 3 } else { 9 };
    let heads = ["", "layer", "size", "", "uncompressed", "zTOC", "spans", "seconds", ""];
    table.row(heads[..columns].iter().map(|head| (*head).to_owned()).collect());
    for (position, layer) in estimate.layers.iter().enumerate() {
        let decimals = if estimate.seconds < 10.0 { 2 } else { 0 };
        table.row(read(position, layer, &short(&layer.digest, verbose), decimals));
    }
    let known: HashSet<Digest> = estimate.layers.iter().map(|layer| layer.digest).collect();
    for layer in plan.layers.iter().filter(|layer| !known.contains(&layer.digest)) {
        table.row(left(layer, &short(&layer.digest, verbose)));
    }
    for (number, line) in table.lines().into_iter().enumerate() {
        let _ = match number {
            0 => writeln!(out, "{DIM}{line}{DIM:#}"),
            _ => writeln!(out, "{line}"),
        };
    }
    for layer in &estimate.layers {
        if let Some(doubt) = &layer.doubt {
            let (layer, doubt) = (layer.digest, escape::label(doubt));
            let _ = writeln!(out, "{WARNING}no zTOC{WARNING:#} will come of {layer}: {doubt}");
        }
    }
    total(&mut out, estimate, options);
    out
}

fn read(position: usize, layer: &LayerEstimate, digest: &str, decimals: usize) -> Vec<String> {
    let about = if layer.uncompressed_size_stated || !layer.scanned { "" } else { "~" };
    let guess = if layer.scanned { "~" } else { "" };
    vec![
        (position + 1).to_string(),
        digest.to_owned(),
        Bytes(layer.size).to_string(),
        if layer.scanned { "index" } else { "reuse" }.to_owned(),
        format!("{about}{}", Bytes(layer.uncompressed_size)),
        format!("{guess}{}", Bytes(layer.ztoc_size)),
        format!("{guess}{}", layer.spans),
        format!("{:.decimals$}–{:.decimals$}", layer.start, layer.end),
        if layer.measured { "" } else { "like the others" }.to_owned(),
    ]
}

fn left(layer: &LayerReport, digest: &str) -> Vec<String> {
    let what = match &layer.outcome {
        LayerOutcome::Small => "small".to_owned(),
        LayerOutcome::Skipped(reason) => format!("skip: {}", escape::label(&reason.text)),
        // With --trust-blobs it is not read.
        LayerOutcome::Reused { .. } => "reuse".to_owned(),
        _ => String::new(),
    };
    vec![String::new(), digest.to_owned(), Bytes(layer.size).to_string(), what]
}

fn total(out: &mut String, estimate: &Estimate, options: &Options) {
    let scanned = estimate.layers.iter().filter(|layer| layer.scanned).count() as u64;
    let small = Bytes(options.min_layer_size);
    if estimate.layers.is_empty() {
        let _ = writeln!(out, "no layer would be read (--min-layer-size is {small})");
        return;
    }
    let reused = estimate.layers.len() as u64 - scanned;
    let words = match (scanned, reused) {
        (scanned, 0) => format!("{} to index", count(scanned, "layer")),
        (0, reused) => format!("{} to check and reuse", count(reused, "layer")),
        _ => format!("{} to index, {reused} to check and reuse", count(scanned, "layer")),
    };
    let bytes = Bytes(estimate.layer_bytes);
    let _ = writeln!(out, "{words}: {bytes} to read");
    if scanned > 0 {
        let _ = writeln!(out, "about {} of new zTOCs", Bytes(estimate.ztoc_bytes));
    }
    let (jobs, processors) = (count(estimate.jobs, "job"), count(estimate.processors, "processor"));
    let (time, cpu) = (duration(estimate.seconds), duration(estimate.cpu_seconds));
    let _ = writeln!(out, "about {time} with {jobs} on {processors} ({cpu} of processor time)");
    let measured = &estimate.measured;
    let (bytes, layers) = (Bytes(measured.bytes), count(measured.layers, "layer"));
    let _ = writeln!(
        out,
        "{DIM}measured now on the first {bytes} of {layers}; assumes the rest of each layer is similar; disk speed not \
         measured{DIM:#}",
    );
    let delay = measured.wall_seconds / measured.cpu_seconds.max(1e-6);
    // Less is noise.
    if delay >= 1.5 && measured.wall_seconds > 0.02 {
        let _ = writeln!(
            out,
            "{WARNING}the machine is busy{WARNING:#} or the disk is slow: measuring took {delay:.1} times its \
             processor time, and so may a run",
        );
    }
}

/// `0.04 s`, `2.3 s`, `41 s`, `3 min 20 s`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time for people")]
fn duration(seconds: f64) -> String {
    match seconds {
        0.0..0.095 => format!("{seconds:.2} s"),
        0.0..9.95 => format!("{seconds:.1} s"),
        0.0..99.5 => format!("{seconds:.0} s"),
        _ => {
            let seconds = seconds.round() as u64;
            format!("{} min {} s", seconds / 60, seconds % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn times() {
        for (seconds, text) in [
            (0.0, "0.00 s"),
            (0.04, "0.04 s"),
            (2.31, "2.3 s"),
            (41.2, "41 s"),
            (200.0, "3 min 20 s"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
