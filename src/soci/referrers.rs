//! The lists of the referrers tag schema: entries `sha256-<hex>` of `index.json` (`push-interop` 2,
//! "T"; OCI distribution specification, "Referrers tag schema").
//!
//! A registry without the referrers API finds a V1 index through such a list, so it must name
//! everything that refers to the image: pushing it replaces the registry's list.

use std::collections::{BTreeSet, HashMap};

use super::index::{ManifestRef, artifact_type, descriptor_text, strings};
use super::{BUILD_TOOL, IMAGE_MANIFEST_DIGEST};
use crate::error::Error;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Artifact, Content, Node, REF_NAME, Tree};
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, DESCRIPTOR, INDEX};
use crate::oci::json::edit::{Edit, set_member};
use crate::oci::json::string;
use crate::oci::media_type::OCI_INDEX;
use crate::oci::soci_version::IndexVersion;
use crate::soci::bind::Rewriter;
use crate::soci::descriptors::{as_listed, index_of, point_at};
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
            let list = rewriter.put(OCI_INDEX, list);
            let name = strings([(REF_NAME, format!("sha256-{}", subject.hex()))]);
            appended.push(descriptor_text(&list, &[("annotations", &name)]));
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
    for (descriptor, image) in tree.nodes().filter_map(Node::image) {
        let rewritten = rewriter.new_image(&descriptor.digest).is_some();
        if rewritten { &mut gone } else { &mut kept }.extend(image.soci_v2.as_deref());
    }
    for (root, edit) in tree.roots.iter().zip(edits) {
        let Some((descriptor, soci)) = root.soci() else { continue };
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
    let is_list = |root: &&Node| matches!(root.content, Content::Referrers { .. });
    let nodes = tree.roots.iter().filter(|root| !is_list(root)).flat_map(Node::nodes);
    nodes.filter_map(Node::known).map(|descriptor| descriptor.digest).collect()
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
            for node in root.nodes() {
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
            }
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
            let (tool, kind) = (strings([(BUILD_TOOL, tool)]), artifact_type(IndexVersion::V1));
            let more = [("annotations", tool.as_str()), ("artifactType", &string(kind))];
            out.push(descriptor_text(soci, &more));
            seen.insert(soci.digest);
        }
        for node in listed {
            if !is_v1(node) && node.known().is_none_or(|d| seen.insert(d.digest)) {
                out.push(node.text().to_owned());
            }
        }
        let of = |subject: &Digest| self.artifacts.get(subject).map_or(&[][..], Vec::as_slice);
        let mut found: Vec<(usize, ManifestRef, &Artifact)> = Vec::new();
        for &(number, descriptor, artifact) in old_digests.iter().flat_map(of) {
            if let Some(moved) = rewriter.attestations.get(&descriptor.digest) {
                found.push((number, moved.clone(), artifact));
            }
        }
        for &(number, descriptor, artifact) in of(&image.manifest.digest) {
            if !rewriter.attestations.contains_key(&descriptor.digest) {
                found.push((number, as_listed(descriptor), artifact));
            }
        }
        found.sort_unstable_by_key(|(number, ..)| *number);
        for (_, manifest, artifact) in found {
            if seen.insert(manifest.digest) {
                out.push(referrer(&manifest, artifact)?);
            }
        }
        Ok(out)
    }
}

fn is_v1(node: &Node) -> bool {
    node.soci().is_some_and(|(_, soci)| soci.version == IndexVersion::V1)
}

/// A referrer's descriptor as the referrers API gives it.
fn referrer(manifest: &ManifestRef, artifact: &Artifact) -> Result<String, Error> {
    let annotations = strings(&artifact.annotations);
    let more = [("annotations", annotations.as_str()), ("artifactType", &string(&artifact.kind))];
    let text = descriptor_text(manifest, &more);
    canonical::encode(&text, &DESCRIPTOR).map_err(Error::json("a referrer's descriptor"))
}

/// The root of the list `text` with new entries; Kept when it is the same.
fn relist(
    rewriter: &mut Rewriter<'_>,
    root: &Descriptor,
    text: &str,
    entries: &[String],
) -> Result<Edit, Error> {
    let list = set_member(text, "manifests", &format!("[{}]", entries.join(",")))
        .and_then(|text| canonical::encode(&text, &INDEX))
        .map_err(Error::json(format!("blob {}", root.digest)))?;
    let target = rewriter.put(&root.media_type, list);
    if target.digest == root.digest {
        return Ok(Edit::Keep);
    }
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
    if !children.iter().any(is_v1) {
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
    relist(rewriter, root, text, &entries)
}
