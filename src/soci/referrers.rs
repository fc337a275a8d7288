//! The lists of the referrers tag schema: entries `sha256-<hex>` of `index.json` (`push-interop` 2,
//! "T"; OCI distribution specification, "Referrers tag schema").
//!
//! A registry without the referrers API finds a V1 index through such a list, so it must name
//! everything that refers to the image: pushing it replaces the registry's list.

use std::collections::{BTreeMap, BTreeSet};

use super::BUILD_TOOL;
use super::index::{ManifestRef, artifact_type, write_head, write_pair};
use crate::error::Error;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Artifact, Content, Node, REF_NAME, Tree};
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, DESCRIPTOR, INDEX};
use crate::oci::json::edit::set_member;
use crate::oci::json::write_string;
use crate::oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use crate::oci::soci_version::IndexVersion;
use crate::soci::bind::{NewImage, Rewriter, V1Index, index_of, point_at};

/// Brings the lists of all rewritten images up to date: changes `replacements` (texts of the roots by
/// position, an empty text removes one) and returns the entries to be appended.
pub(super) fn update(
    rewriter: &mut Rewriter<'_>,
    tree: &Tree,
    replacements: &mut [Option<String>],
) -> Result<Vec<String>, Error> {
    let mut appended = Vec::new();
    drop_bare_entries(&rewriter.images, tree, replacements);
    let elsewhere = digests_outside_lists(tree);
    let images = rewriter.images.clone();
    let (lists, artifacts) = (lists(tree), Artifacts::of(tree));
    for image in &images {
        let wanted = image.tagged_v1().map(|_| image.manifest.digest);
        let mut listed = false;
        let subjects = BTreeSet::from([image.before, image.manifest.digest]);
        let positions = subjects.iter().filter_map(|subject| lists.get(subject)).flatten();
        for (position, root) in positions.map(|position| (*position, &tree.roots[*position])) {
            let Content::Referrers { subject, text, children } = &root.content else { continue };
            let Some(descriptor) = root.known() else { continue };
            if wanted == Some(*subject) {
                listed = true;
                let entries = entries(rewriter, &artifacts, image, children)?;
                replacements[position] = relist(rewriter, descriptor, text, &entries)?;
            } else {
                replacements[position] =
                    without_soci(rewriter, descriptor, text, children, &elsewhere)?;
            }
        }
        if let (Some(subject), false) = (wanted, listed) {
            let list = index_of(&entries(rewriter, &artifacts, image, &[])?)
                .map_err(Error::json("a list"))?;
            let (digest, size) = rewriter.put(list);
            let mut text = String::new();
            write_head(&mut text, OCI_INDEX, &digest, size);
            text.push_str(",\"annotations\":{");
            write_pair(&mut text, REF_NAME, &format!("sha256-{}", subject.hex()));
            text.push_str("}}");
            appended.push(text);
        }
    }
    Ok(appended)
}

/// Positions of the lists by the manifests whose referrers they list.
fn lists(tree: &Tree) -> BTreeMap<Digest, Vec<usize>> {
    let mut found: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
    for (position, root) in tree.roots.iter().enumerate() {
        if let Content::Referrers { subject, .. } = &root.content {
            found.entry(*subject).or_default().push(position);
        }
    }
    found
}

/// Older V1 indexes of the images that hang in `index.json` itself, without a name (`oras attach`).
fn drop_bare_entries(images: &[NewImage], tree: &Tree, replacements: &mut [Option<String>]) {
    let before: BTreeSet<Digest> = images.iter().map(|image| image.before).collect();
    for (position, root) in tree.roots.iter().enumerate() {
        if let (Content::Soci(soci), Some(descriptor)) = (&root.content, root.known())
            && soci.subject.is_some_and(|subject| before.contains(&subject))
            && descriptor.names().next().is_none()
        {
            replacements[position] = Some(String::new());
        }
    }
}

fn digests_outside_lists(tree: &Tree) -> BTreeSet<Digest> {
    let mut found = BTreeSet::new();
    for root in &tree.roots {
        if !matches!(root.content, Content::Referrers { .. }) {
            root.visit(&mut |node| found.extend(node.known().map(|d| d.digest)));
        }
    }
    found
}

/// The list's descriptors: the SOCI index, what the list had besides, and what else in the layout
/// refers to the image.
fn entries(
    rewriter: &Rewriter<'_>,
    artifacts: &Artifacts<'_>,
    image: &NewImage,
    listed: &[Node],
) -> Result<Vec<String>, Error> {
    let mut out = Vec::new();
    let mut seen = BTreeSet::new();
    if let Some(V1Index { blob: soci, tool, .. }) = image.tagged_v1() {
        let mut text = String::new();
        write_head(&mut text, OCI_MANIFEST, &soci.digest, soci.size);
        text.push_str(",\"annotations\":{");
        write_pair(&mut text, BUILD_TOOL, tool);
        text.push_str("},\"artifactType\":");
        write_string(&mut text, artifact_type(IndexVersion::V1));
        text.push('}');
        out.push(text);
        seen.insert(soci.digest);
    }
    for node in listed {
        let soci = matches!(&node.content, Content::Soci(soci) if soci.version == IndexVersion::V1);
        if !soci && node.known().is_none_or(|d| seen.insert(d.digest)) {
            out.push(node.text().to_owned());
        }
    }
    for (descriptor, artifact) in artifacts.of_subjects([image.before, image.manifest.digest]) {
        let moved = rewriter.attestations.get(&descriptor.digest);
        let subject = match moved {
            Some(_) => Some(image.before),
            None => Some(image.manifest.digest),
        };
        if artifact.subject != subject {
            continue;
        }
        let (digest, size) = moved.copied().unwrap_or((descriptor.digest, descriptor.size));
        if seen.insert(digest) {
            out.push(referrer(descriptor, digest, size, artifact)?);
        }
    }
    Ok(out)
}

