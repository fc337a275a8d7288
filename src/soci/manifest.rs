//! An image manifest with and without the annotation that names its SOCI V2 index.

use super::INDEX_DIGEST;
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, MANIFEST};
use crate::oci::json::edit::{Edit, edit_array, remove_member, set_member};
use crate::oci::json::{elements, members, parse_string, string};
use crate::oci::media_type::{OCI_CONFIG, OCI_MANIFEST, oci_layer_type};

type Result<T> = std::result::Result<T, serde_json::Error>;

/// What becomes of Docker's media types of the layers when a manifest becomes an OCI manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LayerTypes {
    /// They become the OCI types for the same content, as in a conversion to OCI.
    #[default]
    Oci,
    /// They stay, as the reference leaves them.
    Keep,
}

impl LayerTypes {
    /// The type that a layer of `media_type` then has.
    pub(super) fn of(self, media_type: &str) -> &str {
        match self {
            Self::Oci => oci_layer_type(media_type),
            Self::Keep => media_type,
        }
    }
}

/// The manifest with the annotation: canonical and with the OCI types of manifest and configuration, as the
/// reference's conversion writes it (`soci-formats` 6.1).
///
/// The reference leaves Docker's layer types in it. Tools that convert images (skopeo, podman, builders) know
/// no such mixture and fail, so `layers` are converted by default.
pub(super) fn annotate(text: &str, soci_index: &Digest, layers: LayerTypes) -> Result<String> {
    let text = set_annotation(text, INDEX_DIGEST, &soci_index.to_string())?;
    let text = set_member(&text, "mediaType", &string(OCI_MANIFEST))?;
    let config = member(&text, "config")?.unwrap_or_else(|| "{}".to_owned());
    let config = set_member(&config, "mediaType", &string(OCI_CONFIG))?;
    let text = set_member(&text, "config", &config)?;
    canonical::encode(&with_layer_types(&text, layers)?, &MANIFEST)
}

fn with_layer_types(text: &str, types: LayerTypes) -> Result<String> {
    let Some(layers) = member(text, "layers")? else { return Ok(text.to_owned()) };
    let mut edits = Vec::new();
    for layer in elements(&layers)? {
        let media_type = member(layer.value, "mediaType")?.map(|raw| parse_string(&raw));
        let media_type = media_type.transpose()?.unwrap_or_default();
        let new = types.of(&media_type);
        let changed = new != media_type;
        let layer = changed.then(|| set_member(layer.value, "mediaType", &string(new)));
        edits.push(Edit::from(layer.transpose()?));
    }
    set_member(text, "layers", &edit_array(&layers, &edits, &[])?)
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
