//! The documents of a layout as a tree: roots, nested indexes, and what their leaves are.
//!
//! Only what is known to be a container image is taken for one; everything else (attestations, build
//! caches, signatures, Helm charts, earlier SOCI indexes) is recognised or left alone.

use std::collections::{BTreeMap, HashMap};

use super::Layout;
use super::config::ImageConfig;
use super::descriptor::{AnyDescriptor, Descriptor, Object};
use super::found::within;
use super::source::Source;
use crate::error::Error;
use crate::limits::{
    MAX_DESCRIPTORS, MAX_DOCUMENTS_SIZE, MAX_INDEX_DEPTH, MAX_INDEX_JSON_SIZE, MAX_MANIFEST_SIZE,
};
use crate::oci::annotation::INDEX_DIGEST;
use crate::oci::digest::Digest;
use crate::oci::json::schema::{self, INDEX, MANIFEST};
use crate::oci::json::{Element, elements, excerpt, members};
use crate::oci::media_type::{
    self, LayerKind, SOCI_INDEX_V1, SOCI_INDEX_V2, is_image_config, is_index, is_manifest,
};
use crate::oci::platform::Platform;
use crate::oci::soci_version::IndexVersion;
use crate::progress::warnings::Warnings;

/// Name of a root, the tag that push tools use.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Full name of a root (`BuildKit`, containerd).
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";
/// On what is not an image but belongs to one (`BuildKit` attestations).
pub(crate) const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The image manifest that it belongs to.
pub(crate) const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// A layout's documents.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// `index.json`, byte for byte.
    pub(crate) index_json: String,
    /// Its entries.
    pub(crate) roots: Vec<Node>,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

impl Tree {
    /// The roots and all below them, parents first.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.roots.iter().flat_map(Node::nodes)
    }

    /// Whether `index.json` is itself the index of a multi-platform image, as apko, Bazel's rules and all others
    /// that call go-containerregistry's `layout.Write` make it, and not a list of images.
    ///
    /// Then it stands for the image as a whole (`crane push --index`, `ctr image import --index-name`), and who
    /// pulls it chooses by the `platform` of its entries. A list of images has names, or entries without
    /// platform, or two for the same one. A single image is no such index, unless a SOCI index stands beside it:
    /// push tools take it as the image of the layout.
    pub(crate) fn is_image_index(&self) -> bool {
        let mut platforms = Vec::new();
        let mut soci = false;
        for root in &self.roots {
            let Some(descriptor) = root.known() else { continue };
            match &root.content {
                Content::Image(_) | Content::Missing => {
                    let Some(platform) = &descriptor.platform else { return false };
                    if descriptor.names().next().is_some() {
                        return false;
                    }
                    platforms.push(platform);
                }
                Content::Soci(index) => {
                    soci |= index.version != IndexVersion::V1 && descriptor.platform.is_some();
                }
                // An image that stands alone or is chosen by its name.
                Content::Index { .. } => return false,
                _ => {}
            }
        }
        let count = platforms.len();
        let distinct: std::collections::HashSet<&Platform> = platforms.into_iter().collect();
        distinct.len() == count && (count > 1 || (count == 1 && soci))
    }
}

/// A descriptor and what it leads to.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) descriptor: AnyDescriptor,
    pub(crate) content: Content,
}

/// What a descriptor leads to.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// An index or Docker manifest list.
    Index {
        /// Its JSON text.
        text: String,
        /// Its entries.
        children: Vec<Node>,
    },
    /// A container image for one platform.
    Image(Box<Image>),
    /// A `BuildKit` attestation manifest; `manifest` when its blob is there.
    Attestation {
        /// What was read of it.
        manifest: Option<Artifact>,
    },
    /// A SOCI index.
    Soci(SociIndex),
    /// The list of the referrers tag schema, `sha256-<hex>`.
    Referrers {
        /// Digest of the manifest whose referrers it lists.
        subject: Digest,
        /// Its JSON text.
        text: String,
        /// Its entries.
        children: Vec<Node>,
    },
    /// Another manifest.
    Artifact(Artifact),
    /// Something that is not looked into.
    Other,
    /// A manifest or index whose blob is not there.
    Missing,
    /// Something that cannot be read; only [`read_all`] goes on after it.
    Unreadable {
        /// Why, for people.
        problem: String,
    },
}

