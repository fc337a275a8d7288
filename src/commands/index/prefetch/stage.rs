//! The stage between scan and assembly: the wanted files of each image, and the spans that cover them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::covered::{Covered, cost};
use super::paths::{cleaned, file, files};
use crate::commands::files::{ImageFiles, LayerTable, Loader, Root, ZtocOf};
use crate::commands::index::options::Options;
use crate::commands::index::report::{PrefetchArtifact, PrefetchReport};
use crate::commands::traced::TracedFile;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::select::{SelectedImage, Selection};
use crate::oci::digest::Digest;
use crate::oci::json::excerpt;
use crate::progress::event::{Outcome, Step};
use crate::progress::steps::Steps;
use crate::progress::warnings::Warnings;
use crate::soci::prefetch::{Prefetch, SpanSet, encode};

/// What was found.
#[derive(Debug, Default)]
pub(in crate::commands::index) struct FoundPrefetch {
    /// For the SOCI indexes.
    pub(in crate::commands::index) spans: Prefetch,
    pub(in crate::commands::index) reports: Vec<PrefetchReport>,
    pub(in crate::commands::index) warnings: Vec<String>,
}

/// The search for the wanted files.
pub(in crate::commands::index) struct Search<'a> {
    pub(in crate::commands::index) layout: &'a Layout,
    pub(in crate::commands::index) options: &'a Options,
    pub(in crate::commands::index) steps: &'a Steps<'a>,
    /// The zTOCs that the images will have.
    pub(in crate::commands::index) ztoc: ZtocOf<'a>,
}

