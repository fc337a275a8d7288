//! What a report says of roots and images: as they are, or as they were written again.

use super::report::{ImageReport, REPORT_VERSION, Report, RootReport};
use crate::layout::select::{Selection, name};
use crate::layout::tree::Tree;
use crate::soci::bind::Rewrite;

/// The selected entries of `index.json`.
pub(in crate::commands) fn root_reports(
    tree: &Tree,
    selection: &Selection<'_>,
    rewritten: Option<&Rewrite>,
) -> Vec<RootReport> {
    let report = |position: usize| {
        let root = tree.roots[position].known()?;
        let after = rewritten.and_then(|rewritten| rewritten.roots[position]);
        Some(RootReport {
            name: name(root).map(str::to_owned),
            before: root.digest,
            after: after.unwrap_or(root.digest),
        })
    };
    selection.roots().filter_map(report).collect()
}

/// A report that knows no more than this.
pub(super) fn report(
    tree: &Tree,
    selection: &Selection<'_>,
    rewritten: Option<&Rewrite>,
) -> Report {
    let news = rewritten.map(Rewrite::by_before).unwrap_or_default();
    let images = selection.images.iter().map(|selected| {
        let (before, new) = (selected.digest, news.get(&selected.digest));
        ImageReport {
            names: selected.names.clone(),
            platform: selected.image.platform.to_string(),
            before,
            after: new.map_or(before, |new| new.manifest.digest),
            soci_v2: new.and_then(|new| Some(new.v2.as_ref()?.digest)),
            soci_v1: new.and_then(|new| Some(new.v1.as_ref()?.blob.digest)),
            layers: selected.image.layers.iter().map(|layer| layer.digest).collect(),
        }
    });
    Report {
        version: REPORT_VERSION,
        roots: root_reports(tree, selection, rewritten),
        images: images.collect(),
        warnings: tree.warnings.iter().chain(&selection.warnings).cloned().collect(),
        ..Report::default()
    }
}