/// A container image for one platform.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The manifest's JSON text.
    pub(crate) text: String,
    /// Normal form.
    pub(crate) platform: Platform,
    /// The platform as it goes into other descriptors: the descriptor's own text or the
    /// configuration's members.
    pub(crate) platform_text: String,
    pub(crate) config: Descriptor,
    /// The platform that its configuration says, and as it goes into a descriptor, where it could be read.
    pub(crate) configured: Option<(Platform, String)>,
    /// Bottom first; only those that are layers.
    pub(crate) layers: Vec<Descriptor>,
    /// For each entry of the manifest's `layers` whether it is one of those.
    pub(crate) entries: Vec<bool>,
    /// The SOCI V2 index that the manifest names.
    pub(crate) soci_v2: Option<String>,
}

/// A manifest that is no image.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    pub(crate) text: String,
    /// The manifest it refers to.
    pub(crate) subject: Option<Digest>,
    /// Artifact type as the referrers API defines it.
    pub(crate) kind: String,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// A SOCI index.
#[derive(Clone, Debug)]
pub(crate) struct SociIndex {
    /// V1 or V2.
    pub(crate) version: IndexVersion,
    /// V1: the image manifest.
    pub(crate) subject: Option<Digest>,
    /// The zTOCs.
    pub(crate) ztocs: Vec<Descriptor>,
}

impl Node {
    /// The descriptor, when it can be followed.
    pub(crate) fn known(&self) -> Option<&Descriptor> {
        match &self.descriptor {
            AnyDescriptor::Known(descriptor) => Some(descriptor),
            AnyDescriptor::Foreign { .. } => None,
        }
    }

    /// Its JSON text.
    pub(crate) fn text(&self) -> &str {
        self.descriptor.text()
    }

    /// Its image.
    pub(crate) fn image(&self) -> Option<(&Descriptor, &Image)> {
        match &self.content {
            Content::Image(image) => Some((self.known()?, image)),
            _ => None,
        }
    }

    /// Its SOCI index.
    pub(crate) fn soci(&self) -> Option<(&Descriptor, &SociIndex)> {
        match &self.content {
            Content::Soci(soci) => Some((self.known()?, soci)),
            _ => None,
        }
    }

    /// This node and all below it, parents first.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Self> {
        let mut next = vec![self];
        std::iter::from_fn(move || {
            let node = next.pop()?;
            if let Content::Index { children, .. } | Content::Referrers { children, .. } =
                &node.content
            {
                next.extend(children.iter().rev());
            }
            Some(node)
        })
    }
}

impl Descriptor {
    /// The names under which people know a root.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [REF_NAME, IMAGE_NAME]
            .iter()
            .filter_map(|key| self.annotations.get(*key).map(String::as_str))
    }

    /// The manifest whose referrers tag this root's name is.
    fn referrers_of(&self) -> Option<Digest> {
        Digest::from_hex(self.annotations.get(REF_NAME)?.strip_prefix("sha256-")?)
    }
}

/// Reads all documents of the layout.
pub(crate) fn read(layout: &Layout) -> Result<Tree, Error> {
    Reader::new(layout, false).tree(layout.read_index_json()?)
}

/// Reads the layout as it would be with this `index.json` and these `documents` besides its own blobs.
///
/// # Errors
/// What [`read`] would then say.
pub(crate) fn read_as_if(
    layout: &Layout,
    index_json: &str,
    documents: &BTreeMap<Digest, Vec<u8>>,
) -> Result<Tree, Error> {
    let (found, place) = (index_json.len() as u64, layout.index_json());
    within(MAX_INDEX_JSON_SIZE, found, "its size in bytes", place.display())?;
    let mut reader = Reader::new(layout, false);
    reader.documents = Some(documents);
    reader.tree(index_json.to_owned())
}

