//! The zTOC as a plain value.

use super::toc::Toc;
use super::zinfo::{self, GzipZinfo, TarZinfo};
use crate::oci::digest::Digest;

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
    /// Bytes of the blob in the largest span: the most that a reader fetches for one place.
    #[must_use]
    pub fn largest_span(&self) -> u64 {
        match &self.zinfo {
            Zinfo::Gzip(gzip) => {
                let starts = gzip.checkpoints().map(|checkpoint| checkpoint.span_start());
                zinfo::largest_span(starts, self.compressed_archive_size)
            }
            Zinfo::Tar(tar) => tar.span_size.min(tar.size),
        }
    }

    /// Whether a reader may be told that the layer has no extended attributes and no opaque
    /// directories (reference: `soci/soci_index.go`, optimisation `xattr`).
    #[must_use]
    pub fn can_disable_xattrs(&self) -> bool {
        self.toc.iter().all(|file| {
            !file.name().ends_with(b".wh..wh..opq")
                && file.pax().all(|(key, _)| !key.starts_with(b"SCHILY.xattr."))
        })
    }
}
