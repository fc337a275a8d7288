//! Indexes many images of registries, one after the other: one that fails does not keep the others from being done. A run
//! that was killed goes on by being started again, as what is there already is found in the registry.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::layers::{EagerLayers, LayerKey};
use super::options::Options;
use super::registry::index_with;
use super::report::{LayerOutcome, LayerReport, Report};
use crate::error::Error;
use crate::layer::eager::{EagerCause, EagerReason};
use crate::layout::workplace::Workplace;
use crate::oci::digest::Digest;
use crate::oci::media_type::{LayerKind, layer_kind};
use crate::progress::event::Observer;
use crate::progress::steps::Steps;
use crate::registry::{Reference, with_client};

/// Version of the JSON form of an [`ImageRecord`].
pub const IMAGE_RECORD_VERSION: u32 = 1;

/// What became of one image of a list; the JSON form is public and only grows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageRecord {
    /// [`IMAGE_RECORD_VERSION`].
    pub version: u32,
    /// The image.
    pub image: String,
    /// The tag that leads to the result.
    pub to: Option<String>,
    /// How it ended.
    pub result: ImageResult,
    /// Digest of the result.
    pub digest: Option<Digest>,
    /// Layers that were scanned.
    pub layers_scanned: u64,
    /// Their compressed bytes.
    pub bytes_scanned: u64,
    /// Layers whose zTOC was in the cache or in the registry.
    pub layers_reused: u64,
    /// What should be known although it ended well.
    pub warnings: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// How the work on an image ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ImageResult {
    /// It was written.
    Done,
    /// All of it was there.
    There,
    /// Less is lazy than was asked for, so nothing was written.
    Refused,
    /// There was an error.
    #[default]
    Failed,
}

/// Indexes images of registries, each with the tag that is to lead to it, as [`index_registry`](super::registry::index_registry)
/// does. `tell` gets a record of each when it has ended. Layers that several images have are scanned once: without
/// [`Options::cache_dir`] a directory for temporary files is the cache.
///
/// # Errors
/// [`Error::Cancelled`], and what keeps all images from being indexed.
pub fn index_list(
    images: &[(Reference, Option<Reference>)],
    options: &Options,
    accepts: &(dyn Fn(&Report) -> bool + Sync),
    tell: &mut dyn FnMut(&ImageRecord),
    observer: &dyn Observer,
) -> Result<(), Error> {
    let work = Workplace::new(&std::env::temp_dir())?;
    let mut options = options.clone();
    options.cache_dir.get_or_insert_with(|| -> PathBuf { work.join("cache") });
    let steps = Steps::new(observer);
    with_client(&options.registry, &|| observer.cancelled(), |client| {
        let mut eager = EagerLayers::new();
        for (from, to) in images {
            let start = Instant::now();
            let to = to.as_ref();
            let ended = index_with(client, (from, to), (&options, &eager), accepts, &steps);
            if observer.cancelled() || matches!(ended, Err(Error::Cancelled)) {
                return Err(Error::Cancelled);
            }
            eager.extend(ended.iter().flat_map(|report| &report.layers).filter_map(eager_as_such));
            let mut record = record(ended, options.dry_run);
            record.image = from.to_string();
            record.to = to.map(ToString::to_string);
            record.seconds = start.elapsed().as_secs_f64();
            tell(&record);
        }
        Ok(())
    })
}

/// A layer that stays eager in every image, for its content. Of the others the cache has the zTOC.
fn eager_as_such(layer: &LayerReport) -> Option<(LayerKey, EagerReason)> {
    use EagerCause::{Entry, Mislabelled, TooLarge, Unreadable};
    let LayerOutcome::Skipped(reason) = &layer.outcome else { return None };
    let LayerKind::Indexable(compression) = layer_kind(&layer.media_type) else { return None };
    let content = matches!(reason.cause, Mislabelled | Unreadable | Entry | TooLarge);
    content.then(|| ((layer.digest, compression), reason.clone()))
}

/// What is to be said of an image that ended like this.
fn record(ended: Result<Report, Error>, dry_run: bool) -> ImageRecord {
    let mut record = ImageRecord { version: IMAGE_RECORD_VERSION, ..ImageRecord::default() };
    let report = match ended {
        Ok(report) => report,
        Err(error) => {
            let causes = std::iter::successors(error.source(), |cause| (*cause).source());
            let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
            record.error = Some(text);
            return record;
        }
    };
    for layer in &report.layers {
        match layer.outcome {
            LayerOutcome::Indexed { .. } => {
                record.layers_scanned += 1;
                record.bytes_scanned += layer.size;
            }
            LayerOutcome::Reused { .. } => record.layers_reused += 1,
            _ => {}
        }
    }
    let sent = |pushed: &crate::commands::push::PushReport| {
        let tag_moved = pushed.before.as_ref() != Some(&pushed.digest.to_string());
        let tagged = !pushed.reference.contains('@');
        pushed.blobs_sent + pushed.blobs_mounted + pushed.manifests_sent > 0
            || (tagged && tag_moved)
    };
    record.result = match &report.pushed {
        None if dry_run => ImageResult::There,
        None => ImageResult::Refused,
        Some(pushed) if sent(pushed) => ImageResult::Done,
        Some(_) => ImageResult::There,
    };
    record.digest = report.pushed.map(|pushed| pushed.digest);
    record.warnings = report.warnings;
    record
}
