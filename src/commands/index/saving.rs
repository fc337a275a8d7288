//! Whether being lazy is right for a layer that has a zTOC, and pays.
//!
//! Before a container starts, its layer's zTOC is fetched whole; to read one place of the layer, a whole span is. When
//! the two together are hardly smaller than the layer, as with a zTOC of much content in few bytes or with a span that
//! is most of the layer, the layer is lazy in name only: pulling it is no slower, and needs no requests later.
//!
//! Layers with little content are not judged. They are one span or a few, whatever they hold, and are only indexed when
//! somebody asks for layers below the usual minimum size.

use super::options::{DEFAULT_MIN_LAYER_SIZE, Options};
use super::report::ZtocReport;
use crate::layer::eager::{EagerCause, EagerReason};

/// Uncompressed bytes from which on a layer is judged.
const JUDGED_FROM: u64 = DEFAULT_MIN_LAYER_SIZE;

/// Why a layer of `size` bytes is left eager although it has this zTOC.
pub(super) fn why_eager(size: u64, ztoc: &ZtocReport, options: &Options) -> Option<EagerReason> {
    match &ztoc.unlike_unpacked {
        Some(difference) if !options.accept_unlike_unpacked => {
            Some(EagerReason::new(EagerCause::UnlikeUnpacked, difference))
        }
        _ => too_little(size, ztoc, options.min_saving),
    }
}

/// Why a zTOC does not pay: it saves less than `min_saving` percent of a layer of `size` bytes.
fn too_little(size: u64, ztoc: &ZtocReport, min_saving: u8) -> Option<EagerReason> {
    let (cost, span) = (ztoc.ztoc_size, ztoc.largest_span);
    if min_saving == 0 || ztoc.uncompressed_size < JUDGED_FROM {
        return None;
    }
    let fetched = u128::from(cost) + u128::from(span);
    let allowed = u128::from(size) * u128::from(100_u8.saturating_sub(min_saving)) / 100;
    (fetched > allowed).then(|| {
        EagerReason::new(
            EagerCause::NoSaving,
            format!(
                "it would be lazy in name only: reading one file can fetch {fetched} bytes (zTOC {cost}, largest span \
                 {span}), the whole layer has {size}; less than {min_saving} % saved"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::Digest;

    const MIB: u64 = 1 << 20;

    #[test]
    fn saved_bytes_are_held_against_the_layer() {
        let judge = |size, ztoc_size, largest_span, uncompressed_size, min_saving| {
            let (ztoc, spans, files) = (Digest::of(b""), 1, 1);
            let ztoc = ZtocReport {
                ztoc,
                ztoc_size,
                spans,
                files,
                uncompressed_size,
                largest_span,
                unlike_unpacked: None,
            };
            too_little(size, &ztoc, min_saving).is_some()
        };
        for (size, ztoc, span, content, min_saving, eager) in [
            // An ordinary layer; zeros; one block.
            (40 * MIB, MIB, 2 * MIB, 120 * MIB, 10, false),
            (61_243, 500_000, 4_000, 60 * MIB, 10, true),
            (160 * MIB, 33_000, 160 * MIB, 160 * MIB, 10, true),
            // The rule is off, or there is little content.
            (61_243, 500_000, 4_000, 60 * MIB, 0, false),
            (100, 33_000, 100, 10 * MIB - 1, 10, false),
            (100, 33_000, 100, 10 * MIB, 10, true),
            // On either side of the limit.
            (100 * MIB, 45 * MIB, 45 * MIB, 200 * MIB, 10, false),
            (100 * MIB, 45 * MIB, 45 * MIB + 1, 200 * MIB, 10, true),
            (u64::MAX, u64::MAX, u64::MAX, u64::MAX, 1, true),
        ] {
            assert_eq!(judge(size, ztoc, span, content, min_saving), eager, "{size} {ztoc} {span}");
        }
    }
}
