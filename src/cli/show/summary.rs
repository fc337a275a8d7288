//! The last lines of a run, for people: what each image's digest was and is, what was indexed, reused and
//! skipped and why, and what was written.
//!
//! Digests stand in full and on lines of their own, to be copied and searched for. [`Report`] holds
//! everything that is said here; programs read it as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use soci_layout::report::{
    CacheReport, ImageReport, LayerOutcome, LayerReport, PrefetchReport, Report, RootReport,
    ZtocReport,
};
use soci_layout::{Digest, Options};

use super::names::title;
use super::style::DIM;
use super::{Bytes, count, escape, ztoc};

pub(super) type Layers<'a> = BTreeMap<Digest, &'a LayerReport>;

/// Layers counted by what became of them.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    indexed: u64,
    reused: u64,
    pending: u64,
    small: u64,
    skipped: u64,
}

impl Counts {
    fn of<'a>(layers: impl Iterator<Item = &'a LayerReport>) -> Self {
        let mut counts = Self::default();
        for layer in layers {
            *match &layer.outcome {
                LayerOutcome::Indexed { .. } => &mut counts.indexed,
                LayerOutcome::Reused { .. } => &mut counts.reused,
                LayerOutcome::Pending => &mut counts.pending,
                LayerOutcome::Small => &mut counts.small,
                _ => &mut counts.skipped,
            } += 1;
        }
        counts
    }

    /// For example `2 indexed, 1 reused, 3 small`; `small` is the word for those.
    fn words(&self, small: &str) -> String {
        let all = [
            (self.indexed, "indexed"),
            (self.pending, "to be indexed"),
            (self.reused, "reused"),
            (self.small, small),
            (self.skipped, "skipped"),
        ];
        let some = all.iter().filter(|(count, _)| *count > 0);
        let words: Vec<_> = some.map(|(count, what)| format!("{count} {what}")).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    }
}

/// Whether any layer of any selected image has a zTOC now (or, dry, would have).
pub(crate) fn any_indexed(report: &Report) -> bool {
    report.layers.iter().any(|layer| layer.outcome.is_lazy())
}

/// The summary.
pub(crate) fn text(report: &Report, options: &Options) -> String {
    let mut out = String::new();
    roots(&mut out, &report.roots, report.dry_run);
    let layers = by_digest(report);
    let small = format!("small (below {})", Bytes(options.min_layer_size));
    for image in &report.images {
        let _ = writeln!(out, "{}", title(&image.platform, &image.names.join(", ")));
        digests(&mut out, image.before, image.after, report.dry_run);
        self::image(&mut out, image, &layers, &small);
        for prefetch in report.prefetch.iter().filter(|list| list.image == image.before) {
            field(&mut out, "prefetch", &prefetched(prefetch));
        }
    }
    let layers = Counts::of(report.layers.iter());
    let _ = writeln!(out, "{}", layers_total(&layers, options));
    if let Some(cache) = &report.cache {
        let _ = writeln!(out, "{}", cache_total(cache));
    }
    #[cfg(feature = "registry")]
    if report.pushed.is_some() {
        // Of which others tell.
        return out;
    }
    let _ = writeln!(out, "{}", bytes_total(report));
    out
}

/// What each name led to and leads to. Several names of one image share what there is to say.
pub(crate) fn roots(out: &mut String, roots: &[RootReport], dry_run: bool) {
    for same in roots.chunk_by(|a, b| (a.before, a.after) == (b.before, b.after)) {
        let names = same.iter().map(|root| root.name.as_deref().unwrap_or("(no name)"));
        let _ = writeln!(out, "{}", title(&names.collect::<Vec<_>>().join(", "), ""));
        digests(out, same[0].before, same[0].after, dry_run);
    }
}

/// The digests of the entries of `index.json` as they are after a run, each once and on a line of its own,
/// so that a single image gives a single line however many names it has.
pub(crate) fn root_digests(roots: &[RootReport]) -> String {
    let mut seen = BTreeSet::new();
    let distinct = roots.iter().filter(|root| seen.insert(root.after));
    distinct.fold(String::new(), |lines, root| lines + &format!("{}\n", root.after))
}

pub(crate) fn field(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "  {DIM}{name:<9}{DIM:#}  {value}");
}

pub(crate) fn digests(out: &mut String, before: Digest, after: Digest, dry_run: bool) {
    if before == after {
        // A dry run does not know what it would be.
        let name = if dry_run { "is" } else { "unchanged" };
        field(out, name, &before.to_string());
    } else {
        field(out, "was", &before.to_string());
        field(out, "is", &after.to_string());
    }
}

/// The layers of all images. Of two reports on one blob (two media types) the first counts.
pub(super) fn by_digest(report: &Report) -> Layers<'_> {
    report.layers.iter().rev().map(|layer| (layer.digest, layer)).collect()
}

/// The layers of one image, each once.
pub(super) fn own_layers<'a>(image: &ImageReport, layers: &Layers<'a>) -> Vec<&'a LayerReport> {
    let mut seen = BTreeSet::new();
    let distinct = image.layers.iter().filter(|digest| seen.insert(*digest));
    distinct.filter_map(|digest| layers.get(digest).copied()).collect()
}

