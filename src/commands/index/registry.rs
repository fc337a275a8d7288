//! Indexes an image of a registry where it is: its documents become a layout ([`RemoteImage`]), whose layers are streams; the
//! run is that of any layout, and what it made is pushed. No layer is ever on disk, and none is sent to the repository that has it.

use std::path::Path;
use std::sync::Arc;

use super::cached::CacheUse;
use super::early::EarlyScans;
use super::layers::EagerLayers;
use super::options::Options;
use super::report::Report;
use super::run::{dry_run, run_made, timed};
use crate::commands::push::{self, PushOptions};
use crate::error::Error;
use crate::layout::lock::LockedLayout;
use crate::progress::event::{Observer, Outcome};
use crate::progress::steps::Steps;
use crate::registry::{Client, Reference, RemoteImage, Repository, with_client};

/// Indexes an image of a registry. What is made goes to its repository, or to that of `to`, which is then the tag that leads to
/// it; without `to` no tag is set. Layers that have a zTOC there for these settings, by the SOCI indexes of either image, are
/// not scanned again. `accepts` is asked before anything is pushed.
///
/// # Errors
/// [`Error`]; tags are then as before.
pub fn index_registry(
    from: &Reference,
    to: Option<&Reference>,
    options: &Options,
    accepts: &(dyn Fn(&Report) -> bool + Sync),
    observer: &dyn Observer,
) -> Result<Report, Error> {
    with_client(&options.registry, &|| observer.cancelled(), |client| {
        let eager = EagerLayers::new();
        index_with(client, (from, to), (options, &eager), accepts, &Steps::new(observer))
    })
}

/// [`index_registry`] by a client that may know the registry already; `eager` are layers that stay so.
///
/// # Errors
/// As [`index_registry`].
pub(crate) fn index_with(
    client: &Arc<Client<'static>>,
    (from, to): (&Reference, Option<&Reference>),
    (options, eager): (&Options, &EagerLayers),
    accepts: &(dyn Fn(&Report) -> bool + Sync),
    steps: &Steps<'_>,
) -> Result<Report, Error> {
    for (option, given) in [("name", options.name.is_some()), ("prune", options.prune)] {
        if given {
            let problem = "it is for layouts, and this is an image of a registry".to_owned();
            return Err(Error::Option { option, problem });
        }
    }
    timed(options, || {
        let step = steps.plan(format!("[read] {from}"), "read", &[]);
        let image = steps.run(&step, || {
            Ok((RemoteImage::fetch(client, from, name(from, to), false)?, Outcome::Done))
        })?;
        let shown = from.to_string();
        let shown = Path::new(&shown);
        let mut options = options.clone();
        options.cache_from.extend(known(client, from, to)?);
        if options.dry_run {
            return image.ended(dry_run(&image.layout, shown, &options, steps));
        }
        let layout = LockedLayout::new(image.layout.clone(), &|| steps.cancelled())?;
        // The registry knows its blobs by their content, as if they had come in just before.
        let (mut eager, cache) = (eager.clone(), CacheUse::begin(&options));
        if options.trust_blobs {
            eager.extend(cache.left_eager());
        }
        let early = EarlyScans::of_eager(eager);
        let made = run_made(&layout, shown, (&early, &cache), &options, steps);
        let mut report = image.ended(made)?;
        if !accepts(&report) {
            return Ok(report);
        }
        let mut push = PushOptions::default();
        let target = to.unwrap_or(from);
        if target.host == from.host {
            push.mount_from = vec![from.repository.clone()];
        }
        let pushed = push::run(&image.layout, client, (target, to.is_some()), &push, steps);
        report.pushed = Some(image.ended(pushed)?);
        Ok(report)
    })
}

/// What the image is called meanwhile; a tag that is not said is this.
fn name<'a>(from: &'a Reference, to: Option<&'a Reference>) -> Option<&'a str> {
    let said = to.and_then(|to| to.tag.as_deref()).or(from.tag.as_deref());
    // By its digest alone it has none, and where it goes has to be said; if it goes nowhere, any name will do.
    let usual = (from.digest.is_none() || to.is_none()).then_some("latest");
    said.or(usual)
}

/// The images that may have SOCI indexes already.
fn known(
    client: &Client<'_>,
    from: &Reference,
    to: Option<&Reference>,
) -> Result<Vec<Reference>, Error> {
    let mut known = vec![from.clone()];
    if let Some(to) = to.filter(|to| to.tag.is_some())
        && Repository::new(client, to, false).manifest_digest(&to.asked())?.is_some()
    {
        known.insert(0, to.clone());
    }
    Ok(known)
}
