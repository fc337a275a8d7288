//! Descriptors as documents hold them: typed for reading, with the text they were read from.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::oci::digest::{Digest, ParseDigestError};
use crate::oci::json::{elements, members};
use crate::oci::platform::Platform;

/// A descriptor that can be followed.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor {
    /// The JSON text, as it stands in its document.
    pub(crate) text: String,
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) platform: Option<Platform>,
}

/// A descriptor of a document.
#[derive(Clone, Debug)]
pub(crate) enum AnyDescriptor {
    /// One that can be followed.
    Known(Box<Descriptor>),
    /// One with a digest of another algorithm.
    Foreign {
        /// The JSON text.
        text: String,
        /// The digest.
        digest: String,
    },
}

impl AnyDescriptor {
    /// Reads the descriptor `text`, which stands in the document `place`.
    pub(crate) fn parse(text: &str, place: &str) -> Result<Self, Error> {
        let object = members(text).map_err(Error::json(place))?;
        // Looked at first: a digest becomes a file name, so it gets an error of its own.
        if let Some(member) = object.iter().find(|member| member.name == "digest")
            && let Ok(value) = serde_json::from_str::<String>(member.value)
        {
            match value.parse::<Digest>() {
                Ok(_) => {}
                Err(ParseDigestError::Algorithm(_)) => {
                    return Ok(Self::Foreign { text: text.to_owned(), digest: value });
                }
                Err(source) => {
                    return Err(Error::InvalidDigest { place: place.to_owned(), value, source });
                }
            }
        }
        let read: oci_spec::image::Descriptor =
            serde_json::from_str(text).map_err(Error::json(format!("a descriptor in {place}")))?;
        let value = read.digest().to_string();
        let digest = value.parse().map_err(|source| Error::InvalidDigest {
            place: place.to_owned(),
            value,
            source,
        })?;
        Ok(Self::Known(Box::new(Descriptor {
            text: text.to_owned(),
            media_type: read.media_type().to_string(),
            digest,
            size: read.size(),
            annotations: read.annotations().clone().unwrap_or_default().into_iter().collect(),
            platform: read.platform().as_ref().map(from_oci),
        })))
    }

    /// Reads the descriptor `text`, refusing digests of other algorithms.
    pub(crate) fn parse_known(text: &str, place: &str) -> Result<Descriptor, Error> {
        match Self::parse(text, place)? {
            Self::Known(descriptor) => Ok(*descriptor),
            Self::Foreign { digest, .. } => {
                let source = digest.parse::<Digest>().err().unwrap_or(ParseDigestError::Malformed);
                Err(Error::InvalidDigest { place: place.to_owned(), value: digest, source })
            }
        }
    }

    /// Reads the array `text` of descriptors; `null` is an empty one.
    pub(crate) fn parse_list(text: &str, place: &str) -> Result<Vec<Self>, Error> {
        if text == "null" {
            return Ok(Vec::new());
        }
        let list = elements(text).map_err(Error::json(place))?;
        list.iter().map(|element| Self::parse(element.value, place)).collect()
    }
}

fn from_oci(platform: &oci_spec::image::Platform) -> Platform {
    Platform::new(
        &platform.os().to_string(),
        &platform.architecture().to_string(),
        platform.variant().as_deref().unwrap_or(""),
        platform.os_version().as_deref().unwrap_or(""),
    )
}
