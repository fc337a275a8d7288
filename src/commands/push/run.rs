//! A run: blobs in parallel, then documents in order, lists, the tag.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::collect::{BlobToPush, Document, Load};
use super::lists;
use super::report::{PUSH_REPORT_VERSION, PushReport};
use crate::error::Error;
use crate::layer::ScanObserver;
use crate::layout::Layout;
use crate::layout::tree;
use crate::oci::digest::Digest;
use crate::progress::event::{Observer, Outcome, Step};
use crate::progress::steps::{BlobProgress, Steps};
use crate::registry::{Blob, Brought, Client, Reference, RegistryOptions, Repository, is_tag};
use crate::threads;
use crate::trouble::RegistryTrouble;

/// Blobs sent at a time unless something else is asked for.
const DEFAULT_JOBS: usize = 4;

/// What to push and how.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PushOptions {
    /// The name of the entry of `index.json`; not needed when there is one image.
    pub name: Option<String>,
    /// Repositories of the same registry that may have blobs already.
    pub mount_from: Vec<String>,
    /// Blobs sent at a time; `None` for four.
    pub jobs: Option<NonZeroUsize>,
    /// How the registry is reached.
    pub registry: RegistryOptions,
}

/// Pushes an image of the layout directory at `path`. The layout is only read.
///
/// # Errors
/// [`Error`]; the tag is then as before.
pub fn push(
    path: &Path,
    to: &Reference,
    options: &PushOptions,
    observer: &dyn Observer,
) -> Result<PushReport, Error> {
    let layout = Layout::open(path)?;
    let client = Client::new(&options.registry, || observer.cancelled())?;
    run(&layout, &client, (to, true), options, &Steps::new(observer))
}

