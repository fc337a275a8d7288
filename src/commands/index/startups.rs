//! How soon the images of a report would start, by what it says of their layers and lists.

use std::collections::HashMap;

use super::options::Options;
use super::report::{
    ImageReport, ImageStartup, LayerOutcome, LayerReport, PrefetchReport, Report, ZtocReport,
};
use crate::commands::startup::{LazyLayer, StartupImage, StartupLayer, estimate};
use crate::oci::digest::Digest;
use crate::oci::soci_version::V2Platform;
use crate::soci::prefetch;

/// The estimates that [`Options::link`] asks for. `expected` are layers whose zTOCs are still to be made; an image with one
/// that is not expected either is left out.
pub(in crate::commands) fn startups(
    report: &Report,
    options: &Options,
    expected: &HashMap<Digest, StartupLayer>,
) -> Vec<ImageStartup> {
    let Some(link) = options.link else { return Vec::new() };
    let layers: HashMap<Digest, &LayerReport> =
        report.layers.iter().rev().map(|layer| (layer.digest, layer)).collect();
    let one = |image: &ImageReport| {
        let list = report.prefetch.iter().find(|list| list.image == image.before);
        let layers = image.layers.iter().map(|digest| layer(layers.get(digest)?, list, expected));
        let ztocs_twice =
            options.index_version.has_v2() && options.v2_platform == V2Platform::Image;
        let image_of = StartupImage { layers: layers.collect::<Option<_>>()?, ztocs_twice };
        let startup = estimate(&image_of, &link);
        Some(ImageStartup { image: image.before, platform: image.platform.clone(), startup })
    };
    report.images.iter().filter_map(one).collect()
}

fn layer(
    layer: &LayerReport,
    list: Option<&PrefetchReport>,
    expected: &HashMap<Digest, StartupLayer>,
) -> Option<StartupLayer> {
    let mut found = match (&layer.outcome, layer.outcome.ztoc()) {
        (LayerOutcome::Pending, _) => *expected.get(&layer.digest)?,
        (_, Some(&ZtocReport { ztoc_size, spans, uncompressed_size, files, .. })) => StartupLayer {
            size: layer.size,
            content: Some(uncompressed_size),
            files,
            lazy: Some(LazyLayer { ztoc_size, spans, ..LazyLayer::default() }),
        },
        (_, None) => StartupLayer { size: layer.size, ..StartupLayer::default() },
    };
    let mut artifacts = list.into_iter().flat_map(|list| &list.artifacts);
    if let Some(lazy) = &mut found.lazy
        && let Some(artifact) = artifacts.find(|artifact| artifact.layer == layer.digest)
    {
        lazy.listed = prefetch::count(&artifact.spans);
        lazy.listed_bytes = artifact.bytes;
    }
    Some(found)
}
