//! Layers that get no zTOC because somebody says so.

use std::collections::{BTreeSet, HashSet};

use crate::commands::index::options::Options;
use crate::error::Error;
use crate::layout::select::Selection;
use crate::oci::digest::Digest;

/// What is said of such a layer.
pub(super) const EXCLUDED: &str = "excluded on request";

/// The layers that [`Options::skip_layers`] names, in any of the selected images.
pub(super) fn excluded(
    selection: &Selection<'_>,
    options: &Options,
) -> Result<HashSet<Digest>, Error> {
    let mut excluded = HashSet::new();
    let images = || selection.images.iter().map(|selected| &selected.image.layers);
    for choice in &options.skip_layers {
        let found = images().filter_map(|layers| Some(layers[choice.find(layers)?].digest));
        let found: Vec<Digest> = found.collect();
        if found.is_empty() && !selection.images.is_empty() {
            let numbered = images().flat_map(|layers| (1..).zip(layers.iter()));
            let list: BTreeSet<(usize, Digest)> =
                numbered.map(|(number, layer)| (number, layer.digest)).collect();
            let found = list.into_iter().map(|(number, digest)| format!("{number} {digest}"));
            return Err(Error::NoSuchLayer { layer: choice.to_string(), found: found.collect() });
        }
        excluded.extend(found);
    }
    Ok(excluded)
}
