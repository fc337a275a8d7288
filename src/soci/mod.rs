//! SOCI manifests: the index manifest of an image, and the documents of a layout rewritten to carry
//! it (V2, V1 nested, V1 as a tagged list).

pub(crate) mod bind;
mod descriptors;
mod documents;
pub(crate) mod find;
pub mod index;
pub(crate) mod manifest;
pub(crate) mod new_image;
mod order;
pub(crate) mod originals;
pub(crate) mod prefetch;
pub(crate) mod prefetched;
mod referrers;
mod restore;
mod superseded;
pub(crate) mod unbind;

pub(crate) use crate::oci::annotation::{
    ADDED_PLATFORM, BUILD_TOOL, DISABLE_XATTRS, IMAGE_MANIFEST_DIGEST, INDEX_DIGEST, LAYER_DIGEST,
    LAYER_MEDIA_TYPE, SPAN_SIZE,
};
