//! The lists of the referrers tag schema: entries `sha256-<hex>` of `index.json` (`push-interop` 2,
//! "T"; OCI distribution specification, "Referrers tag schema").
//!
//! A registry without the referrers API finds a V1 index through such a list, so it must name
//! everything that refers to the image: pushing it replaces the registry's list.

use std::collections::{BTreeSet, HashMap};

use super::index::{ManifestRef, artifact_type, write_head, write_pair};
use super::{BUILD_TOOL, IMAGE_MANIFEST_DIGEST};
use crate::error::Error;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Artifact, Content, Node, REF_NAME, Tree};
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, DESCRIPTOR, INDEX};
use crate::oci::json::edit::{Edit, set_member};
use crate::oci::json::write_string;
use crate::oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use crate::oci::soci_version::IndexVersion;
use crate::soci::bind::Rewriter;
use crate::soci::descriptors::{index_of, point_at};
use crate::soci::new_image::{NewImage, V1Index};

/// Brings the lists of all rewritten images up to date: changes the `edits` of the roots and returns the
/// entries to be appended.
pub(super) fn update(
    rewriter: &mut Rewriter<'_>,
    tree: &Tree,
    edits: &mut [Edit],
) -> Result<Vec<String>, Error> {
    let mut appended = Vec::new();
    let elsewhere = digests_outside_lists(tree);
    let images = rewriter.images.clone();
    if !tree.is_image_index() {
        drop_bare_entries(rewriter, tree, edits);
    }
    let referrers = Referrers::find(tree);
    // Several manifests, written in different ways, can become one; it has one list.
    let mut same: HashMap<Digest, Vec<Digest>> = HashMap::new();
    for image in &images {
        same.entry(image.manifest.digest).or_default().push(image.before);
    }
    for image in &images {
        let old_digests = same.get(&image.manifest.digest).map_or(&[][..], Vec::as_slice);
        let is_first = old_digests.first() == Some(&image.before);
        let wanted = image.tagged_v1().map(|_| image.manifest.digest);
        let mut listed = false;
        for &position in referrers.lists_of(image) {
            let root = &tree.roots[position];
            let Content::Referrers { subject, text, children } = &root.content else { continue };
            let Some(descriptor) = root.known() else { continue };
            if wanted == Some(*subject) {
                listed = true;
                let entries = referrers.entries(rewriter, image, old_digests, children)?;
                edits[position] = relist(rewriter, descriptor, text, &entries)?;
            } else {
                let list = (position, descriptor, text.as_str());
                edits[position] = without_soci(rewriter, list, children, &elsewhere)?;
            }
        }
        if let (Some(subject), false, true) = (wanted, listed, is_first) {
            let entries = referrers.entries(rewriter, image, old_digests, &[])?;
            let list = index_of(&entries).map_err(Error::json("a list"))?;
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

/// SOCI indexes of rewritten images that hang in `index.json` itself, without a name (`oras attach`).
fn drop_bare_entries(rewriter: &Rewriter<'_>, tree: &Tree, edits: &mut [Edit]) {
    let bare = |root: &Node| {
        matches!(root.content, Content::Soci(_))
            && root.known().is_some_and(|descriptor| descriptor.names().next().is_none())
    };
    if !tree.roots.iter().any(bare) {
        return;
    }
    // V2 indexes of rewritten images, and of those that stay.
    let (mut gone, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for root in &tree.roots {
        root.visit(&mut |node| {
            if let (Content::Image(image), Some(descriptor)) = (&node.content, node.known()) {
                let rewritten = rewriter.new_image(&descriptor.digest).is_some();
                if rewritten { &mut gone } else { &mut kept }.extend(image.soci_v2.as_deref());
            }
        });
    }
    for (root, edit) in tree.roots.iter().zip(edits) {
        let (Content::Soci(soci), Some(descriptor)) = (&root.content, root.known()) else {
            continue;
        };
        let named = descriptor.annotations.get(IMAGE_MANIFEST_DIGEST);
        let digest = descriptor.digest.to_string();
        let drops = soci.subject.or_else(|| named?.parse().ok()).map_or_else(
            || gone.contains(digest.as_str()) && !kept.contains(digest.as_str()),
            |image| rewriter.new_image(&image).is_some(),
        );
        if drops && bare(root) {
            *edit = Edit::Remove;
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

/// What the layout knows about referrers, by the manifest that they refer to.
struct Referrers<'a> {
    /// Positions of the lists among the roots.
    lists: HashMap<Digest, Vec<usize>>,
    /// Artifacts and attestations, numbered in the order of the tree.
    artifacts: HashMap<Digest, Vec<(usize, &'a Descriptor, &'a Artifact)>>,
}

impl<'a> Referrers<'a> {
    fn find(tree: &'a Tree) -> Self {
        let mut found = Self { lists: HashMap::new(), artifacts: HashMap::new() };
        let mut number = 0;
        for (position, root) in tree.roots.iter().enumerate() {
            if let Content::Referrers { subject, .. } = root.content {
                found.lists.entry(subject).or_default().push(position);
            }
            root.visit(&mut |node| {
                let artifact = match &node.content {
                    Content::Artifact(artifact) => Some(artifact),
                    Content::Attestation { manifest } => manifest.as_ref(),
                    _ => None,
                };
                if let Some((descriptor, artifact)) = node.known().zip(artifact)
                    && let Some(subject) = artifact.subject
                {
                    let list = found.artifacts.entry(subject).or_default();
                    list.push((number, descriptor, artifact));
                    number += 1;
                }
            });
        }
        found
    }

    /// The lists under the manifest that the image had or has.
    fn lists_of(&self, image: &NewImage) -> impl Iterator<Item = &usize> {
        let now = Some(&image.manifest.digest).filter(|now| **now != image.before);
        [Some(&image.before), now]
            .into_iter()
            .flatten()
            .filter_map(|subject| self.lists.get(subject))
            .flatten()
    }

    /// The list's descriptors: the SOCI index, what the list had besides, and what else in the layout
    /// refers to the image.
    fn entries(
        &self,
        rewriter: &Rewriter<'_>,
        image: &NewImage,
        old_digests: &[Digest],
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
            let soci =
                matches!(&node.content, Content::Soci(soci) if soci.version == IndexVersion::V1);
            if !soci && node.known().is_none_or(|d| seen.insert(d.digest)) {
                out.push(node.text().to_owned());
            }
        }
        let of = |subject: &Digest| self.artifacts.get(subject).map_or(&[][..], Vec::as_slice);
        let mut found: Vec<(usize, &Descriptor, &Artifact, (Digest, u64))> = Vec::new();
        for &(number, descriptor, artifact) in old_digests.iter().flat_map(of) {
            if let Some(moved) = rewriter.attestations.get(&descriptor.digest) {
                found.push((number, descriptor, artifact, *moved));
            }
        }
        for &(number, descriptor, artifact) in of(&image.manifest.digest) {
            if !rewriter.attestations.contains_key(&descriptor.digest) {
                let stays = (descriptor.digest, descriptor.size);
                found.push((number, descriptor, artifact, stays));
            }
        }
        found.sort_unstable_by_key(|(number, ..)| *number);
        for (_, descriptor, artifact, (digest, size)) in found {
            if seen.insert(digest) {
                out.push(referrer(descriptor, digest, size, artifact)?);
            }
        }
        Ok(out)
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

/// The root of a list with new entries; Kept when it is the same.
fn relist(
    rewriter: &mut Rewriter<'_>,
    root: &Descriptor,
    text: &str,
    entries: &[String],
) -> Result<Edit, Error> {
    lead_to(rewriter, root, listing(root, text, entries)?)
}

/// The root led to this list; Kept when it is the same.
fn lead_to(rewriter: &mut Rewriter<'_>, root: &Descriptor, list: String) -> Result<Edit, Error> {
    let (digest, size) = rewriter.put(list);
    if digest == root.digest {
        return Ok(Edit::Keep);
    }
    let target = ManifestRef { media_type: root.media_type.clone(), digest, size };
    point_at(&root.text, &target).map(Edit::Replace).map_err(Error::json("index.json"))
}

/// A list whose V1 index is superseded: as it was before, or gone when there was none. Where that is not known,
/// without the index, or gone when the rest is in the layout anyway.
fn without_soci(
    rewriter: &mut Rewriter<'_>,
    (position, root, text): (usize, &Descriptor, &str),
    children: &[Node],
    elsewhere: &BTreeSet<Digest>,
) -> Result<Edit, Error> {
    let is_v1 = |node: &&Node| matches!(&node.content, Content::Soci(soci) if soci.version == IndexVersion::V1);
    if !children.iter().any(|node| is_v1(&node)) {
        return Ok(Edit::Keep);
    }
    if let Some(original) = rewriter.before.originals[position].as_ref().filter(|known| known.exact)
        && (original.text.is_none() || original.node.is_some())
    {
        return Ok(original.text.clone().map_or(Edit::Remove, Edit::Replace));
    }
    let rest: Vec<&Node> = children.iter().filter(|node| !is_v1(node)).collect();
    let entries: Vec<String> = rest.iter().map(|node| node.text().to_owned()).collect();
    let all_elsewhere =
        rest.iter().all(|node| node.known().is_some_and(|d| elsewhere.contains(&d.digest)));
    if all_elsewhere {
        return Ok(Edit::Remove);
    }
    lead_to(rewriter, root, listing(root, text, &entries)?)
}
