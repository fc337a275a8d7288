//! Reports of a run that has done nothing yet: roots and images as they are.

use super::report::{ImageReport, REPORT_VERSION, Report, RootReport};
use crate::layout::select::{Selection, name};
use crate::layout::tree::Tree;

/// The selected entries of `index.json` as they are.
pub(in crate::commands) fn root_reports(tree: &Tree, selection: &Selection<'_>) -> Vec<RootReport> {
    selection
        .roots()
        .filter_map(|position| tree.roots[position].known())
        .map(|descriptor| RootReport {
            name: name(descriptor).map(str::to_owned),
            before: descriptor.digest,
            after: descriptor.digest,
        })
        .collect()
}

pub(super) fn empty_report(tree: &Tree, selection: &Selection<'_>) -> Report {
    let roots = root_reports(tree, selection);
    let images = selection
        .images
        .iter()
        .map(|selected| ImageReport {
            names: selected.names.clone(),
            platform: selected.image.platform.to_string(),
            before: selected.digest,
            after: selected.digest,
            soci_v2: None,
            soci_v1: None,
            layers: selected.image.layers.iter().map(|layer| layer.digest).collect(),
        })
        .collect();
    Report {
        version: REPORT_VERSION,
        roots,
        images,
        warnings: tree.warnings.iter().chain(&selection.warnings).cloned().collect(),
        ..Report::default()
    }
}
