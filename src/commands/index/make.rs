//! Makes the zTOC of one layer: scan, encode, stage, keep.

use std::fmt;
use std::io::Read;
use std::path::Path;

use super::cached::CacheUse;
use super::ready::ReadyZtoc;
use super::report::ZtocReport;
use super::stage;
use crate::cache::CacheKey;
use crate::error::Error;
use crate::layer::eager::{EagerCause, EagerReason};
use crate::layer::{Scan, ScanError, ScanObserver, ScanRequest, scan};
use crate::layout::commit::StagedBlob;
use crate::layout::lock::LockedLayout;

/// What a scan left.
#[derive(Debug)]
pub(crate) enum Made {
    /// A zTOC, and its blob unless the layout has it already.
    Ztoc { ready: ReadyZtoc, staged: Option<StagedBlob> },
    /// The layer is eager.
    Eager(EagerReason),
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ztoc { ready, .. } => {
                let ZtocReport { ztoc, spans, files, .. } = &ready.report;
                write!(f, "zTOC {ztoc}: {spans} spans, {files} files")
            }
            Self::Eager(reason) => write!(f, "cannot be indexed: {reason}"),
        }
    }
}

/// Where zTOCs are written.
pub(crate) struct Target<'a> {
    pub(crate) layout: &'a LockedLayout,
    /// The file whose mode and owner a zTOC gets.
    pub(crate) permissions_from: &'a Path,
    pub(crate) cache: &'a CacheUse,
    /// The layer's key in the cache.
    pub(crate) key: &'a CacheKey,
    /// Told when it cannot be kept there.
    pub(crate) warn: &'a dyn Fn(&str),
}

/// Scans a blob, stages its zTOC and keeps it in the cache.
///
/// # Errors
/// [`Error`] when the zTOC cannot be written; inside, what is wrong with the blob.
pub(crate) fn make(
    blob: &mut (dyn Read + Send),
    request: &ScanRequest<'_>,
    observer: &dyn ScanObserver,
    target: &Target<'_>,
) -> Result<Result<Made, ScanError>, Error> {
    let ztoc = match scan(blob, request, observer) {
        Ok(Scan::Indexed(ztoc)) => ztoc,
        Ok(Scan::Eager(reason)) => return Ok(Ok(Made::Eager(reason))),
        Err(error) => return Ok(Err(error)),
    };
    let encoding = match ztoc.encoding() {
        Ok(encoding) => encoding,
        Err(full) => {
            return Ok(Ok(Made::Eager(EagerReason::new(EagerCause::TooLarge, full))));
        }
    };
    let Target { layout, permissions_from, cache, key, warn } = *target;
    let (digest, staged) = stage::ztoc(layout, &encoding, permissions_from, request.second_thread)?;
    cache.keep(key, digest, &encoding, warn);
    Ok(Ok(Made::Ztoc { ready: ReadyZtoc::new(digest, encoding.size(), &ztoc), staged }))
}
