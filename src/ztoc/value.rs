//! The zTOC as a plain value.

use std::ops::Range;

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

    /// The span that `offset` of the uncompressed archive lies in: the last one that begins at or before it.
    /// Nothing when there are no spans.
    #[must_use]
    pub fn span_at(&self, offset: u64) -> Option<u64> {
        let behind = match self {
            Self::Tar(tar) => (offset / tar.span_size).saturating_add(1).min(tar.len()),
            Self::Gzip(gzip) => {
                let (mut low, mut high) = (0, gzip.len());
                while low < high {
                    let middle = low.midpoint(high);
                    if gzip.checkpoint(middle).uncompressed_offset <= offset {
                        low = middle + 1;
                    } else {
                        high = middle;
                    }
                }
                low as u64
            }
        };
        behind.checked_sub(1)
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

    /// The bytes of the blob that a reader fetches for a span, as far as they make sense in a zTOC from elsewhere.
    ///
    /// # Panics
    /// When there is no span of that number.
    #[must_use]
    pub fn span_bytes(&self, number: u64) -> Range<u64> {
        let size = self.compressed_archive_size;
        let (start, end) = match &self.zinfo {
            Zinfo::Gzip(gzip) => {
                let at = number as usize;
                let next = (at + 1 < gzip.len()).then(|| gzip.checkpoint(at + 1));
                (gzip.checkpoint(at).span_start(), next.map_or(size, |n| n.compressed_offset))
            }
            Zinfo::Tar(tar) => {
                let start = number.saturating_mul(tar.span_size);
                (start, start.saturating_add(tar.span_size).min(size))
            }
        };
        start..end.max(start)
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