/// Reads what the entry `text` of `index.json` leads to.
pub(crate) fn read_entry(layout: &Layout, text: &str) -> Result<Node, Error> {
    let any = AnyDescriptor::parse(text, 0, "an entry of index.json")?;
    Reader::new(layout, false).node(any, "index.json", 0)
}

/// Reads what can be read of the layout, to be shown: a document that cannot be becomes
/// [`Content::Unreadable`], and an image without its configuration has an empty platform.
///
/// # Errors
/// For `index.json` itself.
pub(crate) fn read_all(layout: &Layout) -> Result<Tree, Error> {
    Reader::new(layout, true).tree(layout.read_index_json()?)
}

/// As [`read_all`], of any source that has these roots.
///
/// # Errors
/// For the text of the roots itself.
#[cfg(feature = "registry")]
pub(crate) fn read_all_from(source: &dyn Source, roots: String) -> Result<Tree, Error> {
    Reader::new(source, true).tree(roots)
}

struct Reader<'a> {
    source: &'a dyn Source,
    /// Documents that are not written yet.
    documents: Option<&'a BTreeMap<Digest, Vec<u8>>>,
    /// Whether to go on after what cannot be read.
    tolerant: bool,
    /// Descriptors of other digest algorithms.
    foreign: Warnings,
    visited: usize,
    /// Bytes of documents so far.
    kept: u64,
    /// Platforms of the configurations that were read, and as they go into a descriptor; each is read once.
    configs: HashMap<Digest, (Platform, String)>,
    /// Whether the entries of a list of referrers are being read.
    in_list: bool,
}

/// One entry of an index, or what is shown of one that cannot be read. Boxed: there may be a million of the other kind.
type IndexEntry = Result<AnyDescriptor, Box<Node>>;

impl<'a> Reader<'a> {
    fn new(source: &'a dyn Source, tolerant: bool) -> Self {
        Self {
            source,
            documents: None,
            tolerant,
            foreign: Warnings::default(),
            visited: 0,
            kept: 0,
            configs: HashMap::new(),
            in_list: false,
        }
    }

    fn tree(mut self, index_json: String) -> Result<Tree, Error> {
        let place = self.source.place();
        let roots = self.children(&index_json, &place, 0)?;
        let others = |more| format!("left alone: {more} more (only sha256 is supported)");
        Ok(Tree { index_json, roots, warnings: self.foreign.finish(others) })
    }

    /// The entries of an index and what they lead to.
    fn children(&mut self, text: &str, place: &str, depth: usize) -> Result<Vec<Node>, Error> {
        let entries = self.entries(text, place)?;
        let follow = |entry: IndexEntry| match entry {
            Ok(any) => self.node(any, place, depth),
            Err(unreadable) => Ok(*unreadable),
        };
        entries.into_iter().map(follow).collect()
    }

