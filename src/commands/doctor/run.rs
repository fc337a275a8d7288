//! The examination: an inspection and an estimate, put side by side.

use std::path::Path;

use super::attachments;
use super::case::{Case, Planned};
use super::entries;
use super::findings::Findings;
use super::images;
use super::remedy::Commands;
use super::report::{DIAGNOSIS_VERSION, Diagnosis, Examined, Kind, Place, Target};
use crate::commands::index::options::{DEFAULT_MIN_LAYER_SIZE, Options};
use crate::commands::inspect::{InspectOptions, inspect};
use crate::commands::plan::estimate;
use crate::error::Error;
use crate::layout::select::ImageFilter;
use crate::progress::event::Observer;

/// What to examine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DoctorOptions {
    /// Which images.
    pub images: ImageFilter,
    /// The minimum layer size (bytes) of the run that is planned.
    pub min_layer_size: u64,
    /// The runtime that is to start the images; `None` for what matters to any.
    pub target: Option<Target>,
}

impl Default for DoctorOptions {
    fn default() -> Self {
        let min_layer_size = DEFAULT_MIN_LAYER_SIZE;
        Self { images: ImageFilter::default(), min_layer_size, target: None }
    }
}

/// Examines the layout directory at `path`. Nothing is locked or written; of layers that have no zTOC the first
/// megabytes are read.
///
/// # Errors
/// As [`inspect`]. What makes an indexing run fail is a finding.
pub fn doctor(
    path: &Path,
    options: &DoctorOptions,
    observer: &dyn Observer,
) -> Result<Diagnosis, Error> {
    let images = options.images.clone();
    let inspection =
        inspect(path, &InspectOptions { images: images.clone(), link: None }, observer)?;
    let run = Options {
        images,
        min_layer_size: options.min_layer_size,
        // What is lazy already is not looked into.
        trust_blobs: true,
        dry_run: true,
        ..Options::default()
    };
    let planned = match estimate(path, &run, observer) {
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        planned => planned,
    };
    let mut findings = Findings::new(options.target);
    if let Err(error) = &planned {
        let remedy = "mend or export it anew".to_owned();
        let sentence = format!("`soci-layout index` fails: {error}");
        findings.add(Kind::IndexFails, Place::default(), sentence, remedy);
    }
    let case = Case {
        inspection: &inspection,
        planned: planned.as_ref().ok().map(Planned::new),
        docker: entries::docker_manifests(&inspection.roots),
        min_layer_size: options.min_layer_size,
        commands: Commands::new(path, options.min_layer_size),
    };
    entries::examine(&case, &mut findings);
    for image in &inspection.images {
        images::examine(&case, image, &mut findings);
    }
    attachments::examine(&case, &mut findings);
    let images = inspection.images.iter().map(|image| Examined {
        names: image.names.clone(),
        platform: image.platform.clone(),
        digest: image.digest,
        lazy: image.lazy,
    });
    let images = images.collect();
    let (findings, more) = findings.finish();
    let (target, unseen) = (options.target, options.target.map(Target::unseen));
    Ok(Diagnosis { version: DIAGNOSIS_VERSION, target, images, findings, more, unseen })
}
