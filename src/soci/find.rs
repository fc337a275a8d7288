//! Finds the SOCI indexes of an image in a layout, and reads their zTOCs: what a consumer would use.
//!
//! The consumer looks for a V2 index through the manifest's annotation, then for a V1 index through its
//! referrers; for each layer the last entry of an index counts (`soci-formats` 7.1, 7.3).

use std::collections::{BTreeMap, BTreeSet};

use super::{DISABLE_XATTRS, IMAGE_MANIFEST_DIGEST, LAYER_DIGEST};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Image, Node, SociIndex};
use crate::limits::MAX_ZTOC_SIZE;
use crate::oci::digest::Digest;
use crate::oci::soci_version::IndexVersion;
use crate::ztoc::{DecodeError, Ztoc};

/// A SOCI index that `index.json` leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundIndex<'a> {
    /// As the image index or `index.json` lists it.
    pub(crate) descriptor: &'a Descriptor,
    pub(crate) soci: &'a SociIndex,
    /// How it is found: V2 by the image manifest's annotation, V1 by its subject.
    pub(crate) found_as: IndexVersion,
}

/// The SOCI indexes of a tree, found once for all its images.
#[derive(Debug, Default)]
pub(crate) struct SociIndexes<'a> {
    /// Where each stands first.
    first: BTreeMap<Digest, Place<'a>>,
    /// Where each stands with the annotation that names this image.
    naming: BTreeMap<(Digest, Digest), Vec<Place<'a>>>,
    /// V1 indexes by the manifests that they refer to.
    by_subject: BTreeMap<Digest, Vec<Place<'a>>>,
}

type Place<'a> = (&'a Descriptor, &'a SociIndex);

impl<'a> SociIndexes<'a> {
    /// Those below these roots.
    pub(crate) fn below(roots: impl IntoIterator<Item = &'a Node>) -> Self {
        let mut found = Self::default();
        for (descriptor, soci) in roots.into_iter().flat_map(Node::nodes).filter_map(Node::soci) {
            let (digest, place) = (descriptor.digest, (descriptor, soci));
            found.first.entry(digest).or_insert(place);
            let named = descriptor.annotations.get(IMAGE_MANIFEST_DIGEST);
            if let Some(image) = named.and_then(|text| text.parse().ok()) {
                found.naming.entry((digest, image)).or_default().push(place);
            }
            if let (IndexVersion::V1, Some(subject)) = (soci.version, soci.subject) {
                found.by_subject.entry(subject).or_default().push(place);
            }
        }
        found
    }

    /// The places in the layout where a SOCI index of the image stands, V2 first. A V2 index can stand there for
    /// many images: where some of its descriptors name this image, they are given, else the first of all.
    pub(crate) fn places(&self, manifest: Digest, image: &Image) -> Vec<FoundIndex<'a>> {
        let named = image.soci_v2.as_ref().and_then(|text| text.parse::<Digest>().ok());
        let naming = named.and_then(|named| self.naming.get(&(named, manifest)));
        let any = named.filter(|_| naming.is_none()).and_then(|named| self.first.get(&named));
        let v2 = naming.into_iter().flatten().chain(any);
        let v1 = self.by_subject.get(&manifest).into_iter().flatten();
        let v1 = v1.filter(|(descriptor, _)| Some(descriptor.digest) != named);
        let found = |found_as| {
            move |&(descriptor, soci): &Place<'a>| FoundIndex { descriptor, soci, found_as }
        };
        v2.map(found(IndexVersion::V2)).chain(v1.map(found(IndexVersion::V1))).collect()
    }

    /// The distinct SOCI indexes of the image, V2 first: the order in which a consumer looks for them.
    pub(crate) fn distinct(&self, manifest: Digest, image: &Image) -> Vec<FoundIndex<'a>> {
        let mut seen = BTreeSet::new();
        let mut found = self.places(manifest, image);
        found.retain(|place| seen.insert(place.descriptor.digest));
        found
    }
}

/// The layer that a zTOC is said to be for.
pub(crate) fn layer_of(entry: &Descriptor) -> Option<Digest> {
    entry.annotations.get(LAYER_DIGEST)?.parse().ok()
}

/// Whether readers are told that the layer has no extended attributes; `None` when they do not understand it. The
/// reader takes what Go's `strconv.ParseBool` takes.
pub(crate) fn disables_xattrs(entry: &Descriptor) -> Option<bool> {
    match entry.annotations.get(DISABLE_XATTRS).map(String::as_str) {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Some(true),
        None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Some(false),
        Some(_) => None,
    }
}

/// The zTOC of each layer: from the first index that names the layer, there the last entry.
pub(crate) fn ztocs<'a>(indexes: &[FoundIndex<'a>]) -> BTreeMap<Digest, &'a Descriptor> {
    let mut found = BTreeMap::new();
    for index in indexes.iter().rev() {
        for entry in &index.soci.ztocs {
            if let Some(layer) = layer_of(entry) {
                found.insert(layer, entry);
            }
        }
    }
    found
}

/// Why a zTOC blob cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZtocProblem {
    /// No such blob.
    #[error("there is no such blob in the layout")]
    Missing,
    /// The blob is not what its descriptor says.
    #[error("{0}")]
    Blob(Error),
    /// A reader would refuse it.
    #[error("{0}")]
    Refused(#[from] DecodeError),
}

/// The zTOC of a layer with its digest, or why it cannot be used; nothing for a layer that has none.
pub(crate) type FoundZtoc = Option<(Digest, Result<Ztoc, ZtocProblem>)>;

/// Reads the zTOC blob of an entry, checked against size and digest.
///
/// # Errors
/// [`Error::Io`] and [`Error::BlobType`]; whatever else keeps a reader from using it is the inner error.
pub(crate) fn read_ztoc(
    layout: &Layout,
    entry: &Descriptor,
) -> Result<Result<Ztoc, ZtocProblem>, Error> {
    Ok(match layout.read_blob(&entry.digest, entry.size, MAX_ZTOC_SIZE) {
        Ok(Some(bytes)) => Ztoc::decode(&bytes).map_err(ZtocProblem::from),
        Ok(None) => Err(ZtocProblem::Missing),
        Err(error @ (Error::BlobSize { .. } | Error::BlobDigest { .. } | Error::Limit { .. })) => {
            Err(ZtocProblem::Blob(error))
        }
        Err(error) => return Err(error),
    })
}
