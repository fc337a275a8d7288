//! Finds the SOCI indexes of an image in a layout, and reads their zTOCs: what a consumer would use.
//!
//! The consumer looks for a V2 index through the manifest's annotation, then for a V1 index through its
//! referrers; for each layer the last entry of an index counts (`soci-formats` 7.1, 7.3).

use std::collections::BTreeMap;

use super::LAYER_DIGEST;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Content, Image, SociIndex, Tree};
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

/// All places in the layout where a SOCI index of the image stands, in the order of the tree: V2 first.
/// One that stands in several places is given for each of them, as their descriptors may differ.
pub(crate) fn places<'a>(tree: &'a Tree, manifest: Digest, image: &Image) -> Vec<FoundIndex<'a>> {
    let (mut v2, mut v1) = (Vec::new(), Vec::new());
    let named = image.soci_v2.as_ref().and_then(|text| text.parse::<Digest>().ok());
    for root in &tree.roots {
        root.visit(&mut |node| {
            let (Content::Soci(soci), Some(descriptor)) = (&node.content, node.known()) else {
                return;
            };
            if Some(descriptor.digest) == named {
                v2.push(FoundIndex { descriptor, soci, found_as: IndexVersion::V2 });
            } else if soci.version == IndexVersion::V1 && soci.subject == Some(manifest) {
                v1.push(FoundIndex { descriptor, soci, found_as: IndexVersion::V1 });
            }
        });
    }
    v2.append(&mut v1);
    v2
}

/// The distinct SOCI indexes of the image, V2 first: the order in which a consumer looks for them.
pub(crate) fn indexes<'a>(tree: &'a Tree, manifest: Digest, image: &Image) -> Vec<FoundIndex<'a>> {
    let mut found: Vec<FoundIndex<'a>> = Vec::new();
    for place in places(tree, manifest, image) {
        if found.iter().all(|known| known.descriptor.digest != place.descriptor.digest) {
            found.push(place);
        }
    }
    found
}

/// The layer that a zTOC is said to be for.
pub(crate) fn layer_of(entry: &Descriptor) -> Option<Digest> {
    entry.annotations.get(LAYER_DIGEST)?.parse().ok()
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

/// Reads the zTOC blob of an entry, held to size and digest.
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
