//! Checks one image: its index, the zTOCs in it, its configuration and layers.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{CheckFinding, CheckedImage, Mistake};
use crate::commands::share::Share;
use crate::commands::verify::{Consequence, Findings, document};
use crate::error::Error;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Image, Node, SociIndex, Tree};
use crate::oci::digest::Digest;
use crate::oci::media_type::{LayerKind, SOCI_PREFETCH, ZTOC, is_nondistributable, layer_kind};
use crate::oci::soci_version::IndexVersion;
use crate::registry::find::{self, Found};
use crate::registry::{Presence, RemoteSource};
use crate::soci::find::layer_of;

/// What the images of one tag have in common.
pub(super) struct Checker<'a> {
    pub(super) source: &'a RemoteSource<'a>,
    pub(super) tree: &'a Tree,
    /// Whether the consumer takes V2 indexes only.
    pub(super) needs_v2: bool,
    /// Layers whose blob is smaller are no finding, whatever their type.
    pub(super) min_layer_size: u64,
    /// The platform of the image that is checked, for its findings; empty for the tag as a whole.
    pub(super) platform: String,
    /// What is known of blobs.
    pub(super) blobs: BTreeMap<Digest, Presence>,
    /// Indexes that were looked into, with their entries.
    pub(super) seen: BTreeSet<Digest>,
    pub(super) findings: Vec<CheckFinding>,
}

