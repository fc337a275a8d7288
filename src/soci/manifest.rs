//! An image manifest with and without the annotation that names its SOCI V2 index.

use super::INDEX_DIGEST;
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, MANIFEST};
use crate::oci::json::edit::{remove_member, set_member};
use crate::oci::json::{members, string};
use crate::oci::media_type::{OCI_CONFIG, OCI_MANIFEST};

type Result<T> = std::result::Result<T, serde_json::Error>;

/// The manifest with the annotation, as the reference's conversion writes it (`soci-formats` 6.1):
/// canonical, manifest and configuration with their OCI types, layers as they were.
pub(super) fn annotate(text: &str, soci_index: &Digest) -> Result<String> {
    let text = set_annotation(text, INDEX_DIGEST, &soci_index.to_string())?;
    let text = set_member(&text, "mediaType", &string(OCI_MANIFEST))?;
    let config = member(&text, "config")?.unwrap_or_else(|| "{}".to_owned());
    let config = set_member(&config, "mediaType", &string(OCI_CONFIG))?;
    canonical::encode(&set_member(&text, "config", &config)?, &MANIFEST)
}

/// The manifest without the annotation, canonical.
pub(super) fn strip(text: &str) -> Result<String> {
    canonical::encode(&remove_annotation(text, INDEX_DIGEST)?, &MANIFEST)
}

/// Sets an annotation of a manifest or descriptor.
pub(super) fn set_annotation(text: &str, name: &str, value: &str) -> Result<String> {
    let annotations = member(text, "annotations")?.unwrap_or_else(|| "{}".to_owned());
    set_member(text, "annotations", &set_member(&annotations, name, &string(value))?)
}

/// Removes an annotation of a manifest or descriptor, and the map when it was the last.
pub(super) fn remove_annotation(text: &str, name: &str) -> Result<String> {
    let Some(annotations) = member(text, "annotations")? else {
        return Ok(text.to_owned());
    };
    let rest = remove_member(&annotations, name)?;
    if members(&rest)?.is_empty() && !members(&annotations)?.is_empty() {
        remove_member(text, "annotations")
    } else {
        set_member(text, "annotations", &rest)
    }
}

/// Value of a member; `None` when it is absent or null.
pub(super) fn member(text: &str, name: &str) -> Result<Option<String>> {
    let found = members(text)?.into_iter().find(|member| member.name == name);
    Ok(found.filter(|member| member.value != "null").map(|member| member.value.to_owned()))
}
