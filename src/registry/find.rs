//! Finds the SOCI index of an image in a registry, in the order in which the consumer looks (`push-interop` 1).

use super::reference::Reference;
use super::repository::Referrers;
use super::source::RemoteSource;
use crate::error::Error;
use crate::layout::descriptor::{AnyDescriptor, Descriptor, Object};
use crate::layout::tree::Image;
use crate::oci::digest::Digest;
use crate::oci::json::schema::{self, INDEX};
use crate::oci::media_type::SOCI_INDEX_V1;

/// What the consumer finds.
pub(crate) enum Found {
    /// The index that the image manifest names, with its bytes.
    Annotation { digest: Digest, bytes: Vec<u8> },
    /// The image manifest names an index that is not there, or something that is no digest.
    Dangling(String),
    /// The first V1 index among the referrers.
    Referrer { digest: Digest, bytes: Option<Vec<u8>>, api: bool },
    /// Nothing; whether the registry has the referrers API.
    Nothing { api: bool },
}

/// Looks for the index of the image with the manifest `manifest`.
///
/// # Errors
/// [`Error::Registry`], [`Error::Limit`].
pub(crate) fn find(
    source: &RemoteSource<'_>,
    manifest: &Digest,
    image: &Image,
) -> Result<Found, Error> {
    if let Some(text) = &image.soci_v2 {
        let Ok(digest) = text.parse::<Digest>() else { return Ok(Found::Dangling(text.clone())) };
        return Ok(match source.by_digest(&digest)? {
            Some(bytes) => Found::Annotation { digest, bytes },
            None => Found::Dangling(text.clone()),
        });
    }
    let referrers = source.repository().referrers(manifest)?;
    let api = referrers.api;
    Ok(match first_v1(&referrers, source.repository().reference())? {
        Some(Descriptor { digest, .. }) => {
            Found::Referrer { digest, bytes: source.by_digest(&digest)?, api }
        }
        None => Found::Nothing { api },
    })
}

/// The first V1 index of a list of referrers, which is the one that the consumer takes.
pub(super) fn first_v1(of: &Referrers, place: &Reference) -> Result<Option<Descriptor>, Error> {
    for page in &of.pages {
        for descriptor in entries(page, &place.to_string())? {
            let artifact_type = Object::read(&descriptor.text, "a list of referrers")?;
            if artifact_type.text("artifactType")? == SOCI_INDEX_V1 {
                return Ok(Some(descriptor));
            }
        }
    }
    Ok(None)
}

/// The entries of an index document that can be followed.
pub(crate) fn entries(text: &str, place: &str) -> Result<Vec<Descriptor>, Error> {
    schema::check(text, 0, &INDEX, Some("manifests")).map_err(Error::mistake(place))?;
    let list = Object::read(text, place)?.value("manifests").unwrap_or("null");
    let all = AnyDescriptor::read_list(list, place)?;
    Ok(all.into_iter().filter_map(AnyDescriptor::into_known).collect())
}
