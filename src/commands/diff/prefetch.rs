//! Prefetch artifacts on both sides: which spans of a layer are fetched ahead.

use super::contrast::Both;
use super::report::{Contrast, LayerDifference};
use super::side::Side;
use crate::commands::inspect::Image;
use crate::oci::digest::Digest;

impl Both<'_> {
    /// Adds to each layer how its prefetch artifacts differ.
    pub(super) fn prefetch(
        &self,
        layers: &mut [LayerDifference],
        a: Option<&Image>,
        b: Option<&Image>,
    ) {
        let (Some(a), Some(b)) = (a, b) else { return };
        for layer in layers {
            let (Some(of_a), Some(of_b)) = (&layer.a, &layer.b) else { continue };
            let (a, b) = (self.a.prefetched(a, of_a.digest), self.b.prefetched(b, of_b.digest));
            if a != b {
                layer.contrasts.push(Contrast { place: "prefetch".to_owned(), a, b });
            }
        }
    }
}

impl Side {
    /// The spans of the artifact that a reader takes: the first one in the first SOCI index.
    fn prefetched(&self, image: &Image, layer: Digest) -> String {
        let index = image.soci_indexes.first().and_then(|digest| self.soci_indexes.get(digest));
        let mut artifacts = index.into_iter().flat_map(|at| &self.found.soci_indexes[*at].prefetch);
        let Some(artifact) = artifacts.find(|artifact| artifact.layer == Some(layer)) else {
            return "nothing".to_owned();
        };
        if artifact.problem.is_some() {
            return format!("{} (cannot be used)", artifact.digest);
        }
        let range = |(first, last): &(u64, u64)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        let ranges: Vec<String> = artifact.spans.iter().map(range).collect();
        format!("spans {}", ranges.join(", "))
    }
}
