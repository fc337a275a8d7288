//! What is to be pushed: the entry of a layout, its documents in order, and their blobs.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::{AnyDescriptor, Descriptor, Object};
use crate::layout::tree::{Content, Node, Tree};
use crate::limits::MAX_MANIFEST_SIZE;
use crate::oci::annotation::IMAGE_MANIFEST_DIGEST;
use crate::oci::digest::Digest;
use crate::oci::media_type::{OCI_INDEX, is_index, is_manifest, is_nondistributable};

/// A manifest or index.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) text: String,
    /// What it refers to.
    pub(super) subject: Option<Digest>,
    /// Smaller ones are pushed first.
    rank: usize,
}

/// A blob.
#[derive(Debug)]
pub(super) struct BlobToPush {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// What it is, for people.
    pub(super) what: &'static str,
    /// Repositories of registries that are said to have it: `HOST` and the repository.
    pub(super) sources: Vec<(String, String)>,
}

/// All that is to be pushed.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// In the order in which they are pushed. The last is what the tag leads to.
    pub(super) documents: Vec<Document>,
    pub(super) blobs: Vec<BlobToPush>,
    /// The name by which the entry is known.
    pub(super) names: Vec<String>,
}

/// What containerd notes about where it pulled a layer from; the host is behind it.
const DISTRIBUTION_SOURCE: &str = "containerd.io/distribution.source.";

impl Load {
    /// What the entry named `name` leads to, or the only one there is, and what refers to that.
    ///
    /// # Errors
    /// [`Error::NoSuchRef`], [`Error::SeveralNames`], [`Error::BlobMissing`], and what makes documents unreadable.
    pub(super) fn collect(layout: &Layout, tree: &Tree, name: Option<&str>) -> Result<Self, Error> {
        let mut collector = Collector {
            layout,
            load: Self::default(),
            documents: BTreeSet::new(),
            blobs: BTreeMap::new(),
        };
        if name.is_none() && tree.is_image_index() {
            for root in &tree.roots {
                collector.node(root, "index.json")?;
            }
            let text = tree.index_json.clone();
            let digest = Digest::of(text.as_bytes());
            collector.document(digest, OCI_INDEX, text, usize::MAX)?;
        } else {
            let root = entry(layout, tree, name)?;
            let names = root.known().into_iter().flat_map(Descriptor::names);
            collector.load.names = names.map(str::to_owned).collect();
            collector.node(root, "index.json")?;
            if let Some(last) = collector.load.documents.last_mut() {
                last.rank = usize::MAX;
            }
        }
        collector.referrers(tree)?;
        let mut load = collector.load;
        load.documents.sort_by_key(|document| document.rank);
        Ok(load)
    }
}

/// The entry that is meant.
fn entry<'a>(layout: &Layout, tree: &'a Tree, name: Option<&str>) -> Result<&'a Node, Error> {
    // Lists of referrers and what refers to others go along with their images.
    let alone = |node: &&Node| match &node.content {
        Content::Referrers { .. }
        | Content::Attestation { .. }
        | Content::Soci(_)
        | Content::Other => false,
        Content::Artifact(artifact) => artifact.subject.is_none(),
        _ => node.known().is_some(),
    };
    let called = |node: &&Node| {
        name.is_none_or(|name| node.known().is_some_and(|d| d.names().any(|found| found == name)))
    };
    let found: Vec<&Node> = tree.roots.iter().filter(alone).filter(called).collect();
    let digests: BTreeSet<Option<Digest>> =
        found.iter().map(|node| node.known().map(|d| d.digest)).collect();
    match (found.first(), digests.len(), name) {
        (Some(first), 1, _) => Ok(first),
        (None, _, Some(name)) => {
            let names = tree.roots.iter().filter_map(Node::known).flat_map(Descriptor::names);
            Err(Error::NoSuchRef {
                name: name.to_owned(),
                found: names.map(str::to_owned).collect(),
            })
        }
        (None, _, None) => Err(Error::NoImage { path: layout.path().to_owned() }),
        (Some(_), _, _) => {
            let told = |node: &&Node| {
                let descriptor = node.known()?;
                let name = descriptor.names().next();
                Some(name.map_or_else(|| descriptor.digest.to_string(), str::to_owned))
            };
            Err(Error::SeveralNames { found: found.iter().filter_map(told).collect() })
        }
    }
}

struct Collector<'a> {
    layout: &'a Layout,
    load: Load,
    documents: BTreeSet<Digest>,
    /// Positions of the blobs.
    blobs: BTreeMap<Digest, usize>,
}

