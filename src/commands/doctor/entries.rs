//! What is wrong with the entries of `index.json` and of the indexes below it, and with blobs.

use std::collections::HashSet;

use super::case::Case;
use super::findings::Findings;
use super::remedy::PLATFORMS;
use super::report::{Kind, Place, Target};
use crate::commands::inspect::{Content, Entry, Problem};
use crate::oci::digest::Digest;
use crate::oci::media_type::DOCKER_MANIFEST;

/// What Fargate and the nodes of EKS have.
const USABLE: [&str; 3] = ["linux/amd64", "linux/arm64", "linux/arm64/v8"];

/// Calls `visit` for each entry, with the entry of `index.json` above it.
pub(super) fn visit<'a>(roots: &'a [Entry], visit: &mut dyn FnMut(&'a Entry, &'a Entry)) {
    fn below<'a>(root: &'a Entry, entry: &'a Entry, visit: &mut dyn FnMut(&'a Entry, &'a Entry)) {
        visit(root, entry);
        if let Content::Index { entries } | Content::Referrers { entries, .. } = &entry.content {
            for entry in entries {
                below(root, entry, visit);
            }
        }
    }
    for root in roots {
        below(root, root, visit);
    }
}

/// Digests of the images whose descriptors say that their manifests are Docker's.
pub(super) fn docker_manifests(roots: &[Entry]) -> HashSet<Digest> {
    let mut found = HashSet::new();
    visit(roots, &mut |_, entry| {
        if matches!(entry.content, Content::Image { .. }) && entry.media_type == DOCKER_MANIFEST {
            found.extend(entry.digest.parse::<Digest>().ok());
        }
    });
    found
}

/// Examines them.
pub(super) fn examine(case: &Case<'_>, findings: &mut Findings) {
    broken(case, findings);
    missing(case, findings);
    usable(case, findings);
    names(case, findings);
}

/// Blobs without which an image cannot be indexed. What is wrong with zTOCs is said of their layers.
fn broken(case: &Case<'_>, findings: &mut Findings) {
    let blobs = case.inspection.blobs.broken.iter();
    for blob in
        blobs.filter(|blob| ["layer", "configuration", "document"].contains(&blob.role.as_str()))
    {
        let place = Place { blob: Some(blob.digest), ..Place::default() };
        let what = match &blob.problem {
            Problem::Missing | Problem::LeftToOwner => "is not in the layout".to_owned(),
            Problem::Size { found } => format!("has {found} bytes instead of {}", blob.size),
            Problem::Unusable { reason } => format!("cannot be used: {reason}"),
        };
        findings.add(
            Kind::BrokenBlob,
            place,
            format!("this {} {what}", blob.role),
            "export the image anew",
        );
    }
}

fn missing(case: &Case<'_>, findings: &mut Findings) {
    visit(&case.inspection.roots, &mut |root, entry| {
        if let Content::Missing { platform } = &entry.content {
            let place = Place {
                names: root.names.clone(),
                platform: platform.clone(),
                image: entry.digest.parse().ok(),
                ..Place::default()
            };
            let sentence = "its manifest is not in the layout: it cannot be indexed, and tools that push the whole index fail";
            let remedy =
                "export all platforms: `docker buildx build --platform …`, or `skopeo copy --all`";
            findings.add(Kind::MissingPlatform, place, sentence, remedy);
        }
    });
}

fn usable(case: &Case<'_>, findings: &mut Findings) {
    let images = &case.inspection.images;
    let known: Vec<&str> = images.iter().filter_map(|image| image.platform.as_deref()).collect();
    if known.is_empty() || known.iter().any(|platform| USABLE.contains(platform)) {
        return;
    }
    let runtime = match findings.target() {
        Some(Target::Fargate) => "Fargate has",
        _ => "nodes of EKS are",
    };
    let sentence =
        format!("{runtime} linux/amd64 or linux/arm64, and there is an image for neither");
    findings.add(Kind::NoUsablePlatform, Place::default(), sentence, PLATFORMS);
}

/// Entries with an image and without a name. Where `index.json` is itself an image's index, no entry has one.
fn names(case: &Case<'_>, findings: &mut Findings) {
    if case.inspection.image_index {
        return;
    }
    let mut images = Vec::new();
    visit(&case.inspection.roots, &mut |root, entry| {
        let new = images.last().is_none_or(|last: &&Entry| !std::ptr::eq(*last, root));
        if new && matches!(entry.content, Content::Image { .. }) {
            images.push(root);
        }
    });
    for root in images.iter().filter(|root| root.names.is_empty()) {
        let place = Place { blob: root.digest.parse().ok(), ..Place::default() };
        let sentence = "this entry of index.json has no name, by which push tools choose it";
        let remedy = if images.len() == 1 {
            case.commands.index(" --name TAG")
        } else {
            "export it with a name: `docker buildx build --output type=oci,tar=false,dest=DIR --tag NAME`".to_owned()
        };
        findings.add(Kind::NoName, place, sentence, remedy);
    }
}
