//! The tree of entries, for those who look at it.

use std::collections::HashSet;

use super::blobs::Broken;
use super::report::{Content, Entry, Problem};
use crate::layout::descriptor::{AnyDescriptor, Object};
use crate::layout::tree::{
    Artifact, Content as Found, IMAGE_NAME, Node, REF_NAME, REFERENCE_DIGEST,
};
use crate::oci::digest::Digest;

/// Annotation of an attestation's layer: what kind of statement it is (in-toto, `BuildKit`).
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// The entries below `roots`; of images only those in `wanted`, if that is given, and what belongs to them.
pub(super) fn entries(
    roots: &[&Node],
    wanted: Option<&HashSet<Digest>>,
    broken: &mut Broken,
) -> Vec<Entry> {
    let images = roots.iter().flat_map(|root| root.nodes()).filter_map(Node::image);
    let images = images.map(|(descriptor, _)| descriptor.digest).collect();
    let mut walk = Walk { images, wanted, broken };
    roots.iter().filter_map(|root| walk.entry(root, None)).collect()
}

struct Walk<'a> {
    /// All images of the roots.
    images: HashSet<Digest>,
    wanted: Option<&'a HashSet<Digest>>,
    broken: &'a mut Broken,
}

impl Walk<'_> {
    fn entry(&mut self, node: &Node, parent: Option<Digest>) -> Option<Entry> {
        let content = self.content(node, parent)?;
        let (mut names, digest, media_type, size): (Vec<String>, _, _, _) = match &node.descriptor {
            AnyDescriptor::Known(descriptor) => {
                let names = descriptor.names().map(str::to_owned).collect();
                let digest = descriptor.digest.to_string();
                (names, digest, descriptor.media_type.clone(), descriptor.size)
            }
            AnyDescriptor::Foreign { text, digest } => {
                let object = Object::read(text, "an entry").ok();
                let object = object.as_ref();
                let annotations = object.and_then(|object| object.strings("annotations").ok());
                let name = |key: &&str| annotations.as_ref()?.get(*key).cloned();
                let names = [REF_NAME, IMAGE_NAME].iter().filter_map(name).collect();
                let media_type = object.and_then(|object| object.text("mediaType").ok());
                let size = object.and_then(|object| object.get("size").ok().flatten());
                let media_type = media_type.unwrap_or_default();
                (names, digest.clone(), media_type, size.unwrap_or_default())
            }
        };
        names.dedup();
        if parent.is_some() {
            names.clear();
        }
        Some(Entry { names, digest, media_type, size, content })
    }

    fn entries(&mut self, children: &[Node], parent: &Node) -> Vec<Entry> {
        let parent = parent.known().map(|descriptor| descriptor.digest);
        children.iter().filter_map(|child| self.entry(child, parent)).collect()
    }

    fn wants(&self, image: Option<Digest>) -> bool {
        self.wanted.is_none_or(|wanted| image.is_some_and(|digest| wanted.contains(&digest)))
    }

    /// `None` for what was not asked for.
    fn content(&mut self, node: &Node, parent: Option<Digest>) -> Option<Content> {
        let own = node.known().map(|descriptor| descriptor.digest);
        Some(match &node.content {
            Found::Index { children, .. } => {
                let entries = self.entries(children, node);
                if entries.is_empty() && self.wanted.is_some() {
                    return None;
                }
                Content::Index { entries }
            }
            Found::Image(image) => {
                if !self.wants(own) {
                    return None;
                }
                let platform = super::image::platform(image);
                Content::Image { platform }
            }
            // Those of other images are left out of the list of SOCI indexes.
            Found::Soci(_) => Content::SociIndex,
            Found::Attestation { manifest } => {
                let named = node.known().and_then(|d| d.annotations.get(REFERENCE_DIGEST));
                let image = named.and_then(|text| text.parse::<Digest>().ok());
                if !self.wants(image) {
                    return None;
                }
                if let (None, Some(descriptor)) = (manifest, node.known()) {
                    let problem = Problem::Missing;
                    self.broken.add(descriptor, "attestation manifest", parent, problem);
                }
                Content::Attestation {
                    image: named.cloned(),
                    belongs: image.is_some_and(|digest| self.images.contains(&digest)),
                    present: manifest.is_some(),
                    statements: manifest.as_ref().map(statements).unwrap_or_default(),
                }
            }
            Found::Referrers { subject, children, .. } => {
                if !self.wants(Some(*subject)) {
                    return None;
                }
                let entries = self.entries(children, node);
                Content::Referrers { subject: *subject, entries }
            }
            _ if self.wanted.is_some() && !matches!(node.content, Found::Artifact(_)) => {
                return None;
            }
            Found::Artifact(artifact) => {
                if self.wanted.is_some() && !self.wants(artifact.subject) {
                    return None;
                }
                Content::Artifact {
                    artifact_type: artifact.kind.clone(),
                    subject: artifact.subject,
                }
            }
            Found::Other => Content::Other,
            Found::Missing => {
                if let Some(descriptor) = node.known() {
                    self.broken.add(descriptor, "manifest", parent, Problem::Missing);
                }
                let platform = node.known().and_then(|descriptor| descriptor.platform.as_ref());
                Content::Missing { platform: platform.map(ToString::to_string) }
            }
            Found::Unreadable { problem } => {
                if let Some(descriptor) = node.known() {
                    self.broken.add(descriptor, "document", parent, Problem::unusable(problem));
                }
                Content::Unreadable { problem: problem.clone() }
            }
        })
    }
}

fn statements(manifest: &Artifact) -> Vec<String> {
    let manifest = Object::read(&manifest.text, "an attestation");
    let layers = manifest.and_then(|manifest| manifest.objects("layers")).unwrap_or_default();
    let kind = |layer: &Object<'_>| {
        let known = layer.strings("annotations").ok()?.remove(PREDICATE_TYPE);
        known.or_else(|| layer.text("mediaType").ok())
    };
    layers.iter().map(|layer| kind(layer).unwrap_or_default()).collect()
}
