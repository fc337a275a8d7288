//! How soon the images of a report would start, by what it says of their layers and lists.

use std::collections::HashMap;

use super::options::Options;
use super::report::{ImageReport, ImageStartup, LayerOutcome, LayerReport, PrefetchReport, Report};
use crate::commands::startup::{LazyLayer, StartupImage, StartupLayer, estimate};
use crate::oci::digest::Digest;
use crate::oci::soci_version::V2Platform;
use crate::soci::prefetch;

/// A zTOC in the numbers that count here: its bytes, its spans, and the uncompressed bytes and the files that it covers.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Numbers {
    pub(in crate::commands) ztoc_size: u64,
    pub(in crate::commands) spans: u64,
    pub(in crate::commands) content: u64,
    pub(in crate::commands) files: u64,
}

/// The estimates that [`Options::link`] asks for. `expected` are zTOCs that are still to be made; an image with one that
/// is not expected either is left out.
pub(in crate::commands) fn startups(
    report: &Report,
    options: &Options,
    expected: &HashMap<Digest, Numbers>,
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
    expected: &HashMap<Digest, Numbers>,
) -> Option<StartupLayer> {
    let numbers = match &layer.outcome {
        LayerOutcome::Pending => Some(*expected.get(&layer.digest)?),
        outcome => outcome.ztoc().map(|ztoc| Numbers {
            ztoc_size: ztoc.ztoc_size,
            spans: ztoc.spans,
            content: ztoc.uncompressed_size,
            files: ztoc.files,
        }),
    };
    let mut artifacts = list.into_iter().flat_map(|list| &list.artifacts);
    let artifact = artifacts.find(|artifact| artifact.layer == layer.digest);
    let listed = artifact.map_or(0, |artifact| prefetch::count(&artifact.spans));
    Some(StartupLayer {
        size: layer.size,
        content: numbers.map(|numbers| numbers.content),
        files: numbers.map_or(0, |numbers| numbers.files),
        lazy: numbers.map(|Numbers { ztoc_size, spans, .. }| LazyLayer {
            ztoc_size,
            spans,
            listed,
            listed_bytes: artifact.map_or(0, |artifact| artifact.bytes),
        }),
    })
}