fn image(out: &mut String, image: &ImageReport, layers: &Layers<'_>, small: &str) {
    for (name, digest) in [("SOCI v2", image.soci_v2), ("SOCI v1", image.soci_v1)] {
        if let Some(digest) = digest {
            field(out, name, &digest.to_string());
        }
    }
    let own = own_layers(image, layers);
    field(out, "layers", &Counts::of(own.iter().copied()).words(small));
    let ztocs: Vec<_> = own.iter().filter_map(|layer| layer.outcome.ztoc()).collect();
    if !ztocs.is_empty() {
        let sum = |of: fn(&ZtocReport) -> u64| {
            ztocs.iter().map(|ztoc| of(ztoc)).fold(0, u64::saturating_add)
        };
        let (size, spans, files) = (sum(|of| of.ztoc_size), sum(|of| of.spans), sum(|of| of.files));
        field(out, "zTOCs", &ztoc(size, spans, files));
    }
    for layer in own {
        if let LayerOutcome::Skipped(reason) = &layer.outcome {
            field(out, "skipped", &format!("{}: {}", layer.digest, escape::label(&reason.text)));
        }
    }
}

/// What is fetched before an image starts.
pub(crate) fn prefetched(list: &PrefetchReport) -> String {
    let ranges = (list.ranges > 0).then(|| count(list.ranges, "recorded range"));
    let files = (list.files > 0 || ranges.is_none()).then(|| count(list.files, "file"));
    let what: Vec<String> = files.into_iter().chain(ranges).collect();
    let (spans, layers) = (count(list.spans, "span"), count(list.artifacts.len() as u64, "layer"));
    let mut text = format!("{} in {spans} of {layers}, {}", what.join(" and "), Bytes(list.bytes));
    if let Some(seconds) = list.seconds {
        let _ = write!(text, ", about {seconds:.1} s");
    }
    if list.left_out > 0 {
        let _ = write!(text, "; {} left out", count(list.left_out, "file"));
    }
    text
}

/// What became of the layers of all images, each counted once.
fn layers_total(layers: &Counts, options: &Options) -> String {
    if layers.indexed + layers.reused + layers.pending > 0 {
        return format!("layers: {}", layers.words("small"));
    }
    let limit = format!("below {} (--min-layer-size)", Bytes(options.min_layer_size));
    match (layers.small, layers.skipped) {
        (0, 0) => "nothing to index: no image has a layer that could be indexed".to_owned(),
        (1, 0) => format!("nothing to index: the only layer is {limit}"),
        (small, 0) => format!("nothing to index: all {small} layers are {limit}"),
        (0, skipped) => format!("nothing to index: {} skipped", count(skipped, "layer")),
        (small, skipped) => {
            format!("nothing to index: {} {limit}, {skipped} skipped", count(small, "layer"))
        }
    }
}

/// What the cache did. All of it is 0 when every zTOC was in the layout.
fn cache_total(cache: &CacheReport) -> String {
    let hits = count(cache.hits, "hit");
    let misses = format!("{} miss{}", cache.misses, if cache.misses == 1 { "" } else { "es" });
    let rejected = match cache.rejected {
        0 => String::new(),
        rejected => format!(" ({rejected} unusable)"),
    };
    let written = match cache.writes {
        0 => "nothing written".to_owned(),
        writes => format!("{writes} written, {}", Bytes(cache.bytes_written)),
    };
    format!("cache: {hits}, {misses}{rejected}; {written}")
}

/// What changed on disk, and how long it took.
fn bytes_total(report: &Report) -> String {
    let seconds = report.seconds;
    if report.dry_run {
        let pending = report.layers.iter().filter(|l| matches!(l.outcome, LayerOutcome::Pending));
        let bytes = pending.fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
        let effect = match (report.changed, bytes) {
            (false, _) => "the layout would stay as it is".to_owned(),
            (true, 0) => "no layer would be scanned".to_owned(),
            (true, bytes) => format!("{} of layers would be scanned", Bytes(bytes)),
        };
        return format!("dry run: {effect}; nothing was written, {seconds:.1}s");
    }
    let written = if report.changed || report.blobs_written > 0 {
        wrote(report.blobs_written, report.changed, report.bytes_written)
    } else {
        "wrote nothing, the layout is unchanged".to_owned()
    };
    effect(&written, report.blobs_pruned, report.bytes_pruned, seconds)
}

/// So many blobs, and perhaps `index.json`.
pub(crate) fn wrote(blobs: u64, index: bool, bytes: u64) -> String {
    let index = if index { " and index.json" } else { "" };
    format!("wrote {}{index}, {}", count(blobs, "blob"), Bytes(bytes))
}

