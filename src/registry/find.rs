//! Finds the SOCI index of an image in a registry, in the order in which the consumer looks (`push-interop` 1).

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
    for page in &referrers.pages {
        for descriptor in entries(page, &source.repository().reference().to_string())? {
            let artifact_type = Object::read(&descriptor.text, "a list of referrers")?;
            if artifact_type.text("artifactType")? == SOCI_INDEX_V1 {
                let (digest, api) = (descriptor.digest, referrers.api);
                let bytes = source.by_digest(&digest)?;
                return Ok(Found::Referrer { digest, bytes, api });
            }
        }
    }
    Ok(Found::Nothing { api: referrers.api })
}

/// The entries of an index document that can be followed.
pub(crate) fn entries(text: &str, place: &str) -> Result<Vec<Descriptor>, Error> {
    schema::check(text, 0, &INDEX, Some("manifests")).map_err(Error::mistake(place))?;
    let list = Object::read(text, place)?.value("manifests").unwrap_or("null");
    let all = AnyDescriptor::read_list(list, place)?;
    Ok(all.into_iter().filter_map(AnyDescriptor::into_known).collect())
}
