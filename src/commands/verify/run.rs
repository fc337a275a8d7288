//! A run: the documents, the layers, then what they say of each other.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use super::finding::{VERIFICATION_VERSION, Verification};
use super::findings::Findings;
use super::layer::Work;
use super::workload::Workload;
use super::{document, eager, hidden, job, others};
use crate::commands::parents;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::select::{ImageFilter, select};
use crate::layout::tree;
use crate::limits::MAX_ZTOC_SIZE;
use crate::progress::event::Observer;
use crate::progress::steps::Steps;
#[cfg(feature = "registry")]
use crate::registry::{Reference, RegistryOptions, RemoteImage, with_client};
use crate::threads;
use crate::ztoc::Ztoc;

/// What to verify.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// The images to verify.
    pub images: ImageFilter,
    /// Threads; `None` for one per processor.
    pub jobs: Option<NonZeroUsize>,
    /// How a registry is reached.
    #[cfg(feature = "registry")]
    pub registry: RegistryOptions,
}

/// Verifies the layout directory at `path`. Nothing is locked or written.
///
/// # Errors
/// [`Error`] when the documents of the layout cannot be read at all, or for a name or platform that it
/// does not have. Everything else that is wrong is a [finding](super::Finding).
pub fn verify(
    path: &Path,
    options: &VerifyOptions,
    observer: &dyn Observer,
) -> Result<Verification, Error> {
    verify_layout(&Layout::open(path)?, path, options, &Steps::new(observer))
}

/// Verifies an image in a registry: its layers are read as they come.
///
/// # Errors
/// As [`verify`], and [`Error::Registry`].
#[cfg(feature = "registry")]
pub fn verify_registry(
    reference: &Reference,
    options: &VerifyOptions,
    observer: &dyn Observer,
) -> Result<Verification, Error> {
    with_client(&options.registry, &|| observer.cancelled(), |client| {
        let name = reference.tag.as_deref().or(reference.digest.is_none().then_some("latest"));
        let image = RemoteImage::fetch(client, reference, name, true)?;
        let shown = reference.to_string();
        let shown = Path::new(&shown);
        image.ended(verify_layout(&image.layout, shown, options, &Steps::new(observer)))
    })
}

/// `shown` is what people know the layout by.
fn verify_layout(
    layout: &Layout,
    shown: &Path,
    options: &VerifyOptions,
    steps: &Steps<'_>,
) -> Result<Verification, Error> {
    let start = Instant::now();
    let tree = tree::read(layout)?;
    let selection = select(&tree, &options.images, shown)?;
    let mut findings = Findings::default();
    others::absent(&tree, &selection, &options.images, &mut findings);
    let mut workload = Workload::make(layout, &tree, &selection, &mut findings)?;
    let ztoc = |(digest, size)| {
        let bytes = document::read(layout, digest, size, MAX_ZTOC_SIZE)?;
        Ok(bytes.ok().and_then(|bytes| Ztoc::decode(&bytes).ok()))
    };
    let watched = parents::watch(&workload.stacks, &ztoc, options.jobs, steps)?;
    let threads = threads::wanted(options.jobs);
    let work = Work { layout, steps, threads, watched: &watched };
    let compared = job::run(&work, &workload.jobs, &mut findings)?;
    eager::tell(&mut workload, &compared);
    hidden::check(&workload.stacks, &watched, &compared.seen, &mut findings);
    others::unnamed(&tree, &selection, &mut findings);
    others::unclassified(layout, &tree, &mut findings);
    others::blobs(layout, &tree, &workload, &mut findings)?;
    Ok(Verification {
        version: VERIFICATION_VERSION,
        images: workload.images,
        findings: findings.finish(),
        layers: workload.jobs.iter().map(|job| job.layers.len() as u64).sum(),
        checkpoints: compared.checkpoints,
        files: compared.files,
        seconds: start.elapsed().as_secs_f64(),
    })
}
