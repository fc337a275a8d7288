//! Media types: which layers can be indexed, and what documents are.
//!
//! The tables of the reference (`soci/soci_index.go`, containerd `images`; `soci-formats` 5.3).

/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Docker manifest list.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// An in-toto statement: what an attestation says about an image.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// SOCI index V1 (as `config.mediaType` and artifact type).
pub const SOCI_INDEX_V1: &str = "application/vnd.amazon.soci.index.v1+json";
/// SOCI index V2.
pub const SOCI_INDEX_V2: &str = "application/vnd.amazon.soci.index.v2+json";
/// A list of spans to fetch early, in a SOCI index (`soci-formats` 5.4).
pub const SOCI_PREFETCH: &str = "application/vnd.amazon.soci.prefetch.v1+json";
/// A zTOC in a SOCI index.
pub const ZTOC: &str = "application/octet-stream";

/// Beginning of the types of Docker's layers.
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.";

/// Whether a descriptor of this type leads to an index (or Docker manifest list).
#[must_use]
pub fn is_index(media_type: &str) -> bool {
    media_type == OCI_INDEX || media_type == DOCKER_MANIFEST_LIST
}

/// Whether a descriptor of this type leads to a manifest.
#[must_use]
pub fn is_manifest(media_type: &str) -> bool {
    media_type == OCI_MANIFEST || media_type == DOCKER_MANIFEST
}

/// Whether a manifest with a configuration of this type is an image.
#[must_use]
pub fn is_image_config(media_type: &str) -> bool {
    media_type == OCI_CONFIG || media_type == DOCKER_CONFIG
}

/// Whether a layer may be missing from a layout because it must not be handed on.
#[must_use]
pub fn is_nondistributable(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
}

/// The OCI type for what a Docker layer type means; other types are given back.
#[must_use]
pub fn oci_layer_type(media_type: &str) -> &str {
    match media_type.strip_prefix(DOCKER_LAYER) {
        Some("diff.tar.gzip") => "application/vnd.oci.image.layer.v1.tar+gzip",
        Some("diff.tar.zstd") => "application/vnd.oci.image.layer.v1.tar+zstd",
        Some("diff.tar") => "application/vnd.oci.image.layer.v1.tar",
        Some("foreign.diff.tar.gzip") => {
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
        }
        Some("foreign.diff.tar.zstd") => {
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
        }
        // Also an uncompressed foreign layer: under its OCI type it cannot be indexed, and a second run would
        // take its zTOC away.
        _ => media_type,
    }
}

/// How a layer that can be indexed is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// gzip with any number of members.
    Gzip,
    /// Plain tar.
    None,
}

impl Compression {
    /// Its name in reports and in the cache.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::None => "none",
        }
    }
}

/// What a layer's media type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerKind {
    /// Can be indexed.
    Indexable(Compression),
    /// A layer that has no zTOC, with the reason.
    Unsupported(&'static str),
    /// Not a layer at all.
    NotALayer,
}

const ZSTD: &str = "zstd compression is not supported by the SOCI format";
const SUFFIX: &str = "the media type's suffix is not one that the SOCI format supports";
const ENCRYPTED: &str = "the layer is encrypted";
const BARE_NONDISTRIBUTABLE: &str =
    "an uncompressed non-distributable layer is not supported by the SOCI format";

/// Whether a layer is a tar compressed with zstd, and nothing else: it can be read, if not indexed.
#[must_use]
pub fn is_zstd(media_type: &str) -> bool {
    layer_kind(media_type) == LayerKind::Unsupported(ZSTD)
}

/// Whether a layer is encrypted: nothing can be said about its content.
#[must_use]
pub fn is_encrypted(media_type: &str) -> bool {
    layer_kind(media_type) == LayerKind::Unsupported(ENCRYPTED)
}

/// Reads a layer's media type.
#[must_use]
pub fn layer_kind(media_type: &str) -> LayerKind {
    let (base, suffixes) =
        media_type.split_once('+').map_or((media_type, None), |(b, s)| (b, Some(s)));
    if let Some(kind) = base.strip_prefix(DOCKER_LAYER) {
        let kind = kind.strip_prefix("foreign.").unwrap_or(kind);
        return match (kind, suffixes) {
            ("diff.tar.gzip", None) => LayerKind::Indexable(Compression::Gzip),
            ("diff.tar", None) => LayerKind::Indexable(Compression::None),
            ("diff.tar.zstd", _) => LayerKind::Unsupported(ZSTD),
            ("diff.tar.gzip" | "diff.tar", Some(_)) => LayerKind::Unsupported(SUFFIX),
            _ => LayerKind::NotALayer,
        };
    }
    let Some(kind) = base.strip_prefix("application/vnd.oci.image.layer.") else {
        return LayerKind::NotALayer;
    };
    // The reference would take such a layer for gzip and fail on its content.
    if suffixes.is_some_and(|s| s.split('+').any(|suffix| suffix == "encrypted")) {
        return LayerKind::Unsupported(ENCRYPTED);
    }
    // The reference sorts the suffixes and looks at the last one.
    let last = suffixes.and_then(|s| s.split('+').max());
    match (kind, last) {
        ("v1.tar" | "nondistributable.v1.tar", Some("gzip")) => {
            LayerKind::Indexable(Compression::Gzip)
        }
        ("v1.tar" | "nondistributable.v1.tar", Some("zstd")) => LayerKind::Unsupported(ZSTD),
        ("v1.tar", None) => LayerKind::Indexable(Compression::None),
        ("nondistributable.v1.tar", None) => LayerKind::Unsupported(BARE_NONDISTRIBUTABLE),
        _ => LayerKind::Unsupported(SUFFIX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_kinds() {
        let gzip = LayerKind::Indexable(Compression::Gzip);
        let tar = LayerKind::Indexable(Compression::None);
        for (media_type, expected) in [
            ("application/vnd.oci.image.layer.v1.tar+gzip", gzip),
            (
                "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
                LayerKind::Unsupported(ENCRYPTED),
            ),
            ("application/vnd.oci.image.layer.v1.tar", tar),
            ("application/vnd.oci.image.layer.v1.tar+zstd", LayerKind::Unsupported(ZSTD)),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", gzip),
            ("application/vnd.oci.image.layer.v1.tar.gz", LayerKind::Unsupported(SUFFIX)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", gzip),
            ("application/vnd.docker.image.rootfs.diff.tar", tar),
            ("application/vnd.docker.image.rootfs.diff.tar.zstd", LayerKind::Unsupported(ZSTD)),
            ("application/vnd.in-toto+json", LayerKind::NotALayer),
            ("", LayerKind::NotALayer),
        ] {
            assert_eq!(layer_kind(media_type), expected, "{media_type}");
        }
    }
}
