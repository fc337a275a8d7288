//! zTOCs from the cache, and new ones into it.
//!
//! One from the cache passes the checks of one of the layout ([`super::reuse`]): it says itself that
//! it is what this run would write, the layer's blob is read whole against its digest, the first and the last
//! span are the layer's, and its bytes are those that this program writes. Its checksum is computed
//! even under `trust_blobs`: that option is about the layout.
//!
//! The cache only ever helps. Whatever is wrong with it is a warning, and the layer is scanned.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ready::ReadyZtoc;
use super::reuse::{self, Candidates, Taken, Wanted};
use super::stage;
use crate::cache::entry::EntryProblem;
use crate::cache::{Cache, CacheKey, Found};
use crate::commands::index::options::Options;
use crate::commands::index::report::{CacheReport, Report, ReusedFrom};
use crate::error::Error;
use crate::layout::commit::StagedBlob;
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;
use crate::ztoc::{Encoding, Ztoc};

/// The cache as one run uses it.
#[derive(Default)]
pub(crate) struct CacheUse {
    cache: Option<Cache>,
    /// zTOCs in registries, behind the cache.
    #[cfg(feature = "registry")]
    remote: super::remote::RemoteZtocs,
    counts: Mutex<CacheReport>,
    /// Set by the first failure: a directory that cannot be written is not tried again and again.
    unwritable: AtomicBool,
    /// By layer, so that their order does not depend on the threads. Those about the whole have none.
    warnings: Mutex<BTreeSet<(Option<Digest>, String)>>,
}

impl CacheUse {
    /// The cache that the options name, if it can be used.
    pub(crate) fn begin(options: &Options) -> Self {
        let mut cache_use = Self::default();
        if let Some(directory) = &options.cache_dir {
            let cache = Cache::new(directory.clone());
            match cache.exists() {
                Ok(_) => cache_use.cache = Some(cache),
                Err(error) => cache_use.note(
                    None,
                    &format!(
                        "the cache {} cannot be used: {error}; going on without it",
                        directory.display()
                    ),
                ),
            }
        }
        #[cfg(feature = "registry")]
        {
            let warn = |warning: &str| cache_use.note(None, warning);
            cache_use.remote = super::remote::RemoteZtocs::begin(options, &warn);
        }
        cache_use
    }

    /// The layers that the SOCI indexes of registries leave eager.
    #[cfg(feature = "registry")]
    pub(super) fn left_eager(&self) -> super::layers::EagerLayers {
        self.remote.left_eager()
    }