impl Collector<'_> {
    /// Takes a node and all below it.
    fn node(&mut self, node: &Node, referrer: &str) -> Result<(), Error> {
        let Some(descriptor) = node.known() else {
            return AnyDescriptor::read_known(node.text(), referrer).map(drop);
        };
        if let Content::Index { children, .. } | Content::Referrers { children, .. } = &node.content
        {
            for child in children {
                self.node(child, &descriptor.digest.to_string())?;
            }
        }
        if !is_index(&descriptor.media_type) && !is_manifest(&descriptor.media_type) {
            return self.blob(descriptor, "blob", referrer);
        }
        let missing =
            || Error::BlobMissing { digest: descriptor.digest, referrer: referrer.to_owned() };
        let bytes =
            self.layout.read_blob(&descriptor.digest, descriptor.size, MAX_MANIFEST_SIZE)?;
        let bytes = bytes.ok_or_else(missing)?;
        let text = String::from_utf8(bytes).map_err(|_| Error::Document {
            place: format!("blob {}", descriptor.digest),
            problem: "not UTF-8".to_owned(),
        })?;
        // SOCI indexes before the images that name them, indexes after all that they name.
        let rank = match &node.content {
            Content::Soci(_) if descriptor.annotations.contains_key(IMAGE_MANIFEST_DIGEST) => 0,
            Content::Image(_) => 1,
            Content::Index { .. } | Content::Referrers { .. } => 3 + height(node),
            _ => 2,
        };
        self.document(descriptor.digest, &descriptor.media_type, text, rank)
    }

    fn document(
        &mut self,
        digest: Digest,
        media_type: &str,
        text: String,
        rank: usize,
    ) -> Result<(), Error> {
        if !self.documents.insert(digest) {
            return Ok(());
        }
        let place = format!("blob {digest}");
        let object = Object::read(&text, &place)?;
        if !is_index(media_type) {
            if let Some(config) = object.value("config") {
                self.blob(&AnyDescriptor::read_known(config, &place)?, "configuration", &place)?;
            }
            let list = object.value("layers").unwrap_or("null");
            for layer in AnyDescriptor::read_list(list, &place)? {
                let layer = AnyDescriptor::read_known(layer.text(), &place)?;
                self.blob(&layer, what(&layer), &place)?;
            }
        }
        let subject = match object.value("subject") {
            Some(subject) => AnyDescriptor::read(subject, &place)?.into_known().map(|d| d.digest),
            None => None,
        };
        let media_type = media_type.to_owned();
        self.load.documents.push(Document { digest, media_type, text, subject, rank });
        Ok(())
    }

    fn blob(&mut self, blob: &Descriptor, what: &'static str, referrer: &str) -> Result<(), Error> {
        let sources = blob.annotations.iter().filter_map(|(name, value)| {
            let host = name.strip_prefix(DISTRIBUTION_SOURCE)?;
            Some(value.split(',').map(|repository| (host.to_owned(), repository.to_owned())))
        });
        let sources: Vec<(String, String)> = sources.flatten().collect();
        let Descriptor { digest, size, .. } = *blob;
        if let Some(position) = self.blobs.get(&digest) {
            self.load.blobs[*position].sources.extend(sources);
            return Ok(());
        }
        match self.layout.blob_size(&digest)? {
            Some(found) if found == size => {}
            Some(found) => return Err(Error::BlobSize { digest, expected: size, found }),
            // Whoever pulls it gets it from somewhere else.
            None if is_nondistributable(&blob.media_type) => return Ok(()),
            None => return Err(Error::BlobMissing { digest, referrer: referrer.to_owned() }),
        }
        self.blobs.insert(digest, self.load.blobs.len());
        self.load.blobs.push(BlobToPush { digest, size, what, sources });
        Ok(())
    }

    /// What the layout has that refers to something that is pushed, and what refers to that.
    fn referrers(&mut self, tree: &Tree) -> Result<(), Error> {
        loop {
            let before = self.documents.len();
            for node in tree.nodes() {
                let subject = match &node.content {
                    Content::Soci(soci) => soci.subject,
                    Content::Attestation { manifest: Some(artifact) }
                    | Content::Artifact(artifact) => artifact.subject,
                    _ => None,
                };
                let known = node.known().is_some_and(|d| self.documents.contains(&d.digest));
                if !known && subject.is_some_and(|subject| self.documents.contains(&subject)) {
                    self.node(node, "index.json")?;
                }
            }
            if self.documents.len() == before {
                return Ok(());
            }
        }
    }
}

fn what(blob: &Descriptor) -> &'static str {
    use crate::oci::media_type::{LayerKind, ZTOC, layer_kind};
    match layer_kind(&blob.media_type) {
        LayerKind::NotALayer if blob.media_type == ZTOC => "zTOC",
        LayerKind::NotALayer => "blob",
        _ => "layer",
    }
}

/// How many indexes lie one in the other below.
fn height(node: &Node) -> usize {
    match &node.content {
        Content::Index { children, .. } => 1 + children.iter().map(height).max().unwrap_or(0),
        _ => 0,
    }
}
