//! The settings of a run.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::commands::layer_choice::LayerChoice;
use crate::commands::link::Link;
use crate::commands::traced::{BlobRange, TracedFile};
use crate::layer::ScanRequest;
use crate::layout::select::ImageFilter;
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;
use crate::oci::soci_version::{IndexVersion, V1Shape, V2Platform};
use crate::soci::index::DEFAULT_BUILD_TOOL_IDENTIFIER;
use crate::soci::manifest::LayerTypes;

/// What to index and how.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[non_exhaustive]
pub struct Options {
    /// SOCI index versions to make.
    pub index_version: IndexVersion,
    /// Where a V1 index is hung.
    pub v1_shape: V1Shape,
    /// The platform of a V2 index in an image index.
    pub v2_platform: V2Platform,
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
    /// Layers that get no zTOC, by digest or by number in each selected image. One that no image has is an error.
    pub skip_layers: Vec<LayerChoice>,
    /// Optimisation `xattr`: mark layers without extended attributes.
    pub xattr_optimization: bool,
    /// Text stored in every zTOC and SOCI index. Part of their bytes.
    pub build_tool_identifier: String,
    /// Files that readers fetch before they start the image.
    pub prefetch: PrefetchFiles,
    /// The line for which the report says how soon the images start; `None` for no such estimate.
    pub link: Option<Link>,
    /// Remove superseded blobs that nothing refers to any more.
    pub prune: bool,
    /// Prune also where the blobs are in a directory outside of the layout, which others may use.
    pub external_blobs: bool,
    /// Make a layer that cannot be indexed an error.
    pub strict: bool,
    /// Index layers also when a lazy mount would show something else than unpacking gives, as the reference
    /// does.
    pub accept_unlike_unpacked: bool,
    /// Take a zTOC that is in the layout already by its structure, without reading its layer's blob and
    /// without hashing its own: a blob that was damaged since is then not noticed. A zTOC from the cache is
    /// hashed, but its layer's blob is not read either.
    pub trust_blobs: bool,
    /// Directory of zTOCs of layers that were indexed before ([`crate::cache`]); `None` for no cache. It is
    /// made when the first zTOC is kept. One that cannot be used is a warning in the report.
    pub cache_dir: Option<PathBuf>,
    /// Images in registries whose SOCI indexes may have zTOCs of these layers. One that cannot be read is a warning in the
    /// report.
    #[cfg(feature = "registry")]
    pub cache_from: Vec<crate::registry::Reference>,
    /// How these registries are reached.
    #[cfg(feature = "registry")]
    pub registry: crate::registry::RegistryOptions,
    /// Decide, but scan and write nothing.
    pub dry_run: bool,
    /// Layers scanned at a time; `None` for one per processor.
    pub jobs: Option<NonZeroUsize>,
}

/// Files that are fetched before an image starts, in the order of their importance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefetchFiles {
    /// Files, directories (all files below) and globs (`*`, `?`, `[…]`, `{…}`, and `**` for any number of directories),
    /// as somebody wrote them.
    pub files: Vec<String>,
    /// Files by their very names, as somebody recorded them. Those that are not there are only counted.
    pub traced: Vec<TracedFile>,
    /// Bytes of layers, as somebody recorded them. Those of other images are only counted.
    pub ranges: Vec<BlobRange>,
    /// How long fetching may take; `None` for all of it.
    pub limit: Option<PrefetchLimit>,
}

/// How much is fetched ahead: the first files that a line carries in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefetchLimit {
    /// The time.
    pub time: Duration,
    /// The line.
    pub link: Link,
}

impl PrefetchFiles {
    /// Whether there is nothing to fetch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.traced.is_empty() && self.ranges.is_empty()
    }
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
            v2_platform: V2Platform::default(),
            layer_types: LayerTypes::default(),
            name: None,
            images: ImageFilter::default(),
            span_size: DEFAULT_SPAN_SIZE,
            min_layer_size: DEFAULT_MIN_LAYER_SIZE,
            min_saving: DEFAULT_MIN_SAVING,
            skip_layers: Vec::new(),
            xattr_optimization: false,
            build_tool_identifier: DEFAULT_BUILD_TOOL_IDENTIFIER.to_owned(),
            prefetch: PrefetchFiles::default(),
            link: None,
            prune: false,
            external_blobs: false,
            strict: false,
            accept_unlike_unpacked: false,
            trust_blobs: false,
            cache_dir: None,
            #[cfg(feature = "registry")]
            cache_from: Vec::new(),
            #[cfg(feature = "registry")]
            registry: crate::registry::RegistryOptions::default(),
            dry_run: false,
            jobs: None,
        }
    }
}

impl Options {
    /// The scan of a layer of this digest and size in bytes.
    pub(crate) fn scan_request(
        &self,
        (digest, size): (Digest, u64),
        compression: Compression,
    ) -> ScanRequest<'_> {
        ScanRequest {
            digest,
            size,
            compression,
            span_size: self.span_size,
            build_tool_identifier: &self.build_tool_identifier,
            second_thread: self.second_thread(),
        }
    }

    /// Whether a layer may have a second thread of its own.
    pub(super) fn second_thread(&self) -> bool {
        self.jobs.is_none_or(|jobs| jobs.get() > 1)
    }

    /// All settings that decide what becomes of the documents, for the digest of that step. Which layers have a zTOC
    /// is decided before.
    pub(super) fn of_documents(&self) -> String {
        let Self {
            index_version,
            v1_shape,
            v2_platform,
            layer_types,
            name,
            images,
            span_size,
            xattr_optimization,
            build_tool_identifier,
            prune,
            prefetch,
            skip_layers: _,
            accept_unlike_unpacked: _,
            min_layer_size: _,
            min_saving: _,
            external_blobs: _,
            strict: _,
            trust_blobs: _,
            cache_dir: _,
            #[cfg(feature = "registry")]
                cache_from: _,
            #[cfg(feature = "registry")]
                registry: _,
            dry_run: _,
            link: _,
            jobs: _,
        } = self;
        format!(
            "{index_version:?} {v1_shape:?} {v2_platform:?} {layer_types:?} {name:?} {images:?} {span_size} {xattr_optimization} \
             {build_tool_identifier:?} {prune} {prefetch:?}"
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