    /// The zTOC of a layer from the layout, from the cache or from a registry; `None` when the layer has to be scanned.
    ///
    /// # Errors
    /// Those of the layout: a layer that is not what its descriptor says, a full disk.
    pub(super) fn find(
        &self,
        candidates: &Candidates<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Taken>, Error> {
        let taken = match candidates.take(wanted)? {
            None => self.cached(wanted)?,
            taken => taken,
        };
        #[cfg(feature = "registry")]
        if taken.is_none() {
            return self.remote(wanted);
        }
        Ok(taken)
    }

    #[cfg(feature = "registry")]
    fn remote(&self, wanted: &Wanted<'_>) -> Result<Option<Taken>, Error> {
        let warn = |message: &str| {
            self.note(Some(wanted.layer.digest), message);
            wanted.warn(message);
        };
        let Some((ready, ztoc)) = self.remote.valid(wanted, &warn) else { return Ok(None) };
        let digest = ready.report.ztoc;
        if let Ok(staged) = stage_again(wanted, &ztoc, digest)? {
            return Ok(Some(Taken { ready, ztoc, staged, from: ReusedFrom::Registry }));
        }
        warn(&format!(
            "zTOC {digest} of a registry does not belong to this layer; making a new one"
        ));
        Ok(None)
    }

    fn cached(&self, wanted: &Wanted<'_>) -> Result<Option<Taken>, Error> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let Wanted { layer, compression, options, .. } = *wanted;
        let problem = match cache.get(&key((layer.digest, layer.size), compression, options)) {
            Found::Nothing => None,
            Found::Unusable(problem) => Some(problem.to_string()),
            Found::Entry(found) => match stage_again(wanted, &found.ztoc, found.digest)? {
                Ok(staged) => {
                    if wanted.job.is_some() {
                        found.used();
                    }
                    self.counts().hits += 1;
                    let ready = ReadyZtoc::new(found.digest, found.size, &found.ztoc);
                    let from = ReusedFrom::Cache;
                    return Ok(Some(Taken { ready, ztoc: found.ztoc, staged, from }));
                }
                Err(problem) => Some(problem),
            },
        };
        self.missed();
        if let Some(problem) = problem {
            wanted.warn(&self.reject(layer.digest, &problem));
        }
        Ok(None)
    }

    /// Keeps a zTOC that this run computed.
    pub(super) fn keep(
        &self,
        key: &CacheKey,
        digest: Digest,
        encoding: &Encoding<'_>,
        warn: &dyn Fn(&str),
    ) {
        let Some(cache) = &self.cache else { return };
        if self.unwritable.load(Ordering::Relaxed) {
            return;
        }
        match cache.put(key, digest, encoding) {
            Ok(bytes) => {
                let mut counts = self.counts();
                counts.writes += 1;
                counts.bytes_written += bytes;
            }
            Err(error) => {
                if !self.unwritable.swap(true, Ordering::Relaxed) {
                    let directory = cache.directory().display();
                    let message = format!(
                        "the cache {directory} cannot be written: {error}; this run's zTOCs are not kept there"
                    );
                    warn(&message);
                    self.note(None, &message);
                }
            }
        }
    }

    /// Whether the cache has a usable zTOC for a layer, or a registry says that it has one. It is not taken yet, so no hit is counted.
    #[cfg(feature = "archives")]
    pub(crate) fn has(&self, key: &CacheKey) -> bool {
        #[cfg(feature = "registry")]
        if self.remote.name(key.layer) {
            return true;
        }
        match self.cache.as_ref().map(|cache| cache.get(key)) {
            Some(Found::Entry(_)) => true,
            Some(Found::Unusable(problem)) => {
                self.reject(key.layer, &problem.to_string());
                false
            }
            Some(Found::Nothing) | None => false,
        }
    }

    /// A layer was scanned before the cache was asked for its zTOC.
    pub(super) fn missed(&self) {
        self.counts().misses += 1;
    }

    /// Tells in the report what the run did with the cache, if there was one, and what the user should know, in an order
    /// that does not depend on the threads.
    pub(super) fn tell(&self, report: &mut Report) {
        report.cache = self.cache.as_ref().map(|_| *self.counts());
        let warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        report.warnings.extend(warnings.iter().map(|(_, message)| message.clone()));
    }

    fn counts(&self) -> MutexGuard<'_, CacheReport> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reject(&self, layer: Digest, problem: &str) -> String {
        self.counts().rejected += 1;
        let message =
            format!("the cache entry of layer {layer} cannot be used: {problem}; making a new one");
        self.note(Some(layer), &message);
        message
    }

    fn note(&self, layer: Option<Digest>, message: &str) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.insert((layer, message.to_owned()));
    }
}

/// The key of a layer by its digest and size in bytes.
pub(crate) fn key(layer: (Digest, u64), compression: Compression, options: &Options) -> CacheKey {
    CacheKey {
        layer: layer.0,
        layer_size: layer.1,
        compression,
        span_size: options.span_size,
        build_tool_identifier: options.build_tool_identifier.clone(),
    }
}

/// Writes the zTOC of a layer, which must belong to it, as this program does, which must give `digest`. The inner error is
/// what is wrong with it.
fn stage_again(
    wanted: &Wanted<'_>,
    ztoc: &Ztoc,
    digest: Digest,
) -> Result<Result<Option<StagedBlob>, String>, Error> {
    if !reuse::belongs(wanted.layer, ztoc, wanted.job)? {
        return Ok(Err("its zTOC does not belong to this layer".to_owned()));
    }
    let Some(job) = wanted.job else { return Ok(Ok(None)) };
    if let Ok(encoding) = ztoc.encoding() {
        let (found, staged) =
            stage::ztoc(job.layout, &encoding, job.permissions_from, job.options.second_thread())?;
        if found == digest {
            return Ok(Ok(staged));
        }
    }
    Ok(Err(EntryProblem::Foreign.to_string()))
}