/// An index, how it is found, and its bytes when it is there.
type FoundIndex = (Digest, &'static str, Option<Vec<u8>>);

impl Checker<'_> {
    /// Checks the image with the manifest `digest`.
    ///
    /// # Errors
    /// [`Error::Registry`], [`Error::Limit`].
    pub(super) fn image(&mut self, digest: Digest, image: &Image) -> Result<CheckedImage, Error> {
        self.platform = image.platform.to_string();
        let distributed = |layer: &&Descriptor| !is_nondistributable(&layer.media_type);
        let layers = image.layers.iter().filter(distributed);
        self.ask(layers.chain([&image.config]).map(|blob| blob.digest));
        let index = self.index(digest, image)?;
        let lazy = match &index {
            Some((index, _, Some(bytes))) => self.entries(*index, bytes, image)?,
            _ => BTreeSet::new(),
        };
        self.blob(&image.config, "the image's configuration", false)?;
        let mut told = BTreeSet::new();
        for layer in image.layers.iter().filter(|layer| told.insert(layer.digest)) {
            if !is_nondistributable(&layer.media_type) {
                self.blob(layer, "a layer", false)?;
            }
            self.layer_type(layer);
        }
        let layers = image.layers.iter().map(|layer| (layer.size, lazy.contains(&layer.digest)));
        let share = Share::of(layers);
        Ok(CheckedImage {
            platform: self.platform.clone(),
            digest,
            soci_index: index.as_ref().map(|(index, ..)| *index),
            found_by: index.map(|(_, by, _)| by.to_owned()),
            lazy_layers: share.layers,
            layers: share.of_layers,
            lazy_bytes: share.bytes,
            bytes: share.of_bytes,
        })
    }

    /// Asks for blobs several at a time. What goes wrong is told when one of them is looked at.
    fn ask(&mut self, blobs: impl Iterator<Item = Digest>) {
        let new: Vec<Digest> = blobs.filter(|blob| !self.blobs.contains_key(blob)).collect();
        self.blobs.extend(self.source.repository().blob_sizes(&new));
    }

    /// The index that the consumer takes.
    fn index(&mut self, digest: Digest, image: &Image) -> Result<Option<FoundIndex>, Error> {
        Ok(match find::find(self.source, &digest, image)? {
            Found::Annotation { digest, bytes } => Some((digest, "annotation", Some(bytes))),
            Found::Referrer { digest: index, bytes, api } => {
                let blob = Some(index);
                if self.needs_v2 {
                    let (mistake, place) = (Mistake::V1WhereV2IsNeeded, "the SOCI index");
                    let expected = "a SOCI index V2, by the manifest's annotation";
                    self.add(mistake, blob, place, expected, "V1");
                }
                if bytes.is_none() {
                    let (mistake, place) = (Mistake::IndexDeleted, "the list of referrers");
                    let expected = format!("the SOCI index {index}");
                    self.add(mistake, blob, place, expected, "no such manifest");
                }
                Some((index, if api { "referrers-api" } else { "fallback-tag" }, bytes))
            }
            Found::Dangling(text) => {
                let named = text.parse::<Digest>().ok();
                let mistake = if named.is_some_and(|named| self.lists(named)) {
                    Mistake::IndexDeleted
                } else {
                    Mistake::PushedWithoutAll
                };
                let expected =
                    format!("the SOCI index {text}, which the image manifest {digest} names");
                let is = "no such manifest in the repository";
                self.add(mistake, named, "the SOCI index", expected, is);
                None
            }
            Found::Nothing { api } => {
                let looked = if api {
                    "no annotation of the image manifest, nothing in the referrers API"
                } else {
                    "no annotation of the image manifest, nothing under its referrers tag (the registry has no referrers API)"
                };
                let (mistake, blob) = match self.unlisted(digest) {
                    Some(index) => (Mistake::NotListed, Some(index)),
                    None => (Mistake::NoIndex, Some(digest)),
                };
                self.add(mistake, blob, "the image", "a SOCI index", looked);
                None
            }
        })
    }

    /// Whether the tag's own index names a manifest.
    fn lists(&self, digest: Digest) -> bool {
        self.tree.nodes().filter_map(Node::known).any(|descriptor| descriptor.digest == digest)
    }

    /// A V1 index of the image that the tag's own index leads to.
    fn unlisted(&self, image: Digest) -> Option<Digest> {
        let of_image = |(_, soci): &(&Descriptor, &SociIndex)| {
            soci.version == IndexVersion::V1 && soci.subject == Some(image)
        };
        let mut found = self.tree.nodes().filter_map(Node::soci).filter(of_image);
        found.next().map(|(descriptor, _)| descriptor.digest)
    }

    /// Checks an index, and gives the layers of the image that have a zTOC in it, which is there.
    fn entries(
        &mut self,
        index: Digest,
        bytes: &[u8],
        image: &Image,
    ) -> Result<BTreeSet<Digest>, Error> {
        let mut findings = Findings::default();
        let (source, blobs) = (self.source, &mut self.blobs);
        let read = document::text(index, bytes, &mut findings, &mut |config| {
            Ok(size(source, blobs, config)? != Presence::Absent)
        });
        let entries = match read {
            Ok(entries) => entries,
            Err(
                error @ (Error::Document { .. } | Error::Json { .. } | Error::InvalidDigest { .. }),
            ) => {
                let (mistake, place) = (Mistake::Unreadable, "the SOCI index");
                self.add(mistake, Some(index), place, "a manifest", error);
                return Ok(BTreeSet::new());
            }
            Err(error) => return Err(error),
        };
        self.ask(entries.iter().map(|entry| entry.descriptor.digest));
        let first = self.seen.insert(index);
        let own = |entry: &&document::Entry| {
            let layer = layer_of(&entry.descriptor);
            image.layers.iter().any(|found| Some(found.digest) == layer)
        };
        let ztocs = || entries.iter().filter(|entry| entry.descriptor.media_type == ZTOC);
        if ztocs().next().is_some() && !ztocs().any(|entry| own(&entry)) {
            let (mistake, place) = (Mistake::OtherImage, "the SOCI index");
            let (expected, is) = ("zTOCs of this image's layers", "those of other layers");
            self.add(mistake, Some(index), place, expected, is);
            return Ok(BTreeSet::new());
        }
        let mut lazy = BTreeMap::new();
        for entry in &entries {
            let blob = &entry.descriptor;
            let layer = layer_of(blob);
            if blob.media_type == ZTOC {
                let named = |found: &&Descriptor| Some(found.digest) == layer;
                let layers: Vec<&Descriptor> = image.layers.iter().filter(named).collect();
                document::layer_entry(index, entry, &layers, &mut findings);
                let there = self.blob(blob, "a zTOC", true)?;
                lazy.extend(layer.map(|layer| (layer, there)));
            } else if blob.media_type == SOCI_PREFETCH {
                self.blob(blob, "a prefetch artifact", true)?;
            }
        }
        if first {
            for finding in findings.finish() {
                let mistake = match finding.consequence {
                    Consequence::Misleading => Mistake::Misleading,
                    Consequence::LayerEager => Mistake::OtherImage,
                    Consequence::Unpullable => Mistake::BlobMissing,
                    _ => Mistake::RejectedIndex,
                };
                let (expected, found) = (finding.expected, finding.found);
                self.add(mistake, finding.blob, &finding.place, expected, found);
            }
        }
        // For each layer the last entry counts.
        Ok(lazy.into_iter().filter(|(_, there)| *there).map(|(layer, _)| layer).collect())
    }

    /// Asks for a blob, and tells when it is not there as it should be.
    fn blob(&mut self, blob: &Descriptor, place: &str, ztoc: bool) -> Result<bool, Error> {
        let found = match size(self.source, &mut self.blobs, &blob.digest)? {
            Presence::There => return Ok(true),
            Presence::Sized(found) if found == blob.size => return Ok(true),
            Presence::Sized(found) => Some(found),
            Presence::Absent => None,
        };
        let mistake = match (ztoc, found) {
            (true, None) => Mistake::ZtocMissing,
            (true, Some(_)) => Mistake::ZtocSize,
            (false, _) => Mistake::BlobMissing,
        };
        let is = found.map_or_else(|| "no such blob".to_owned(), |size| format!("{size} bytes"));
        let expected = format!("a blob of {} bytes", blob.size);
        self.add(mistake, Some(blob.digest), place, expected, is);
        Ok(false)
    }

    fn layer_type(&mut self, layer: &Descriptor) {
        if let LayerKind::Unsupported(reason) = layer_kind(&layer.media_type)
            && layer.size >= self.min_layer_size
        {
            let found = format!("{} ({reason})", layer.media_type);
            let expected = "a layer that is gzip or not compressed";
            self.add(Mistake::LayerType, Some(layer.digest), "a layer", expected, found);
        }
    }

    /// Tells a finding, once.
    #[expect(clippy::needless_pass_by_value, reason = "texts and digests, made for this call")]
    pub(super) fn add(
        &mut self,
        mistake: Mistake,
        blob: Option<Digest>,
        place: &str,
        expected: impl ToString,
        found: impl ToString,
    ) {
        let (expected, found) = (expected.to_string(), found.to_string());
        let platform = Some(self.platform.clone()).filter(|platform| !platform.is_empty());
        let (consequence, advice) = mistake.meaning();
        let (place, advice) = (place.to_owned(), advice.to_owned());
        let finding =
            CheckFinding { mistake, consequence, platform, blob, place, expected, found, advice };
        if self.findings.len() < MAX_FINDINGS && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

/// Most findings that are told. An image that is all wrong could have a million.
const MAX_FINDINGS: usize = 1000;

/// Whether a blob is there, and its size; asked once.
fn size(
    source: &RemoteSource<'_>,
    blobs: &mut BTreeMap<Digest, Presence>,
    digest: &Digest,
) -> Result<Presence, Error> {
    if let Some(known) = blobs.get(digest) {
        return Ok(*known);
    }
    let found = source.repository().blob_size(digest)?;
    blobs.insert(*digest, found);
    Ok(found)
}

impl Mistake {
    /// What the consumer makes of it, and what led to it and what to do.
    fn meaning(self) -> (Consequence, &'static str) {
        match self {
            Self::TagMoved => (
                Consequence::Rejected,
                "somebody pushed another image to this tag since (often one that was built without indexing): push the indexed one again",
            ),
            Self::PushedWithoutAll => (
                Consequence::Rejected,
                "the image was pushed alone, as skopeo copy without --all does: push the whole image index again",
            ),
            Self::IndexDeleted => (
                Consequence::Rejected,
                "it was deleted (a lifecycle rule for untagged images?), or the push was not finished: push the image again",
            ),
            Self::NoIndex => (
                Consequence::Rejected,
                "the image was not indexed before this push, or was pushed from another layout: run soci-layout index, then push",
            ),
            Self::NotListed => (
                Consequence::Rejected,
                "the registry has no referrers API, and the tool that pushed wrote no referrers tag: push with soci-layout push or oras cp -r, or make a V2 index",
            ),
            Self::V1WhereV2IsNeeded => (
                Consequence::Rejected,
                "this consumer takes V2 unless it is told otherwise: index again with --index-version v2 or both",
            ),
            Self::RejectedIndex => (
                Consequence::Rejected,
                "some tool wrote the index anew on its way: push it as it was made (skopeo: --preserve-digests)",
            ),
            Self::OtherImage => (
                Consequence::LayerEager,
                "the index was made for another image: index this one and push it again",
            ),
            Self::ZtocMissing | Self::ZtocSize => (
                Consequence::LayerEager,
                "it was deleted (a lifecycle rule, a clean-up), or the push was not finished: push the image again",
            ),
            Self::BlobMissing | Self::ManifestMissing => (
                Consequence::Unpullable,
                "it was deleted, or the push was not finished: push the image again",
            ),
            Self::Unreadable => (Consequence::Unpullable, "push the image again"),
            Self::LayerType => (
                Consequence::LayerEager,
                "build with gzip layers: --output type=…,compression=gzip,force-compression=true",
            ),
            Self::Misleading => (Consequence::Misleading, "nothing has to be done"),
        }
    }
}