impl Search<'_> {
    /// Looks for the files in each image. `inputs` are the digests of the scans.
    ///
    /// # Errors
    /// [`Error::PrefetchNotFound`] under `strict`, for a path that is in none of the images; [`Error::Io`].
    pub(in crate::commands::index) fn run(
        &self,
        selection: &Selection<'_>,
        inputs: &[Digest],
    ) -> Result<FoundPrefetch, Error> {
        let wanted = &self.options.prefetch;
        if wanted.is_empty() {
            return Ok(FoundPrefetch::default());
        }
        let content = format!("prefetch {wanted:?}");
        let step = self.steps.announce("[prefetch] files to spans".to_owned(), &content, inputs);
        self.steps.run(&step, || Ok((self.images(selection, &step)?, Outcome::Done)))
    }

    fn images(&self, selection: &Selection<'_>, step: &Step) -> Result<FoundPrefetch, Error> {
        let loader = Loader::new(self.layout, self.steps, self.options.jobs, self.ztoc).lenient();
        let (mut found, mut warnings) = (FoundPrefetch::default(), Warnings::default());
        for selected in &selection.images {
            if self.steps.cancelled() {
                return Err(Error::Cancelled);
            }
            let image = loader.image(selected, None)?;
            let (report, spans) = self.image(selected, &image, &mut warnings);
            self.steps.log(step, told(&report));
            for (layer, spans) in &spans {
                found.spans.insert(selected.digest, *layer, spans);
            }
            found.reports.push(report);
        }
        self.check_strict(&found.reports)?;
        found.warnings = warnings.finish(|more| format!("prefetch: {more} more such warnings"));
        for warning in &found.warnings {
            self.steps.warn(step, warning);
        }
        Ok(found)
    }

    /// A path that one of several images has is right: platforms have paths of their own.
    fn check_strict(&self, reports: &[PrefetchReport]) -> Result<(), Error> {
        if !self.options.strict || reports.is_empty() {
            return Ok(());
        }
        let missing: Vec<HashSet<&String>> =
            reports.iter().map(|report| report.not_found.iter().collect()).collect();
        let everywhere = |path: &&String| missing.iter().all(|missing| missing.contains(path));
        let files = self.options.prefetch.files.iter();
        let paths: Vec<String> = files.filter(everywhere).cloned().collect();
        if paths.is_empty() { Ok(()) } else { Err(Error::PrefetchNotFound { paths }) }
    }

    /// The wanted files of one image, and by layer the spans that cover them.
    fn image(
        &self,
        selected: &SelectedImage<'_>,
        image: &ImageFiles,
        warnings: &mut Warnings,
    ) -> (PrefetchReport, BTreeMap<Digest, SpanSet>) {
        let platform = shown(selected);
        let tables: Vec<LayerTable<'_>> = image.tables().collect();
        let mut covered = Covered::new(&tables, self.options.prefetch.limit);
        let mut report = PrefetchReport {
            image: selected.digest,
            platform: selected.image.platform.to_string(),
            files: 0,
            spans: 0,
            bytes: 0,
            left_out: 0,
            ranges: 0,
            ranges_not_found: 0,
            seconds: None,
            artifacts: Vec::new(),
            not_found: Vec::new(),
            eager: Vec::new(),
        };
        for table in &tables {
            if let (None, Some(problem)) = (table.ztoc, table.problem) {
                let layer = table.digest;
                warnings.add(|| {
                    format!(
                        "prefetch: the files of layer {layer} ({platform}) are not known: {problem}"
                    )
                });
            }
        }
        let root = match image.root() {
            Ok(root) => root,
            Err(error) => {
                warnings
                    .add(|| format!("prefetch: the files of {platform} are not known: {error}"));
                return (report, BTreeMap::new());
            }
        };
        for path in &self.options.prefetch.files {
            let cleaned = cleaned(path.as_bytes());
            let nodes = match files(&root, &cleaned) {
                Ok(nodes) => nodes,
                Err(why) => {
                    warnings
                        .add(|| format!("prefetch: {} is not in {platform}: {why}", excerpt(path)));
                    report.not_found.push(path.clone());
                    continue;
                }
            };
            let eager = covered.add(&root, &nodes, &cleaned);
            if eager > 0 {
                let of = if nodes.len() == 1 {
                    String::new()
                } else {
                    format!("{eager} of {} files of ", nodes.len())
                };
                warnings.add(|| format!(
                    "prefetch: {of}{} in {platform}: in layers that are fetched whole before the image starts",
                    excerpt(path)
                ));
                report.eager.push(path.clone());
            }
        }
        self.traced(&root, &platform, &mut covered, &mut report, warnings);
        self.ranges(&platform, &mut covered, &mut report, warnings);
        let Covered { seen, spans, left_out, left_out_ranges, requests, bytes, .. } = covered;
        (report.files, report.left_out) = (seen.len() as u64 - left_out, left_out);
        report.ranges -= left_out_ranges;
        (report.spans, report.bytes) = (requests, bytes);
        if let Some(limit) = self.options.prefetch.limit {
            let seconds = limit.link.time(requests, bytes).as_secs_f64();
            report.seconds = Some(seconds);
            let of = limit.time.as_secs_f64();
            for (count, what) in [(left_out, "files"), (left_out_ranges, "recorded ranges")] {
                if count > 0 {
                    warnings.add(|| format!(
                        "prefetch: {count} {what} of {platform} are left out: the others take {seconds:.1} s of {of:.1} s"
                    ));
                }
            }
        }
        report.artifacts = artifacts(&tables, &spans);
        (report, spans)
    }

    /// The files of traces. A trace has many that no image has: what the kernel shows, what programs write.
    fn traced(
        &self,
        root: &Root<'_>,
        platform: &str,
        covered: &mut Covered<'_>,
        report: &mut PrefetchReport,
        warnings: &mut Warnings,
    ) {
        let traced = &self.options.prefetch.traced;
        let (mut gone, mut first) = (0, None);
        for TracedFile { path, parts } in traced {
            let cleaned = cleaned(path.as_bytes());
            match file(root, &cleaned) {
                Ok(None) => {}
                Ok(Some(node)) => {
                    let eager = match parts[..] {
                        [] => covered.add(root, &[node], &cleaned),
                        _ => covered.add_parts(root, node, parts),
                    };
                    if eager > 0 {
                        report.eager.push(path.clone());
                    }
                }
                Err(_) => {
                    gone += 1;
                    first.get_or_insert(path);
                    report.not_found.push(path.clone());
                }
            }
        }
        if let Some(first) = first {
            let all = traced.len();
            warnings.add(|| format!(
                "prefetch: {gone} of {all} recorded files are not in {platform}, the first is {}",
                excerpt(first)
            ));
        }
    }

    /// The bytes of layers that traces name.
    fn ranges(
        &self,
        platform: &str,
        covered: &mut Covered<'_>,
        report: &mut PrefetchReport,
        warnings: &mut Warnings,
    ) {
        let ranges = &self.options.prefetch.ranges;
        let mut first = None;
        for range in ranges {
            if covered.add_bytes(range) {
                report.ranges += 1;
            } else {
                report.ranges_not_found += 1;
                first.get_or_insert(range.layer);
            }
        }
        if let Some(first) = first {
            let (gone, all) = (report.ranges_not_found, ranges.len());
            warnings.add(|| format!(
                "prefetch: {gone} of {all} recorded ranges are of layers that {platform} does not have, the first is \
                 {first}: such a record serves for the layers that it was made of"
            ));
        }
    }
}

/// An image as warnings call it.
fn shown(selected: &SelectedImage<'_>) -> String {
    let platform = &selected.image.platform;
    match selected.names.as_slice() {
        [] => platform.to_string(),
        names => format!("{platform} of {}", excerpt(&names.join(", "))),
    }
}

fn artifacts(
    tables: &[LayerTable<'_>],
    spans: &BTreeMap<Digest, SpanSet>,
) -> Vec<PrefetchArtifact> {
    let mut told = BTreeSet::new();
    let mut artifacts = Vec::new();
    for table in tables {
        let (Some(ztoc), Some(spans)) = (table.ztoc, spans.get(&table.digest)) else { continue };
        let spans = spans.ranges();
        if spans.is_empty() || !told.insert(table.digest) {
            continue;
        }
        let text = encode(&spans);
        artifacts.push(PrefetchArtifact {
            layer: table.digest,
            digest: Digest::of(text.as_bytes()),
            size: text.len() as u64,
            bytes: spans.iter().map(|range| cost(ztoc, *range).1).sum(),
            spans,
        });
    }
    artifacts
}

fn told(report: &PrefetchReport) -> String {
    let PrefetchReport { platform, files, ranges, spans, bytes, artifacts, .. } = report;
    let ranges = if *ranges > 0 { format!(" and {ranges} recorded ranges") } else { String::new() };
    format!(
        "{platform}: {files} files{ranges} in {spans} spans of {} layers, {bytes} bytes",
        artifacts.len()
    )
}
