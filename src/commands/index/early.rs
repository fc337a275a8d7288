//! Layers scanned while their archive is still arriving, before the run proper begins.
//!
//! A scan depends on the blob's digest, on how it is read, and on the span size and identifier of the
//! options. The latter are the run's own, so the first two are the key.

#![cfg_attr(not(feature = "archives"), expect(dead_code, reason = "archives alone scan early"))]

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::cached::CacheUse;
use super::layers::{LayerKey, ReadyZtoc, numbers};
use super::stage;
use crate::cache::CacheKey;
use crate::commands::index::report::ZtocReport;
use crate::error::Error;
use crate::layer::eager::{EagerCause, EagerReason};
use crate::layer::{Scan, ScanError, ScanObserver, ScanRequest, scan as scan_blob};
use crate::layout::commit::StagedBlob;
use crate::layout::lock::LockedLayout;

/// What a scan left.
#[derive(Debug)]
pub(crate) enum Early {
    /// A zTOC, and its blob unless the layout has it already.
    Indexed { ready: ReadyZtoc, numbers: ZtocReport, staged: Option<StagedBlob> },
    /// The layer is eager.
    Eager(EagerReason),
}

impl fmt::Display for Early {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Indexed { ready, numbers, .. } => {
                let ZtocReport { spans, files, .. } = numbers;
                write!(f, "zTOC {}: {spans} spans, {files} files", ready.digest)
            }
            Self::Eager(reason) => write!(f, "cannot be indexed: {reason}"),
        }
    }
}

/// All scans of an archive; each is taken once.
#[derive(Debug, Default)]
pub(crate) struct EarlyScans {
    scans: Mutex<BTreeMap<LayerKey, Early>>,
    /// Whether every blob of the layout was held to its digest while it was written.
    whole: bool,
}

impl EarlyScans {
    /// The scans of a layout whose blobs were all checked when they were written.
    pub(crate) fn new(scans: BTreeMap<LayerKey, Early>) -> Self {
        Self { scans: Mutex::new(scans), whole: true }
    }

    pub(super) fn blobs_are_whole(&self) -> bool {
        self.whole
    }

    /// The scan of a layer, if there was one.
    pub(super) fn take(&self, key: LayerKey) -> Option<Early> {
        self.scans.lock().unwrap_or_else(PoisonError::into_inner).remove(&key)
    }
}

/// Where a zTOC is kept for other runs.
pub(crate) struct Keeper<'a> {
    pub(crate) cache: &'a CacheUse,
    /// The layer's key there.
    pub(crate) key: &'a CacheKey,
    /// Told when it cannot be kept.
    pub(crate) warn: &'a dyn Fn(&str),
}

/// Scans a blob, stages its zTOC and gives it to `keeper`. `like` is a file whose mode and owner the zTOC
/// gets.
///
/// # Errors
/// [`Error`] when the zTOC cannot be written; inside, what is wrong with the blob.
pub(crate) fn scan(
    layout: &LockedLayout,
    blob: &mut (dyn Read + Send),
    request: &ScanRequest<'_>,
    like: &Path,
    observer: &dyn ScanObserver,
    keeper: &Keeper<'_>,
) -> Result<Result<Early, ScanError>, Error> {
    let ztoc = match scan_blob(blob, request, observer) {
        Ok(Scan::Indexed(ztoc)) => ztoc,
        Ok(Scan::Eager(reason)) => return Ok(Ok(Early::Eager(reason))),
        Err(error) => return Ok(Err(error)),
    };
    let encoding = match ztoc.encoding() {
        Ok(encoding) => encoding,
        Err(full) => {
            return Ok(Ok(Early::Eager(EagerReason::new(EagerCause::TooLarge, full))));
        }
    };
    let (digest, staged) = stage::ztoc(layout, &encoding, like, request.second_thread)?;
    keeper.cache.keep(keeper.key, digest, &encoding, keeper.warn);
    let ready = ReadyZtoc::new(digest, encoding.size(), &ztoc);
    Ok(Ok(Early::Indexed { ready, numbers: numbers(&ready, &ztoc), staged }))
}
