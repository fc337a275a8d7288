//! The summary of a run as Markdown, for a job's summary page (`GITHUB_STEP_SUMMARY`) or a comment: per image how
//! much of it loads lazily, what does not and what changes that, and whether it is worth it.

use std::fmt::Write as _;

use soci_layout::Options;
use soci_layout::doctor::{WORTHWHILE, of_reason};
use soci_layout::report::{ImageReport, LayerOutcome, LayerReport, Report};

use super::summary::{Layers, by_digest, own_layers, prefetched};
use super::{Bytes, count, escape, startup, ztoc};

/// The document.
pub(crate) fn text(report: &Report, options: &Options) -> String {
    let layers = by_digest(report);
    let mut out = String::from("### SOCI index\n");
    if report.images.is_empty() {
        out.push_str("\nNo image was selected.\n");
    }
    for root in &report.roots {
        let name = root.name.as_deref().unwrap_or("(no name)");
        let _ = write!(out, "\n**{}** `{}`\n", inline(&escape::label(name)), root.after);
    }
    for image in &report.images {
        self::image(&mut out, image, &layers, options);
        for list in report.prefetch.iter().filter(|list| list.image == image.before) {
            let _ = write!(out, "\nFetched before it starts: {}\n", inline(&prefetched(list)));
        }
        for own in report.startups.iter().filter(|own| own.image == image.before) {
            let lines = startup::lines(&own.startup).into_iter();
            out.push_str("\nExpected by `--link`:\n\n");
            out.extend(lines.map(|line| format!("- {}\n", inline(&line))));
        }
    }
    for warning in &report.warnings {
        let _ = write!(out, "\n> **Warning:** {}\n", inline(&escape::message(warning)));
    }
    let _ = if report.dry_run {
        write!(out, "\nA dry run: nothing was written, {:.1} s.\n", report.seconds)
    } else {
        let blobs = count(report.blobs_written, "blob");
        let (bytes, seconds) = (Bytes(report.bytes_written), report.seconds);
        write!(out, "\n{blobs} written, {bytes} with `index.json`; {seconds:.1} s.\n")
    };
    out
}

fn image(out: &mut String, image: &ImageReport, layers: &Layers<'_>, options: &Options) {
    let platform = inline(&escape::label(&image.platform));
    let _ = write!(out, "\n{platform} `{}`\n", image.after);
    let own = own_layers(image, layers);
    let size = |layers: &[&LayerReport]| layers.iter().fold(0_u64, |n, l| n.saturating_add(l.size));
    let lazy: Vec<_> = own.iter().copied().filter(|layer| layer.outcome.is_lazy()).collect();
    let (some, all) = (size(&lazy), size(&own));
    let percent = (u128::from(some) * 100).checked_div(u128::from(all)).unwrap_or(0);
    let _ = writeln!(
        out,
        "\n{} of {} load lazily: {} of {} ({percent} %). {}\n",
        lazy.len(),
        count(own.len() as u64, "layer"),
        Bytes(some),
        Bytes(all),
        advice(some, all)
    );
    out.push_str("| layer | size | loads | zTOC |\n| --- | ---: | --- | --- |\n");
    for layer in own {
        row(out, layer, options);
    }
}

fn row(out: &mut String, layer: &LayerReport, options: &Options) {
    let digest = layer.digest.to_string();
    let short = digest.get(..19).unwrap_or(&digest);
    let loads = match &layer.outcome {
        LayerOutcome::Indexed { .. } => "lazily".to_owned(),
        LayerOutcome::Reused { .. } => "lazily (zTOC reused)".to_owned(),
        LayerOutcome::Pending => "lazily, once indexed".to_owned(),
        LayerOutcome::Small => {
            let limit = Bytes(options.min_layer_size);
            format!("as a whole: below {limit} (`--min-layer-size`)")
        }
        LayerOutcome::Skipped(reason) => {
            let remedy = of_reason(&layer.media_type, reason);
            let remedy = remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
            format!("as a whole: {}{remedy}", inline(&escape::label(&reason.text)))
        }
        _ => "as a whole".to_owned(),
    };
    let numbers = layer.outcome.ztoc().map(|of| ztoc(of.ztoc_size, of.spans, of.files));
    let numbers = numbers.unwrap_or_default();
    let _ = writeln!(out, "| `{short}` | {} | {loads} | {numbers} |", Bytes(layer.size));
}

/// Whether it is worth it, in a sentence.
fn advice(lazy: u64, all: u64) -> String {
    if lazy == 0 {
        "The image starts as it did before.".to_owned()
    } else if all < WORTHWHILE {
        let limit = Bytes(WORTHWHILE);
        format!("It is smaller than {limit}: downloading it as a whole may be as fast.")
    } else if lazy < all / 2 {
        "Most of it is still downloaded before the start.".to_owned()
    } else {
        "It is large enough for lazy loading to pay.".to_owned()
    }
}

/// Text on one line without Markdown or HTML of its own; characters that act were escaped before.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // GitHub makes links of addresses and mentions of names.
            '@' => out.push_str("&#64;"),
            ':' => out.push_str("&#58;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        for (foreign, shown) in [
            ("a|b<img>\n[x](y)", "a\\|b&lt;img&gt;\\\\n\\[x\\](y)"),
            ("@you https://x `*_~#!", "&#64;you https&#58;//x \\`\\*\\_\\~\\#\\!"),
        ] {
            assert_eq!(inline(&escape::label(foreign)), shown);
        }
    }

    #[test]
    fn advice_follows_from_sizes() {
        for (lazy, all, begins) in [
            (0, 1 << 40, "The image starts as it did before."),
            (1, WORTHWHILE - 1, "It is smaller than 250.0MiB"),
            (WORTHWHILE / 2 - 1, WORTHWHILE, "Most of it"),
            (WORTHWHILE / 2, WORTHWHILE, "It is large enough"),
            (u64::MAX, u64::MAX, "It is large enough"),
        ] {
            assert!(
                advice(lazy, all).starts_with(begins),
                "{lazy} of {all}: {}",
                advice(lazy, all)
            );
        }
    }
}
