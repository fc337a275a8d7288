//! Scans layers on the side, while their bytes pass by on their way to the disk.
//!
//! What an archive's blobs are is said by documents that come after them. So every blob that begins
//! like a layer is scanned; whether it was one is seen later, and nothing that goes wrong in here is an
//! error, save a wrong digest. [`pieces`] carries the bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::{At, Failure};
use super::pieces::{self, PieceReader, PieceSender};
use super::policy::BlobName;
use crate::cache::CacheKey;
use crate::commands::index::cached::{self, CacheUse};
use crate::commands::index::early::EarlyScans;
use crate::commands::index::make::{Made, Target, make};
use crate::commands::index::options::Options;
use crate::error::Error;
use crate::layer::{ScanError, ScanRequest};
use crate::layout::lock::LockedLayout;
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;
use crate::progress::event::{Outcome, Step};
use crate::progress::steps::{BlobProgress, Steps};
use crate::threads::{self, Slots};

/// A blob whose bytes pass by.
#[derive(Debug)]
pub(super) struct Passing {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) compression: Compression,
    /// The file that is being written; new blobs get its mode.
    pub(super) path: PathBuf,
    pub(super) at: At,
}

/// How a blob that begins with `head` is compressed, if it can be a layer at all.
pub(super) fn sniff(head: &[u8]) -> Option<Compression> {
    match head {
        [0x1f, 0x8b, 8, ..] => Some(Compression::Gzip),
        _ if head.get(257..262) == Some(b"ustar") => Some(Compression::None),
        _ => None,
    }
}

/// The scans of one archive.
pub(super) struct Side<'a> {
    layout: &'a LockedLayout,
    options: &'a Options,
    steps: &'a Steps<'a>,
    cache: &'a CacheUse,
    /// One for each scan that may run.
    turns: Arc<Semaphore>,
    slots: Slots,
    state: Mutex<Outcomes>,
}

#[derive(Default)]
struct Outcomes {
    scans: BTreeMap<(Digest, Compression), Made>,
    failure: Option<Failure>,
}

impl<'a> Side<'a> {
    pub(super) fn new(
        layout: &'a LockedLayout,
        options: &'a Options,
        steps: &'a Steps<'a>,
        cache: &'a CacheUse,
    ) -> Self {
        let threads = threads::wanted(options.jobs);
        let (turns, slots) = (Arc::new(Semaphore::new(threads)), Slots::new(threads));
        Self { layout, options, steps, cache, turns, slots, state: Mutex::default() }
    }

    /// Whether a blob of this size is scanned.
    pub(super) fn wants(&self, size: u64) -> bool {
        size > 0 && size >= self.options.min_layer_size
    }

    /// Starts a scan; waits while as many are running as may be. Nothing is returned when the cache has the
    /// blob's zTOC already, or when no thread can be had: then it is the pipeline's turn.
    pub(super) async fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        blob: Passing,
    ) -> Option<PieceSender> {
        if self.cache.has(&self.key(&blob)) {
            return None;
        }
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let (sender, reader) = pieces::channel();
        threads::spawn(scope, "scan", move || self.scan(blob, reader, turn)).ok()?;
        Some(sender)
    }

    fn key(&self, blob: &Passing) -> CacheKey {
        cached::key((blob.digest, blob.size), blob.compression, self.options)
    }

    fn scan(&self, blob: Passing, mut reader: PieceReader, turn: OwnedSemaphorePermit) {
        let key = self.key(&blob);
        let Passing { digest, size, compression, path, at } = blob;
        let Options { span_size, build_tool_identifier, .. } = self.options;
        let step = self.steps.announce(
            format!("[scan while reading] {digest}"),
            &format!("passing {digest} {compression:?} {span_size} {build_tool_identifier:?}"),
            &[],
        );
        let request = self.options.scan_request((digest, size), compression);
        let result = self.steps.run(&step, || {
            self.slots.run(|| self.scan_one(&request, &mut reader, &path, &step, (&at, &key)))
        });
        // The reader shall not wait for a scan that has ended.
        drop(reader);
        drop(turn);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(Some(made)) => {
                state.scans.insert((digest, compression), made);
            }
            Ok(None) | Err(Error::Cancelled) => {}
            Err(error) => Failure::first(&mut state.failure, at.failure(error)),
        }
    }

    fn scan_one(
        &self,
        request: &ScanRequest<'_>,
        reader: &mut PieceReader,
        permissions_from: &Path,
        step: &Step,
        (at, key): (&At, &CacheKey),
    ) -> Result<(Option<Made>, Outcome), Error> {
        let (steps, slots) = (self.steps, Some(&self.slots));
        let watch = BlobProgress { steps, step, size: request.size, failed: None, slots };
        let warn = |message: &str| self.steps.warn(step, message);
        let Self { layout, cache, .. } = *self;
        let target = Target { layout, permissions_from, cache, key, warn: &warn };
        let made = match make(reader, request, &watch, &target)? {
            Ok(made) => made,
            Err(ScanError::Digest { found }) => {
                return Err(*at.corrupt(BlobName::Sha256(found)).error);
            }
            // The archive ended or was refused; the reader reports it.
            Err(_) => return Err(Error::Cancelled),
        };
        self.steps.log(step, made.to_string());
        Ok((Some(made), Outcome::Done))
    }

    /// The first failure in the order of the archive.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failure.take()
    }

    /// What was found.
    pub(super) fn finish(self) -> EarlyScans {
        EarlyScans::new(self.state.into_inner().unwrap_or_else(PoisonError::into_inner).scans)
    }
}
