//! The settings of a run.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::layout::select::ImageFilter;
use crate::oci::soci_version::{IndexVersion, V1Shape};
use crate::soci::index::DEFAULT_BUILD_TOOL_IDENTIFIER;
use crate::soci::manifest::LayerTypes;

/// What to index and how.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Options {
    /// SOCI index versions to make.
    pub index_version: IndexVersion,
    /// Where a V1 index is hung.
    pub v1_shape: V1Shape,
    /// What becomes of Docker's layer types in a manifest that becomes an OCI manifest (V2).
    pub layer_types: LayerTypes,
    /// Name (`org.opencontainers.image.ref.name`) for the selected entry of `index.json`, which must
    /// have none.
    pub name: Option<String>,
    /// The images to index.
    pub images: ImageFilter,
    /// Uncompressed bytes between checkpoints, at least 1.
    pub span_size: u64,
    /// Layers whose blob is smaller (bytes) get no zTOC.
    pub min_layer_size: u64,
    /// Layers of which a zTOC and its largest span save less than this share (percent) get no zTOC; 0 for any
    /// zTOC, whatever it costs.
    pub min_saving: u8,
    /// Optimisation `xattr`: mark layers without extended attributes.
    pub xattr_optimization: bool,
    /// Text stored in every zTOC and SOCI index. Part of their bytes.
    pub build_tool_identifier: String,
    /// Remove superseded blobs that nothing refers to any more.
    pub prune: bool,
    /// Prune also where the blobs are in a directory outside of the layout, which others may use.
    pub external_blobs: bool,
    /// Make a layer that cannot be indexed an error.
    pub strict: bool,
    /// Take a zTOC that is in the layout already by its structure, without reading its layer's blob and
    /// without hashing its own: a blob that was damaged since is then not noticed. A zTOC from the cache is
    /// hashed, but its layer's blob is not read either.
    pub trust_blobs: bool,
    /// Directory of zTOCs of layers that were indexed before ([`crate::cache`]); `None` for no cache. It is
    /// made when the first zTOC is kept. One that cannot be used is a warning in the report.
    pub cache_dir: Option<PathBuf>,
    /// Decide, but scan and write nothing.
    pub dry_run: bool,
    /// Layers scanned at a time; `None` for one per processor.
    pub jobs: Option<NonZeroUsize>,
}

/// The reference's default span size in bytes.
pub const DEFAULT_SPAN_SIZE: u64 = 4 << 20;
/// The reference's default minimum layer size in bytes.
pub const DEFAULT_MIN_LAYER_SIZE: u64 = 10 << 20;

/// Percent of a layer that a zTOC saves at least: far below what ordinary layers save, and enough to be worth
/// the requests that being lazy costs.
pub const DEFAULT_MIN_SAVING: u8 = 10;

impl Default for Options {
    fn default() -> Self {
        Self {
            index_version: IndexVersion::default(),
            v1_shape: V1Shape::default(),
            layer_types: LayerTypes::default(),
            name: None,
            images: ImageFilter::default(),
            span_size: DEFAULT_SPAN_SIZE,
            min_layer_size: DEFAULT_MIN_LAYER_SIZE,
            min_saving: DEFAULT_MIN_SAVING,
            xattr_optimization: false,
            build_tool_identifier: DEFAULT_BUILD_TOOL_IDENTIFIER.to_owned(),
            prune: false,
            external_blobs: false,
            strict: false,
            trust_blobs: false,
            cache_dir: None,
            dry_run: false,
            jobs: None,
        }
    }
}

impl Options {
    /// All settings that decide what becomes of the documents, for the digest of that step. Which layers have a zTOC
    /// is decided before.
    pub(super) fn of_documents(&self) -> String {
        let Self {
            index_version,
            v1_shape,
            layer_types,
            name,
            images,
            span_size,
            xattr_optimization,
            build_tool_identifier,
            prune,
            min_layer_size: _,
            min_saving: _,
            external_blobs: _,
            strict: _,
            trust_blobs: _,
            cache_dir: _,
            dry_run: _,
            jobs: _,
        } = self;
        format!(
            "{index_version:?} {v1_shape:?} {layer_types:?} {name:?} {images:?} {span_size} {xattr_optimization} \
             {build_tool_identifier:?} {prune}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_documents_have_the_same_step() {
        let plain = Options::default();
        let same = Options {
            jobs: NonZeroUsize::new(3),
            cache_dir: Some("c".into()),
            trust_blobs: true,
            strict: true,
            ..plain.clone()
        };
        assert_eq!(plain.of_documents(), same.of_documents());
        for other in [
            Options { index_version: IndexVersion::Both, ..plain.clone() },
            Options { name: Some("n".into()), ..plain.clone() },
            Options { span_size: 1, ..plain.clone() },
            Options { prune: true, ..plain.clone() },
        ] {
            assert_ne!(plain.of_documents(), other.of_documents(), "{other:?}");
        }
    }
}
