//! The summary of a run as Markdown, for a job's summary page (`GITHUB_STEP_SUMMARY`) or a comment.

use std::collections::HashMap;
use std::fmt::Write as _;

use soci_layout::Digest;
use soci_layout::report::{ImageReport, LayerOutcome, LayerReport, Report};

use super::escape;
use super::size::Bytes;

/// AWS advises against lazy loading below this size of an image (bytes, compressed).
const WORTHWHILE: u64 = 250 << 20;

/// The document.
pub(crate) fn text(report: &Report) -> String {
    let layers: HashMap<Digest, &LayerReport> =
        report.layers.iter().map(|layer| (layer.digest, layer)).collect();
    let mut out = String::from("### SOCI index\n");
    if report.dry_run {
        out.push_str("\nA dry run: nothing was written.\n");
    }
    if report.images.is_empty() {
        out.push_str("\nNo image in this layout.\n");
    }
    for image in &report.images {
        self::image(&mut out, image, &layers);
    }
    for warning in &report.warnings {
        let _ = write!(out, "\n> **Warning:** {}\n", inline(warning));
    }
    let _ = write!(
        out,
        "\n{} written in {} blobs, {:.1} s.\n",
        Bytes(report.bytes_written),
        report.blobs_written,
        report.seconds
    );
    out
}

fn image(out: &mut String, image: &ImageReport, layers: &HashMap<Digest, &LayerReport>) {
    let names =
        if image.names.is_empty() { "(no name)".to_owned() } else { image.names.join(", ") };
    let _ = write!(out, "\n**{}** {}\n\n", inline(&names), inline(&image.platform));
    let of = |lazy: bool| -> u64 {
        let wanted = image.layers.iter().filter_map(|digest| layers.get(digest));
        wanted.filter(|layer| !lazy || is_lazy(&layer.outcome)).map(|layer| layer.size).sum()
    };
    let (lazy, all) = (of(true), of(false));
    let percent = (u128::from(lazy) * 100).checked_div(u128::from(all)).unwrap_or(0);
    let _ = writeln!(
        out,
        "`{}` — {} of {} load lazily ({percent} %)\n",
        image.after,
        Bytes(lazy),
        Bytes(all)
    );
    out.push_str("| layer | size | loads | zTOC | spans | files |\n| --- | ---: | --- | ---: | ---: | ---: |\n");
    for digest in &image.layers {
        if let Some(layer) = layers.get(digest) {
            row(out, layer);
        }
    }
    let _ = write!(out, "\n{}\n", advice(lazy, all));
}

fn row(out: &mut String, layer: &LayerReport) {
    let digest = layer.digest.to_string();
    let short = digest.get(..19).unwrap_or(&digest);
    let (loads, ztoc) = match &layer.outcome {
        LayerOutcome::Indexed { ztoc } => ("lazily".to_owned(), Some(ztoc)),
        LayerOutcome::Reused { ztoc, .. } => ("lazily (zTOC reused)".to_owned(), Some(ztoc)),
        LayerOutcome::Pending => ("lazily, once indexed".to_owned(), None),
        LayerOutcome::Small => ("as a whole: small".to_owned(), None),
        LayerOutcome::Skipped { reason } => (format!("as a whole: {}", inline(reason)), None),
    };
    let numbers = ztoc.map_or_else(
        || " |  | ".to_owned(),
        |ztoc| format!("{} | {} | {}", Bytes(ztoc.ztoc_size), ztoc.spans, ztoc.files),
    );
    let _ = writeln!(out, "| `{short}` | {} | {loads} | {numbers} |", Bytes(layer.size));
}

/// Whether it is worth it, in a sentence.
fn advice(lazy: u64, all: u64) -> String {
    if lazy == 0 {
        "Nothing of this image loads lazily: it starts as it did before.".to_owned()
    } else if all < WORTHWHILE {
        format!(
            "The image is smaller than {}: downloading it as a whole may be as fast.",
            Bytes(WORTHWHILE)
        )
    } else {
        "Large enough for lazy loading to pay.".to_owned()
    }
}

fn is_lazy(outcome: &LayerOutcome) -> bool {
    matches!(
        outcome,
        LayerOutcome::Indexed { .. } | LayerOutcome::Reused { .. } | LayerOutcome::Pending
    )
}

/// Foreign text in a table cell or paragraph: on one line, without Markdown or HTML of its own.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for c in escape::text(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '~' => {
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
        assert_eq!(inline("a|b<img>\n[x](y)"), "a\\|b&lt;img&gt;\\\\n\\[x\\](y)");
    }

    #[test]
    fn advice_follows_from_sizes() {
        assert!(advice(0, 1 << 40).starts_with("Nothing"));
        assert!(advice(1, WORTHWHILE - 1).contains("smaller than 250"));
        assert!(advice(1, WORTHWHILE).starts_with("Large enough"));
    }
}
