//! Signatures, SBOMs and other artifacts that name an image by its digest.

use std::collections::HashSet;

use super::case::Case;
use super::entries::visit;
use super::findings::Findings;
use super::remedy::KEEP_DIGESTS;
use super::report::{Kind, Place};
use crate::commands::index::attached::tagged_subject;
use crate::commands::inspect::{Content, Image, SociVersion};
use crate::oci::digest::Digest;

/// Examines them.
pub(super) fn examine(case: &Case<'_>, findings: &mut Findings) {
    stays_behind(case, findings);
    lost(case, findings);
}

/// Those that an indexing run would leave behind. One that is attached to an indexed image was attached later.
fn stays_behind(case: &Case<'_>, findings: &mut Findings) {
    let Some(planned) = &case.planned else { return };
    let changing = changing(case);
    let changes =
        |subject: Option<Digest>| subject.map_or(!changing.is_empty(), |s| changing.contains(&s));
    let attached = planned.estimate.plan.stays_behind.iter();
    for attached in attached.filter(|attached| changes(attached.subject)) {
        let place =
            Place { image: attached.subject, blob: Some(attached.digest), ..Place::default() };
        let what = &attached.what;
        let sentence =
            format!("{what} is attached to an image by its digest, which a V2 index changes");
        findings.add(Kind::AttachmentStaysBehind, place, sentence, KEEP_DIGESTS);
    }
}

/// Images that have no V2 index yet, and the entries of `index.json` above them.
fn changing(case: &Case<'_>) -> HashSet<Digest> {
    let inspection = case.inspection;
    let v2: HashSet<Digest> = inspection
        .soci_indexes
        .iter()
        .filter(|soci| soci.soci_version == SociVersion::V2)
        .map(|soci| soci.digest)
        .collect();
    let without = |image: &&Image| !image.soci_indexes.iter().any(|soci| v2.contains(soci));
    let mut found: HashSet<Digest> =
        inspection.images.iter().filter(without).map(|image| image.digest).collect();
    let mut roots = Vec::new();
    visit(&inspection.roots, &mut |root, entry| {
        if entry.digest.parse().is_ok_and(|digest| found.contains(&digest)) {
            roots.extend(root.digest.parse::<Digest>().ok());
        }
    });
    found.extend(roots);
    found
}

/// Those whose image is not in the layout, as after an indexing run that left them behind.
fn lost(case: &Case<'_>, findings: &mut Findings) {
    let roots = &case.inspection.roots;
    let mut known = HashSet::new();
    visit(roots, &mut |_, entry| known.extend(entry.digest.parse::<Digest>().ok()));
    visit(roots, &mut |_, entry| {
        let (what, subject) = match &entry.content {
            Content::Artifact { artifact_type, subject: Some(subject) } => {
                (artifact_type, Some(*subject))
            }
            _ => match entry.names.first() {
                Some(tag) => (tag, tagged_subject(tag)),
                None => return,
            },
        };
        if let Some(subject) = subject.filter(|subject| !known.contains(subject)) {
            let place =
                Place { image: Some(subject), blob: entry.digest.parse().ok(), ..Place::default() };
            let sentence = format!(
                "{what} is attached to an image that is not in this layout, or has another digest now"
            );
            let remedy = "sign or attach anew, to the digest that `soci-layout index` prints";
            findings.add(Kind::AttachmentLost, place, sentence, remedy);
        }
    });
}
