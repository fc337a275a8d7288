//! What keeps a layer from loading lazily.

use super::case::{Case, Prospect};
use super::findings::Findings;
use super::remedy::of_reason;
use super::report::{Kind, Place};
use crate::commands::index::report::LayerOutcome;
use crate::commands::inspect::{Eager, Layer};
use crate::layer::eager::{EagerCause, EagerReason};
use crate::oci::media_type::{is_encrypted, is_zstd};

/// Examines a layer. `all_small` says that its image has small layers only: then what will be in their way once
/// the minimum is lowered is said as well.
pub(super) fn examine(
    case: &Case<'_>,
    layer: &Layer,
    (prospect, all_small): (Prospect, bool),
    place: Place,
    findings: &mut Findings,
) {
    match prospect {
        Prospect::Lazy => {}
        Prospect::Small if !all_small => {}
        Prospect::Small | Prospect::Eager => {
            if let Some(reason) = reason(case, layer) {
                stays_eager(layer, &reason, place, findings);
            }
        }
        Prospect::Possible => {
            let (kind, sentence) = match layer.eager {
                Some(Eager::BadZtoc) => (Kind::BadZtoc, "its zTOC cannot be used"),
                Some(Eager::NoZtoc | Eager::Small) => {
                    (Kind::NoZtoc, "it has no zTOC, and one could be made")
                }
                // Said of the image.
                _ => return,
            };
            findings.add(kind, place, sentence, case.commands.index(""));
        }
    }
}

/// Why it would stay eager; none when that is not known, as when the layout cannot be indexed.
fn reason(case: &Case<'_>, layer: &Layer) -> Option<EagerReason> {
    let planned = case.planned.as_ref();
    let report = planned.and_then(|planned| planned.layer(&layer.digest));
    if let Some(LayerOutcome::Skipped(reason)) = report.map(|report| &report.outcome) {
        return Some(reason.clone());
    }
    if let Some(doubt) = planned.and_then(|planned| planned.doubt(&layer.digest)) {
        return Some(doubt.clone());
    }
    match &layer.eager {
        Some(Eager::Unsupported { reason }) => {
            Some(EagerReason { cause: EagerCause::MediaType, text: reason.clone() })
        }
        _ => None,
    }
}

fn stays_eager(layer: &Layer, reason: &EagerReason, place: Place, findings: &mut Findings) {
    let kind = match reason.cause {
        _ if is_encrypted(&layer.media_type) => Kind::EncryptedLayer,
        EagerCause::MediaType if is_zstd(&layer.media_type) => Kind::ZstdLayer,
        EagerCause::MediaType | EagerCause::Mislabelled => Kind::UnsupportedLayer,
        _ => Kind::EagerLayer,
    };
    let remedy = of_reason(&layer.media_type, reason)
        .unwrap_or("none is known: this layer is pulled whole, the others load lazily");
    findings.add(kind, place, reason.text.clone(), remedy);
}
