//! Annotations that say which SOCI index belongs to what.

/// Annotation of an image manifest: digest of its SOCI V2 index. The consumer looks here and nowhere
/// else (`soci-formats` 7.1).
pub const INDEX_DIGEST: &str = "com.amazon.soci.index-digest";
/// Annotation of a SOCI index's descriptor: digest of its image manifest.
pub(crate) const IMAGE_MANIFEST_DIGEST: &str = "com.amazon.soci.image-manifest-digest";
/// Annotation of a zTOC's descriptor: digest of its layer.
pub(crate) const LAYER_DIGEST: &str = "com.amazon.soci.image-layer-digest";
/// Annotation of a zTOC's descriptor: media type of its layer.
pub(crate) const LAYER_MEDIA_TYPE: &str = "com.amazon.soci.image-layer-mediaType";
/// Annotation of a zTOC's descriptor: span size in bytes.
pub(crate) const SPAN_SIZE: &str = "com.amazon.soci.span-size";
/// Annotation of a zTOC's descriptor: the layer has no extended attributes.
pub(crate) const DISABLE_XATTRS: &str = "com.amazon.soci.disable-xattrs";
/// Annotation of an entry of `index.json` whose image got its index from us and its platform from the
/// image's configuration: the entry had none. Only [`crate::soci::unbind`] looks at it; push tools do not carry it.
pub(crate) const ADDED_PLATFORM: &str = "soci-layout.added-platform";
/// Annotation of a SOCI index: the tool.
pub(crate) const BUILD_TOOL: &str = "com.amazon.soci.build-tool-identifier";