/// Pushes an image of a layout, and sets a tag at the end if that is wanted.
///
/// # Errors
/// [`Error`]; the tag is then as before.
pub(in crate::commands) fn run(
    layout: &Layout,
    client: &Client<'_>,
    (to, sets_tag): (&Reference, bool),
    options: &PushOptions,
    steps: &Steps<'_>,
) -> Result<PushReport, Error> {
    let start = Instant::now();
    let tree = tree::read(layout)?;
    let load = Load::collect(layout, &tree, options.name.as_deref())?;
    let mut to =
        if sets_tag { tagged(to, options.name.as_deref(), &load)? } else { to.without_tag() };
    let repository = Repository::new(client, &to, true);
    let Some((root, others)) = load.documents.split_last() else {
        return Err(Error::NoImage { path: layout.path().to_owned() });
    };

    let before = match &to.tag {
        Some(tag) => repository.manifest_digest(tag)?.filter(|digest| !digest.is_empty()),
        None => None,
    };
    let report = PushReport {
        version: PUSH_REPORT_VERSION,
        reference: String::new(),
        digest: root.digest,
        before,
        blobs_sent: 0,
        bytes_sent: 0,
        blobs_mounted: 0,
        blobs_there: 0,
        manifests_sent: 0,
        manifests_there: 0,
        referrers_tags: Vec::new(),
        seconds: 0.0,
    };
    let run = Run { layout, repository: &repository, steps, report: Mutex::new(report) };
    run.blobs(&load.blobs, options)?;
    let inputs: Vec<Digest> = load.blobs.iter().map(|blob| blob.digest).collect();
    let step = steps.announce(format!("[push] manifests to {}", to.name()), &root.text, &inputs);
    let tags = steps.run(&step, || {
        for document in others {
            run.document(document)?;
        }
        // Its digest first, so that the tag is the last thing that changes.
        run.document(root)?;
        let tags = run.lists(&load.documents)?;
        Ok((tags, Outcome::Done))
    })?;
    let mut report = run.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    let before = report.before.as_deref();
    match &to.tag {
        Some(tag) => set_tag(&repository, tag, root, before, (step.digest, steps))?,
        None => to.digest = Some(root.digest),
    }
    (report.reference, report.referrers_tags) = (to.to_string(), tags);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Lets the tag lead to `root`, if it does not.
fn set_tag(
    repository: &Repository<'_>,
    tag: &str,
    root: &Document,
    before: Option<&str>,
    (after, steps): (Digest, &Steps<'_>),
) -> Result<(), Error> {
    let to = repository.reference();
    let expected = root.digest.to_string();
    let step = steps.announce(format!("[tag] {to}"), &expected, &[after]);
    steps.run(&step, || {
        if before == Some(expected.as_str()) {
            return Ok(((), Outcome::Cached));
        }
        let put = repository.put_manifest(tag, &root.media_type, root.text.as_bytes());
        put.map_err(|error| if before.is_some() { not_moved(error) } else { error })?;
        let found = repository.manifest_digest(tag)?;
        match found.filter(|found| !found.is_empty() && *found != expected) {
            None => Ok(((), Outcome::Done)),
            Some(found) => Err(Error::Registry {
                name: to.name(),
                action: format!("write manifest {tag}"),
                problem: format!(
                    "behind the tag: expected {expected}, found {found} (somebody else pushes to it)"
                ),
                trouble: RegistryTrouble::Broken,
            }),
        }
    })
}

/// The error for a tag that leads to something else, of a registry that took everything before.
fn not_moved(error: Error) -> Error {
    match error {
        Error::Registry {
            name,
            action,
            problem,
            trouble: RegistryTrouble::Refused | RegistryTrouble::Denied,
        } => Error::Registry { name, action, problem, trouble: RegistryTrouble::Immutable },
        error => error,
    }
}

/// Where it goes, with a tag: the one that was given, or the name's.
fn tagged(to: &Reference, name: Option<&str>, load: &Load) -> Result<Reference, Error> {
    let wrong = |problem: &str| Error::Option { option: "reference", problem: problem.to_owned() };
    if to.digest.is_some() {
        return Err(wrong("a push goes to a tag, not to a digest"));
    }
    if to.tag.is_some() {
        return Ok(to.clone());
    }
    let names = name.into_iter().chain(load.names.iter().map(String::as_str));
    let mut tags = names.map(|name| name.rsplit_once(':').map_or(name, |(_, tag)| tag));
    let tag = tags.find(|tag| is_tag(tag)).ok_or_else(|| {
        wrong("a tag is needed: the image has no name in the layout that could be one")
    })?;
    Ok(to.with_tag(tag))
}

struct Run<'a> {
    layout: &'a Layout,
    repository: &'a Repository<'a>,
    steps: &'a Steps<'a>,
    /// What was done so far.
    report: Mutex<PushReport>,
}

impl Run<'_> {
    fn report(&self) -> MutexGuard<'_, PushReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings all blobs there, several at a time, the largest first.
    fn blobs(&self, blobs: &[BlobToPush], options: &PushOptions) -> Result<(), Error> {
        let mut order: Vec<&BlobToPush> = blobs.iter().collect();
        order.sort_by_key(|blob| std::cmp::Reverse(blob.size));
        let count = order.len();
        let name = |(number, blob): (usize, &&BlobToPush)| {
            let BlobToPush { digest, what, .. } = blob;
            let name = format!("[push {}/{count}] {what} {digest}", number + 1);
            self.steps.announce(name, &digest.to_string(), &[])
        };
        let planned: Vec<_> = order.iter().enumerate().map(name).collect();
        let (failed, error) = (AtomicBool::new(false), Mutex::new(None));
        let jobs = options.jobs.map_or(DEFAULT_JOBS, NonZeroUsize::get);
        threads::each(jobs, count, |number| {
            if failed.load(Ordering::Relaxed) {
                return;
            }
            let (blob, step) = (order[number], &planned[number]);
            if let Err(found) = self.blob(blob, step, &failed, &options.mount_from) {
                failed.store(true, Ordering::Relaxed);
                let mut first = error.lock().unwrap_or_else(PoisonError::into_inner);
                // What was given up because another one failed is not the reason.
                if first.is_none() || matches!(*first, Some(Error::Cancelled)) {
                    *first = Some(found);
                }
            }
        });
        error.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn blob(
        &self,
        blob: &BlobToPush,
        step: &Step,
        failed: &AtomicBool,
        mount_from: &[String],
    ) -> Result<(), Error> {
        let host = &self.repository.reference().host;
        let own = blob.sources.iter().filter(|(found, _)| found == host).map(|(_, name)| name);
        let sources: Vec<String> = mount_from.iter().chain(own).cloned().collect();
        let BlobToPush { digest, size, .. } = *blob;
        let progress =
            BlobProgress { steps: self.steps, step, size, failed: Some(failed), slots: None };
        let file = LayoutBlob { layout: self.layout, digest, size, progress };
        self.steps.run(step, || {
            let brought = match self.repository.bring(&digest, size, &file, &sources) {
                Err(error @ Error::Registry { trouble: RegistryTrouble::Refused, .. }) => {
                    // It may have noticed that the blob is not what its name says.
                    if self.layout.has_sound_blob(&digest, size)? {
                        return Err(error);
                    }
                    let place = format!("blob {digest}");
                    let problem = "its content is not that of its digest".to_owned();
                    return Err(Error::Document { place, problem });
                }
                brought => brought?,
            };
            let mut report = self.report();
            match brought {
                Brought::There => {
                    report.blobs_there += 1;
                    return Ok(((), Outcome::Cached));
                }
                Brought::Mounted => report.blobs_mounted += 1,
                Brought::Sent => {
                    report.blobs_sent += 1;
                    report.bytes_sent += size;
                }
            }
            Ok(((), Outcome::Done))
        })
    }

    /// Brings a manifest or index there, by its digest.
    fn document(&self, document: &Document) -> Result<(), Error> {
        if self.steps.cancelled() {
            return Err(Error::Cancelled);
        }
        let digest = document.digest.to_string();
        if self.repository.has_manifest(&digest)? {
            self.report().manifests_there += 1;
            return Ok(());
        }
        self.repository.put_manifest(&digest, &document.media_type, document.text.as_bytes())?;
        self.report().manifests_sent += 1;
        Ok(())
    }

    /// Brings the lists of referrers up to date.
    fn lists(&self, documents: &[Document]) -> Result<Vec<String>, Error> {
        let mut by_subject: BTreeMap<Digest, Vec<&Document>> = BTreeMap::new();
        for document in documents {
            if let Some(subject) = document.subject {
                by_subject.entry(subject).or_default().push(document);
            }
        }
        let mut tags = Vec::new();
        for (subject, referrers) in &by_subject {
            tags.extend(lists::update(self.repository, subject, referrers)?);
        }
        Ok(tags)
    }
}

/// A blob of the layout on its way.
struct LayoutBlob<'a> {
    layout: &'a Layout,
    digest: Digest,
    size: u64,
    progress: BlobProgress<'a>,
}

impl Blob for LayoutBlob<'_> {
    fn from(&self, offset: u64) -> Result<Box<dyn Read + '_>, Error> {
        let missing =
            || Error::BlobMissing { digest: self.digest, referrer: "a manifest".to_owned() };
        let blob = self.layout.open_blob(&self.digest, self.size)?.ok_or_else(missing)?;
        let path = self.layout.blob_path(&self.digest);
        let blob = blob.into_part(offset, self.size).map_err(Error::io("read", &path))?;
        Ok(Box::new(Sending { blob, at: offset, progress: self.progress }))
    }
}

struct Sending<'a> {
    blob: Box<dyn Read>,
    at: u64,
    progress: BlobProgress<'a>,
}

impl Read for Sending<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let count = self.blob.read(buffer)?;
        self.at += count as u64;
        self.progress.progress(self.at);
        Ok(count)
    }
}