    fn entries(&mut self, text: &str, place: &str) -> Result<Vec<IndexEntry>, Error> {
        schema::check(text, 0, &INDEX, Some("manifests")).map_err(Error::mistake(place))?;
        let object = members(text).map_err(Error::json(place))?;
        let Some(member) = object.iter().find(|member| member.name == "manifests") else {
            return Err(Error::Document {
                place: place.to_owned(),
                problem: "an index has a member \"manifests\", this one has not".to_owned(),
            });
        };
        let list = match member.value {
            "null" => Vec::new(),
            value => elements(value).map_err(Error::json(place))?,
        };
        self.visited += list.len();
        let (what, found) = ("the number of descriptors in the layout", self.visited as u64);
        within(MAX_DESCRIPTORS as u64, found, what, place)?;
        let parse = |element: &Element<'_>| {
            let at = member.range.start + element.range.start;
            match AnyDescriptor::parse(element.value, at, place) {
                Err(error) if self.tolerant => {
                    let (text, digest) = (element.value.to_owned(), String::new());
                    let descriptor = AnyDescriptor::Foreign { text, digest };
                    let content = Content::Unreadable { problem: error.to_string() };
                    Ok(Err(Box::new(Node { descriptor, content })))
                }
                any => any.map(Ok),
            }
        };
        list.iter().map(parse).collect()
    }

    fn node(&mut self, any: AnyDescriptor, place: &str, depth: usize) -> Result<Node, Error> {
        let descriptor = match any {
            AnyDescriptor::Known(descriptor) => descriptor,
            AnyDescriptor::Foreign { text, digest } => {
                let what = "only sha256 is supported";
                self.foreign
                    .add(|| format!("left alone: {} in {place} ({what})", excerpt(&digest)));
                let descriptor = AnyDescriptor::Foreign { text, digest };
                return Ok(Node { descriptor, content: Content::Other });
            }
        };
        let content = match self.content(&descriptor, place, depth) {
            Err(error) if self.tolerant => Content::Unreadable { problem: error.to_string() },
            content => content?,
        };
        Ok(Node { descriptor: AnyDescriptor::Known(descriptor), content })
    }

    fn content(
        &mut self,
        descriptor: &Descriptor,
        place: &str,
        depth: usize,
    ) -> Result<Content, Error> {
        let index = is_index(&descriptor.media_type);
        if !index && !is_manifest(&descriptor.media_type) {
            return Ok(Content::Other);
        }
        within(MAX_INDEX_DEPTH as u64, depth as u64 + 1, "the nesting of indexes", place)?;
        let size = descriptor.size;
        // Checked before as well: who goes on after errors must come to an end.
        self.check_kept(place)?;
        let blob = match self.documents.and_then(|new| new.get(&descriptor.digest)) {
            Some(bytes) => {
                let digest = descriptor.digest;
                within(MAX_MANIFEST_SIZE, size, "its size in bytes", format_args!("blob {digest}"))
                    .map(|()| Some(bytes.clone()))
            }
            None => self.source.document(descriptor),
        };
        let read = matches!(&blob, Ok(Some(_)) | Err(Error::BlobDigest { .. }));
        self.kept += if read { size } else { 0 };
        let blob = blob?;
        self.check_kept(place)?;
        let Some(bytes) = blob else {
            return Ok(if descriptor.annotations.contains_key(REFERENCE_TYPE) {
                Content::Attestation { manifest: None }
            } else {
                Content::Missing
            });
        };
        let place = format!("blob {}", descriptor.digest);
        let text = super::open::text(&bytes, &place)?.to_owned();
        drop(bytes);
        if !index {
            return self.manifest(descriptor, text, &place);
        }
        let subject = descriptor.referrers_of().filter(|_| depth == 0);
        let outer = std::mem::replace(&mut self.in_list, subject.is_some());
        let children = self.children(&text, &place, depth + 1);
        self.in_list = outer;
        let children = children?;
        Ok(match subject {
            Some(subject) => Content::Referrers { subject, text, children },
            None => Content::Index { text, children },
        })
    }

    fn check_kept(&self, place: &str) -> Result<(), Error> {
        let what = "the size of all manifests and indexes in bytes";
        within(MAX_DOCUMENTS_SIZE, self.kept, what, place)
    }

    fn manifest(
        &mut self,
        descriptor: &Descriptor,
        text: String,
        place: &str,
    ) -> Result<Content, Error> {
        schema::check(&text, 0, &MANIFEST, None).map_err(Error::mistake(place))?;
        let object = Object::read(&text, place)?;
        let Some(config) = object.value("config") else {
            return Ok(Content::Other);
        };
        let config = AnyDescriptor::read_known(config, place)?;
        let subject = match object.value("subject") {
            Some(subject) => AnyDescriptor::read(subject, place)?.into_known().map(|s| s.digest),
            None => None,
        };
        let annotations = object.strings("annotations")?;
        // Go does not tell an empty one from none.
        let artifact_type = object.get("artifactType")?.filter(|kind: &String| !kind.is_empty());
        let list = object.value("layers").unwrap_or("null");
        if descriptor.annotations.contains_key(REFERENCE_TYPE) {
            let kind = artifact_type.unwrap_or(config.media_type);
            let manifest = Some(Artifact { text, subject, kind, annotations });
            return Ok(Content::Attestation { manifest });
        }
        let soci = match config.media_type.as_str() {
            SOCI_INDEX_V1 => Some(IndexVersion::V1),
            SOCI_INDEX_V2 => Some(IndexVersion::V2),
            _ => None,
        };
        if let Some(version) = soci {
            let ztocs = AnyDescriptor::read_list(list, place)?
                .into_iter()
                .filter_map(AnyDescriptor::into_known)
                .filter(|layer| layer.media_type == media_type::ZTOC)
                .collect();
            return Ok(Content::Soci(SociIndex { version, subject, ztocs }));
        }
        // What refers to a manifest is no image, whatever its configuration: the entries of a list do not have the
        // annotations and platforms by which an image index tells them apart.
        let image = is_image_config(&config.media_type) && artifact_type.is_none() && !self.in_list;
        let mut layers = if image { AnyDescriptor::read_list(list, place)? } else { Vec::new() };
        let entries: Vec<bool> = layers.iter().map(AnyDescriptor::is_layer).collect();
        layers.retain(AnyDescriptor::is_layer);
        // Signatures have an image's configuration, but no layer that is one.
        if !image || (layers.is_empty() && !entries.is_empty()) {
            let kind = artifact_type.unwrap_or(config.media_type);
            return Ok(Content::Artifact(Artifact { text, subject, kind, annotations }));
        }
        let layers = layers
            .into_iter()
            .map(|layer| AnyDescriptor::read_known(layer.text(), place))
            .collect::<Result<Vec<_>, _>>()?;
        let configured = self.config_platform(&config, place);
        let configured = match configured {
            Ok(configured) => Some(configured),
            // One that says two things is refused; one that cannot be read is not always needed.
            Err(error @ Error::Document { .. }) => return Err(error),
            Err(_) if self.tolerant || descriptor.platform.is_some() => None,
            Err(error) => return Err(error),
        };
        let (platform, platform_text) = match (&descriptor.platform, &configured) {
            (Some(platform), _) => {
                let text = Object::read(&descriptor.text, place)?.value("platform");
                (platform.clone(), text.unwrap_or("null").to_owned())
            }
            (None, Some(configured)) => configured.clone(),
            (None, None) => (Platform::new("", "", "", ""), "{}".to_owned()),
        };
        if platform.is_unknown() {
            let kind = config.media_type;
            return Ok(Content::Artifact(Artifact { text, subject, kind, annotations }));
        }
        let soci_v2 = annotations.get(INDEX_DIGEST).cloned();
        Ok(Content::Image(Box::new(Image {
            text,
            platform,
            platform_text,
            config,
            configured,
            layers,
            entries,
            soci_v2,
        })))
    }

    /// The platform that an image's configuration says, and as it goes into a descriptor.
    fn config_platform(
        &mut self,
        config: &Descriptor,
        place: &str,
    ) -> Result<(Platform, String), Error> {
        if let Some(known) = self.configs.get(&config.digest) {
            return Ok(known.clone());
        }
        let missing = || Error::BlobMissing { digest: config.digest, referrer: place.to_owned() };
        let read = ImageConfig::read(self.source, config)?.ok_or_else(missing)?;
        let text = read.platform.to_json(&read.os_features);
        let found = (read.platform, text);
        self.configs.insert(config.digest, found.clone());
        Ok(found)
    }
}

impl AnyDescriptor {
    pub(crate) fn into_known(self) -> Option<Descriptor> {
        match self {
            Self::Known(descriptor) => Some(*descriptor),
            Self::Foreign { .. } => None,
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Known(descriptor) => &descriptor.text,
            Self::Foreign { text, .. } => text,
        }
    }

    /// Foreign digests count as layers here: the image is then refused by name.
    fn is_layer(&self) -> bool {
        match self {
            Self::Known(layer) => media_type::layer_kind(&layer.media_type) != LayerKind::NotALayer,
            Self::Foreign { .. } => true,
        }
    }
}