/// What was written, what `--prune` removed, and how long it took.
pub(crate) fn effect(written: &str, pruned: u64, bytes: u64, seconds: f64) -> String {
    let removed = match pruned {
        0 => String::new(),
        blobs => format!("; removed {}, {}", count(blobs, "blob"), Bytes(bytes)),
    };
    format!("{written}{removed}; {seconds:.1}s")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    /// A layer of this outcome, as JSON.
    fn layer(name: &str, outcome: Value) -> Value {
        let mut layer = json!({"digest": digest(name), "media_type": "t", "size": 20 << 20});
        let Value::Object(outcome) = outcome else { unreachable!("it has members") };
        layer.as_object_mut().expect("an object").extend(outcome);
        layer
    }

    fn ztoc(outcome: &str) -> Value {
        json!({"outcome": outcome, "from": "cache", "ztoc": digest("ztoc"), "ztoc_size": 500_000, "spans": 15,
               "files": 1, "uncompressed_size": 60 << 20, "largest_span": 1 << 20})
    }

    fn skipped(cause: &str, reason: &str) -> Value {
        json!({"outcome": "skipped", "cause": cause, "reason": reason})
    }

    fn report(layers: &[Value]) -> Report {
        let (before, after) = (digest("before"), digest("after"));
        let root = |name| json!({"name": name, "before": before, "after": after});
        let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        serde_json::from_value(json!({
            "version": 1,
            "dry_run": false,
            "changed": true,
            "roots": [root("app:1"), root("evil\u{202e}")],
            "images": [{
                "names": ["app:1", "evil\u{202e}"],
                "platform": "linux/amd64",
                "before": digest("manifest"),
                "after": digest("annotated"),
                "soci_v2": digest("soci"),
                "layers": digests,
            }],
            "layers": layers,
            "prefetch": [],
            "warnings": [],
            "stays_behind": [],
            "blobs_written": 7,
            "bytes_written": 1 << 20,
            "blobs_pruned": 0,
            "bytes_pruned": 0,
            "seconds": 2.34,
        }))
        .expect("a report")
    }

    /// Without colour and with digests by their names.
    fn readable(report: &Report) -> String {
        let mut text = anstream::adapter::strip_str(&text(report, &Options::default())).to_string();
        for name in ["before", "after", "manifest", "annotated", "soci", "a", "b", "c", "d"] {
            text = text.replace(&digest(name).to_string(), &format!("<{name}>"));
        }
        text
    }

    #[test]
    fn everything_at_once() {
        let mut report = report(&[
            layer("a", ztoc("indexed")),
            layer("b", ztoc("reused")),
            layer("c", json!({"outcome": "small"})),
            layer("d", skipped("media-type", "zstd\n is not supported")),
        ]);
        report.images[0].layers.push(digest("a"));
        report.blobs_pruned = 1;
        report.bytes_pruned = 1000;
        let cache =
            json!({"hits": 1, "misses": 2, "rejected": 1, "writes": 1, "bytes_written": 1 << 20});
        report.cache = serde_json::from_value(cache).expect("a cache report");
        let expected = "\
app:1, evil\\u{202e}
  was        <before>
  is         <after>
linux/amd64 of app:1, evil\\u{202e}
  was        <manifest>
  is         <annotated>
  SOCI v2    <soci>
  layers     1 indexed, 1 reused, 1 small (below 10.0MiB), 1 skipped
  zTOCs      976.6KiB, 30 spans, 2 files
  skipped    <d>: zstd\\n is not supported
layers: 1 indexed, 1 reused, 1 small, 1 skipped
cache: 1 hit, 2 misses (1 unusable); 1 written, 1.0MiB
wrote 7 blobs and index.json, 1.0MiB; removed 1 blob, 1000B; 2.3s
";
        assert_eq!(readable(&report), expected);
        assert!(any_indexed(&report));
    }

    #[test]
    fn last_lines() {
        let small = || layer("a", json!({"outcome": "small"}));
        let skipped = || layer("b", skipped("entry", "r"));
        let unchanged = "wrote nothing, the layout is unchanged; 2.3s\n";
        for (layers, dry_run, end) in [
            (
                vec![],
                false,
                format!(
                    "nothing to index: no image has a layer that could be indexed\n{unchanged}"
                ),
            ),
            (
                vec![small()],
                false,
                format!(
                    "nothing to index: the only layer is below 10.0MiB (--min-layer-size)\n{unchanged}"
                ),
            ),
            (vec![skipped()], false, format!("nothing to index: 1 layer skipped\n{unchanged}")),
            (
                vec![small(), skipped()],
                false,
                format!(
                    "nothing to index: 1 layer below 10.0MiB (--min-layer-size), 1 skipped\n{unchanged}"
                ),
            ),
            (
                vec![layer("a", json!({"outcome": "pending"})), small()],
                true,
                "layers: 1 to be indexed, 1 small\n\
                 dry run: 20.0MiB of layers would be scanned; nothing was written, 2.3s\n"
                    .to_owned(),
            ),
            (
                vec![small()],
                true,
                "nothing to index: the only layer is below 10.0MiB (--min-layer-size)\n\
                 dry run: the layout would stay as it is; nothing was written, 2.3s\n"
                    .to_owned(),
            ),
        ] {
            let mut report = report(&layers);
            report.changed = any_indexed(&report);
            report.dry_run = dry_run;
            (report.blobs_written, report.bytes_written) = (0, 0);
            let text = readable(&report);
            assert!(text.ends_with(&end), "{text}");
        }
    }
}
