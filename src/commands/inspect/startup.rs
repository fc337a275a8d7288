//! How soon an image would start, by what the layout says.

use std::collections::HashSet;

use super::report::{Image, Layer, Prefetch, SociIndex, SociVersion};
use crate::commands::link::Link;
use crate::commands::startup::{LazyLayer, Startup, StartupImage, StartupLayer, estimate};
use crate::layout::tree::{Node, Tree};
use crate::oci::digest::Digest;

/// The digests that are entries for a platform that clients pull.
pub(super) fn for_platforms(tree: &Tree) -> HashSet<Digest> {
    let entries = tree.nodes().filter_map(Node::known);
    let pulled = entries
        .filter(|entry| entry.platform.as_ref().is_some_and(|platform| platform.os != "unknown"));
    pulled.map(|entry| entry.digest).collect()
}

/// The estimate for one image. Heads of zTOCs do not say how long each span is: those that are listed have the usual length.
pub(super) fn of(
    image: &Image,
    soci_indexes: &[SociIndex],
    for_platforms: &HashSet<Digest>,
    link: &Link,
) -> Startup {
    let taken = image.soci_indexes.first();
    let taken = taken.and_then(|digest| soci_indexes.iter().find(|soci| soci.digest == *digest));
    let prefetch = taken.map(|soci| &soci.prefetch[..]).unwrap_or_default();
    let ztocs_twice = taken.is_some_and(|soci| {
        matches!(soci.soci_version, SociVersion::V2) && for_platforms.contains(&soci.digest)
    });
    let layers = image.layers.iter().map(|one| layer(one, prefetch)).collect();
    estimate(&StartupImage { layers, ztocs_twice }, link)
}

fn layer(layer: &Layer, prefetch: &[Prefetch]) -> StartupLayer {
    let ztoc = layer.ztoc.as_ref();
    let head = ztoc.and_then(|ztoc| ztoc.head.as_ref());
    let lazy = ztoc.zip(head).filter(|_| layer.lazy).map(|(ztoc, head)| {
        let mut own = prefetch.iter().filter(|list| list.layer == Some(layer.digest));
        let listed = own.next().map_or(0, Prefetch::span_count).min(head.spans);
        let bytes = u128::from(layer.size) * u128::from(listed) / u128::from(head.spans.max(1));
        let listed_bytes = u64::try_from(bytes).unwrap_or(layer.size);
        LazyLayer { ztoc_size: ztoc.size, spans: head.spans, listed, listed_bytes }
    });
    StartupLayer {
        size: layer.size,
        content: head.map(|head| head.uncompressed_size),
        files: head.map_or(0, |head| head.files),
        lazy,
    }
}
