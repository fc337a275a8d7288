//! What becomes of a layer, as far as its descriptor and its zTOC say: values in, a decision out.

use std::collections::HashSet;

use super::options::Options;
use super::report::LayerOutcome;
use super::saving;
use crate::error::Error;
use crate::layer::eager::{ABSENT, EagerCause, EagerReason};
use crate::layout::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::media_type::{Compression, LayerKind, layer_kind};

/// What is said of a layer that gets no zTOC because the options say so.
const EXCLUDED: &str = "excluded on request";

/// What is decided of a layer before any of its bytes is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It gets a zTOC if it can have one.
    Index(Compression),
    /// It is below the minimum size.
    Small,
    /// It is left eager.
    Eager(EagerReason),
}

/// Decides by the descriptor; `None` for one that is no layer. `excluded` are the layers that get no zTOC because the
/// options say so, `absent` whether the blob is one that stays with its owner and is not there.
///
/// The order is the reference's: size first, then what can be done.
pub(super) fn by_descriptor(
    layer: &Descriptor,
    excluded: &HashSet<Digest>,
    absent: bool,
    options: &Options,
) -> Option<Decision> {
    let eager = |cause, text| Decision::Eager(EagerReason::new(cause, text));
    Some(match layer_kind(&layer.media_type) {
        LayerKind::NotALayer => return None,
        _ if excluded.contains(&layer.digest) => eager(EagerCause::Excluded, EXCLUDED),
        _ if layer.size < options.min_layer_size => Decision::Small,
        LayerKind::Indexable(_) if absent => eager(EagerCause::Absent, ABSENT),
        LayerKind::Indexable(compression) => Decision::Index(compression),
        LayerKind::Unsupported(reason) => eager(EagerCause::MediaType, reason),
    })
}

/// What becomes of a layer whose zTOC is known: it may be better left eager all the same.
///
/// # Errors
/// [`Error::UnsupportedLayer`] under [`Options::strict`].
pub(super) fn by_ztoc(
    layer: &Descriptor,
    outcome: LayerOutcome,
    options: &Options,
) -> Result<LayerOutcome, Error> {
    let reason = outcome.ztoc().and_then(|ztoc| saving::why_eager(layer.size, ztoc, options));
    reason.map_or(Ok(outcome), |reason| eager(layer.digest, reason, options))
}

/// What becomes of a layer that is left eager.
///
/// # Errors
/// [`Error::UnsupportedLayer`] under [`Options::strict`], unless it is eager because the options say so.
pub(super) fn eager(
    digest: Digest,
    reason: EagerReason,
    options: &Options,
) -> Result<LayerOutcome, Error> {
    if options.strict && reason.cause != EagerCause::Excluded {
        return Err(Error::UnsupportedLayer { digest, reason: reason.text });
    }
    Ok(LayerOutcome::Skipped(reason))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::commands::index::report::{ReusedFrom, ZtocReport};

    const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    const MIB: u64 = 1 << 20;

    fn layer(media_type: &str, size: u64) -> Descriptor {
        Descriptor {
            text: String::new(),
            media_type: media_type.to_owned(),
            digest: Digest::of(b"layer"),
            size,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    #[test]
    fn decisions_by_the_descriptor() {
        let options = Options::default();
        let index = |compression| Some(Decision::Index(compression));
        for (media_type, size, excluded, absent, expected) in [
            (GZIP, 20 * MIB, false, false, index(Compression::Gzip)),
            (
                "application/vnd.oci.image.layer.v1.tar",
                10 * MIB,
                false,
                false,
                index(Compression::None),
            ),
            (GZIP, 10 * MIB - 1, false, false, Some(Decision::Small)),
            // An attestation is never a layer, whatever else is said of it.
            ("application/vnd.in-toto+json", 20 * MIB, true, false, None),
            // Small layers stay small, whether or not they could be indexed or are there.
            ("application/vnd.oci.image.layer.v1.tar+zstd", 5, false, false, Some(Decision::Small)),
            (FOREIGN, 5, false, true, Some(Decision::Small)),
            (FOREIGN, 20 * MIB, false, false, index(Compression::Gzip)),
        ] {
            let excluded = excluded.then(|| Digest::of(b"layer")).into_iter().collect();
            let found = by_descriptor(&layer(media_type, size), &excluded, absent, &options);
            assert_eq!(found, expected, "{media_type} {size}");
        }
        for (media_type, size, excluded, absent, expected) in [
            (
                "application/vnd.oci.image.layer.v1.tar+zstd",
                20 * MIB,
                false,
                false,
                EagerCause::MediaType,
            ),
            (FOREIGN, 20 * MIB, false, true, EagerCause::Absent),
            (GZIP, 5, true, false, EagerCause::Excluded),
            (GZIP, 20 * MIB, true, false, EagerCause::Excluded),
        ] {
            let excluded = excluded.then(|| Digest::of(b"layer")).into_iter().collect();
            let found = by_descriptor(&layer(media_type, size), &excluded, absent, &options);
            let Some(Decision::Eager(reason)) = found else { panic!("{media_type}: {found:?}") };
            assert_eq!(reason.cause, expected, "{media_type}");
        }
    }

    #[test]
    fn decisions_by_the_ztoc() {
        let layer = layer(GZIP, 40 * MIB);
        let ztoc = |largest_span, unlike_unpacked: Option<&str>| ZtocReport {
            ztoc: Digest::of(b"ztoc"),
            ztoc_size: MIB,
            spans: 9,
            files: 9,
            uncompressed_size: 120 * MIB,
            largest_span,
            unlike_unpacked: unlike_unpacked.map(str::to_owned),
        };
        let (usual, mut strict, mut accepting) =
            (Options::default(), Options::default(), Options::default());
        strict.strict = true;
        accepting.accept_unlike_unpacked = true;
        for (ztoc, options, expected) in [
            (ztoc(4 * MIB, None), &usual, Ok(None)),
            (ztoc(40 * MIB, None), &usual, Ok(Some(EagerCause::NoSaving))),
            (ztoc(4 * MIB, Some("x")), &usual, Ok(Some(EagerCause::UnlikeUnpacked))),
            (ztoc(4 * MIB, Some("x")), &accepting, Ok(None)),
            (ztoc(40 * MIB, Some("x")), &accepting, Ok(Some(EagerCause::NoSaving))),
            (ztoc(4 * MIB, None), &strict, Ok(None)),
            (ztoc(40 * MIB, None), &strict, Err(())),
        ] {
            let outcomes = [
                LayerOutcome::Indexed { ztoc: ztoc.clone() },
                LayerOutcome::Reused { ztoc, from: ReusedFrom::Cache },
            ];
            for outcome in outcomes {
                let found = match by_ztoc(&layer, outcome, options) {
                    Ok(LayerOutcome::Skipped(reason)) => Ok(Some(reason.cause)),
                    Ok(_) => Ok(None),
                    Err(Error::UnsupportedLayer { .. }) => Err(()),
                    Err(error) => panic!("{error}"),
                };
                assert_eq!(found, expected);
            }
        }
        let excluded = EagerReason::new(EagerCause::Excluded, EXCLUDED);
        assert!(eager(layer.digest, excluded, &strict).is_ok(), "it was asked for");
    }
}
