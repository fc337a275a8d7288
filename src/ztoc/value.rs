//! The zTOC as a plain value.

use super::paths::OPAQUE;
use super::toc::Toc;
use super::zinfo::{GzipZinfo, TarZinfo};
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;

/// The only version text that is written (reference: `ztoc/ztoc.go`).
pub const ZTOC_VERSION: &str = "0.9";

/// How the layer is compressed, and where reading can begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Zinfo {
    /// gzip, with checkpoints.
    Gzip(GzipZinfo),
    /// Plain tar: spans are cut by arithmetic.
    Tar(TarZinfo),
}

impl Zinfo {
    /// Number of spans.
    #[must_use]
    pub fn span_count(&self) -> u64 {
        match self {
            Self::Gzip(gzip) => gzip.len() as u64,
            Self::Tar(tar) => tar.len(),
        }
    }

    /// Compression of the layers that it is for.
    #[must_use]
    pub fn compression(&self) -> Compression {
        match self {
            Self::Gzip(_) => Compression::Gzip,
            Self::Tar(_) => Compression::None,
        }
    }

    /// Span size in uncompressed bytes, as asked for.
    #[must_use]
    pub fn span_size(&self) -> u64 {
        match self {
            Self::Gzip(gzip) => gzip.span_size(),
            Self::Tar(tar) => tar.span_size,
        }
    }
}

/// A zTOC.
#[derive(Clone, Debug)]
pub struct Ztoc {
    /// Text that names the tool that made it.
    pub build_tool_identifier: String,
    /// Bytes of the layer's blob.
    pub compressed_archive_size: u64,
    /// Bytes of the uncompressed archive up to its end (`soci-formats` 2.6).
    pub uncompressed_archive_size: u64,
    /// The files.
    pub toc: Toc,
    /// Checkpoints.
    pub zinfo: Zinfo,
    /// One digest per span.
    pub span_digests: Vec<Digest>,
}

impl Ztoc {
    /// Whether a reader may be told that the layer has no extended attributes and no opaque
    /// directories (reference: `soci/soci_index.go`, optimisation `xattr`).
    #[must_use]
    pub fn can_disable_xattrs(&self) -> bool {
        let mut files = self.toc.iter();
        files.all(|file| !file.name().ends_with(OPAQUE) && file.xattrs().next().is_none())
    }
}