/// What refers to a manifest, by that manifest, with its place in the order of the tree.
struct Artifacts<'a>(BTreeMap<Digest, Vec<(usize, &'a Descriptor, &'a Artifact)>>);

impl<'a> Artifacts<'a> {
    fn of(tree: &'a Tree) -> Self {
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut place = 0;
        for root in &tree.roots {
            root.visit(&mut |node| {
                let artifact = match &node.content {
                    Content::Artifact(artifact) => Some(artifact),
                    Content::Attestation { manifest } => manifest.as_ref(),
                    _ => None,
                };
                if let Some((descriptor, artifact)) = node.known().zip(artifact)
                    && let Some(subject) = artifact.subject
                {
                    found.entry(subject).or_default().push((place, descriptor, artifact));
                    place += 1;
                }
            });
        }
        Self(found)
    }

    /// Those of these manifests, in the order of the tree.
    fn of_subjects(&self, subjects: [Digest; 2]) -> Vec<(&'a Descriptor, &'a Artifact)> {
        let subjects = BTreeSet::from(subjects);
        let found = subjects.iter().filter_map(|subject| self.0.get(subject)).flatten();
        let mut found: Vec<_> = found.copied().collect();
        found.sort_unstable_by_key(|(place, ..)| *place);
        found.into_iter().map(|(_, descriptor, artifact)| (descriptor, artifact)).collect()
    }
}

/// A referrer's descriptor as the referrers API gives it.
fn referrer(
    descriptor: &Descriptor,
    digest: Digest,
    size: u64,
    artifact: &Artifact,
) -> Result<String, Error> {
    let mut text = String::new();
    write_head(&mut text, &descriptor.media_type, &digest, size);
    text.push_str(",\"annotations\":{");
    for (position, (name, value)) in artifact.annotations.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        write_pair(&mut text, name, value);
    }
    text.push_str("},\"artifactType\":");
    write_string(&mut text, &artifact.kind);
    text.push('}');
    canonical::encode(&text, &DESCRIPTOR).map_err(Error::json("a referrer's descriptor"))
}

/// The list `text` with other entries.
fn listing(root: &Descriptor, text: &str, entries: &[String]) -> Result<String, Error> {
    set_member(text, "manifests", &format!("[{}]", entries.join(",")))
        .and_then(|text| canonical::encode(&text, &INDEX))
        .map_err(Error::json(format!("blob {}", root.digest)))
}

/// The root of a list with new entries; `None` when it stays.
fn relist(
    rewriter: &mut Rewriter<'_>,
    root: &Descriptor,
    text: &str,
    entries: &[String],
) -> Result<Option<String>, Error> {
    lead_to(rewriter, root, listing(root, text, entries)?)
}

/// The root led to this list; `None` when it stays.
fn lead_to(
    rewriter: &mut Rewriter<'_>,
    root: &Descriptor,
    list: String,
) -> Result<Option<String>, Error> {
    let (digest, size) = rewriter.put(list);
    if digest == root.digest {
        return Ok(None);
    }
    let target = ManifestRef { media_type: root.media_type.clone(), digest, size };
    point_at(&root.text, &target).map(Some).map_err(Error::json("index.json"))
}

/// A list whose V1 index is superseded: without it, or gone when the rest is in the layout anyway.
fn without_soci(
    rewriter: &mut Rewriter<'_>,
    root: &Descriptor,
    text: &str,
    children: &[Node],
    elsewhere: &BTreeSet<Digest>,
) -> Result<Option<String>, Error> {
    let is_v1 = |node: &&Node| matches!(&node.content, Content::Soci(soci) if soci.version == IndexVersion::V1);
    if !children.iter().any(|node| is_v1(&node)) {
        return Ok(None);
    }
    let rest: Vec<&Node> = children.iter().filter(|node| !is_v1(node)).collect();
    let entries: Vec<String> = rest.iter().map(|node| node.text().to_owned()).collect();
    let all_elsewhere =
        rest.iter().all(|node| node.known().is_some_and(|d| elsewhere.contains(&d.digest)));
    let list = listing(root, text, &entries)?;
    match rewriter.superseded_index(&list)? {
        Some(first) => lead_to(rewriter, root, first),
        None if all_elsewhere => Ok(Some(String::new())),
        None => lead_to(rewriter, root, list),
    }
}
