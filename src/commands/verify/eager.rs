//! The layers that are pulled whole before their image starts, each with its reason. None of them is a fault.

use super::finding::EagerLayer;
use super::layer::Compared;
use super::workload::Workload;
use crate::commands::index::options::DEFAULT_MIN_LAYER_SIZE;
use crate::commands::share::Share;
use crate::layer::eager::{EagerCause, EagerReason};

/// Says of each image which of its layers are eager and why, and what a read of the others fetches at most.
pub(super) fn tell(workload: &mut Workload<'_>, compared: &Compared) {
    for ((image, stack), positions) in
        workload.images.iter_mut().zip(&workload.stacks).zip(&workload.positions)
    {
        let lazy = || stack.layers.iter().filter(|layer| layer.ztoc.is_some());
        let smallest = lazy().map(|layer| layer.size).min();
        let no_index = image.soci_indexes.is_empty();
        for (number, (layer, at)) in (1..).zip(stack.layers.iter().zip(positions)) {
            if layer.ztoc.is_some() {
                continue;
            }
            let known = compared.eager.get(at).cloned();
            let reason = known.unwrap_or_else(|| without_ztoc(no_index, layer.size, smallest));
            let (digest, size) = (layer.digest, layer.size);
            image.eager.push(EagerLayer { number, digest, size, reason });
        }
        let sizes = stack.layers.iter().map(|layer| (layer.size, layer.ztoc.is_some()));
        image.lazy = Share::of(sizes);
        let spans = lazy().filter_map(|layer| compared.largest.get(&layer.ztoc?.0));
        image.largest_span = spans.copied().max();
    }
}

/// Why a layer that could be lazy is not. `smallest` is the size of the image's smallest layer that is.
fn without_ztoc(no_index: bool, size: u64, smallest: Option<u64>) -> EagerReason {
    let small = size < DEFAULT_MIN_LAYER_SIZE && smallest.is_none_or(|other| size < other);
    let (cause, text) = if no_index {
        (EagerCause::NoIndex, "its image has no SOCI index")
    } else if small {
        (EagerCause::Small, "it is smaller than what is indexed by default")
    } else {
        (EagerCause::NoZtoc, "it has no zTOC, which could be made")
    };
    EagerReason::new(cause, text)
}
