//! Proves that the images of a layout would be mounted lazily and rightly, or lists all that is wrong.
//!
//! A reader of SOCI checks the digests of compressed spans and little else: a wrong window in a zTOC gives
//! wrong file contents without an error, and a SOCI index in another JSON form than the reader's makes the
//! image silently not lazy (`soci-formats` 7). So everything is computed once more, from the layers: nothing
//! of a zTOC is trusted. Each finding says what the consumer would make of it.
//!
//! Every layer is read once from end to end ([`crate::scan::probe`]) and then, in parallel, once more span
//! by span from its checkpoints.

mod document;
mod finding;
mod layer;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use serde_json::Value;

use crate::digest::Digest;
use crate::error::Error;
use crate::event::{Observer, Outcome};
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::reach::reachable;
use crate::layout::tree::{self, Content, Image, SociIndex, Tree};
use crate::limits::{MAX_CONFIG_SIZE, MAX_MANIFEST_SIZE, MAX_ZTOC_SIZE};
use crate::media_type::{LayerKind, layer_kind};
use crate::options::{IndexVersion, Options};
use crate::platform::Platform;
use crate::scan::ScanObserver;
use crate::select::{Selection, select};
use crate::soci::{IMAGE_MANIFEST_DIGEST, LAYER_DIGEST};
use crate::steps::Steps;
use crate::ztoc::Ztoc;
pub use finding::{Consequence, Finding, VERIFICATION_VERSION, Verification, VerifiedImage};
use layer::{Compared, Subject};

/// Findings of one kind in one blob that are kept; the others are counted.
const MAX_FINDINGS: usize = 1000;

/// What to verify.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// Names of the images; empty for all.
    pub refs: Vec<String>,
    /// Platforms; empty for all.
    pub platforms: Vec<Platform>,
    /// Threads; `None` for one per processor.
    pub jobs: Option<NonZeroUsize>,
}

/// A list of findings that cannot grow without bounds.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    more: usize,
}

impl Findings {
    #[expect(clippy::needless_pass_by_value, reason = "texts and numbers, made for this call")]
    fn add(
        &mut self,
        consequence: Consequence,
        blob: Option<Digest>,
        place: &str,
        offset: Option<u64>,
        expected: impl ToString,
        found: impl ToString,
    ) {
        if self.list.len() >= MAX_FINDINGS {
            self.more += 1;
            return;
        }
        let (expected, found) = (expected.to_string(), found.to_string());
        self.list.push(Finding {
            consequence,
            blob,
            place: place.to_owned(),
            offset,
            expected,
            found,
        });
    }

    fn extend(&mut self, other: Self) {
        self.more += other.more;
        let room = MAX_FINDINGS.saturating_sub(self.list.len()).min(other.list.len());
        self.more += other.list.len() - room;
        self.list.extend(other.list.into_iter().take(room));
    }

    fn finish(mut self) -> Vec<Finding> {
        if self.more > 0 {
            self.list.push(Finding {
                consequence: Consequence::Misleading,
                blob: None,
                place: "this list".to_owned(),
                offset: None,
                expected: format!("at most {MAX_FINDINGS} findings"),
                found: format!("{} more that are not shown", self.more),
            });
        }
        self.list
    }
}

/// Verifies the layout directory at `path`. Nothing is locked or written.
///
/// # Errors
/// [`Error`] when the documents of the layout cannot be read at all, or for a name or platform that it
/// does not have. Everything else that is wrong is a [`Finding`].
pub fn verify(
    path: &Path,
    options: &VerifyOptions,
    observer: &dyn Observer,
) -> Result<Verification, Error> {
    let start = Instant::now();
    let layout = Layout::open(path)?;
    let steps = Steps::new(observer);
    let tree = tree::read(&layout)?;
    let selecting = Options {
        refs: options.refs.clone(),
        platforms: options.platforms.clone(),
        ..Options::default()
    };
    let selection = select(&tree, &selecting, layout.path())?;
    let run = Run { layout: &layout, tree: &tree, selection: &selection, steps: &steps };
    let mut verification = run.all(options.jobs)?;
    verification.seconds = start.elapsed().as_secs_f64();
    Ok(verification)
}

struct Run<'a> {
    layout: &'a Layout,
    tree: &'a Tree,
    selection: &'a Selection<'a>,
    steps: &'a Steps<'a>,
}

/// A zTOC that could be read, by its digest.
type Ztocs = BTreeMap<Digest, Ztoc>;

/// What makes two subjects one: layer and zTOC.
type SubjectKey = (Digest, Option<Digest>);

impl Run<'_> {
    fn all(&self, jobs: Option<NonZeroUsize>) -> Result<Verification, Error> {
        let mut findings = Findings::default();
        let mut ztocs = Ztocs::new();
        let mut subjects: Vec<(SubjectKey, &Descriptor, Option<Digest>)> = Vec::new();
        let mut images = Vec::new();
        let mut seen = BTreeSet::new();
        for selected in &self.selection.images {
            let found = self.indexes(selected.digest, selected.image, &mut findings);
            let mut lazy: BTreeMap<Digest, Digest> = BTreeMap::new();
            for (digest, soci) in &found {
                self.index(*digest, soci, selected.image, &mut seen, &mut ztocs, &mut findings)?;
                for entry in &soci.ztocs {
                    // The reader takes the last entry of a layer.
                    if let Some(layer) = layer_of(entry) {
                        lazy.insert(layer, entry.digest);
                    }
                }
            }
            let diff_ids = self.diff_ids(selected.image, &mut findings)?;
            let layers = &selected.image.layers;
            for (position, layer) in layers.iter().enumerate() {
                let ztoc = lazy.get(&layer.digest).filter(|ztoc| ztocs.contains_key(ztoc)).copied();
                let key = (layer.digest, ztoc);
                if !subjects.iter().any(|(known, ..)| *known == key) {
                    // Without one diff ID per layer nobody knows which is whose.
                    let diff_id = (diff_ids.len() == layers.len()).then(|| diff_ids[position]);
                    subjects.push((key, layer, diff_id));
                }
            }
            images.push(VerifiedImage {
                names: selected.names.clone(),
                platform: selected.image.platform.to_string(),
                digest: selected.digest,
                soci_indexes: found.iter().map(|(digest, _)| *digest).collect(),
                lazy_layers: layers.iter().filter(|l| lazy.contains_key(&l.digest)).count() as u64,
                layers: layers.len() as u64,
            });
        }
        let compared = self.layers(jobs, &subjects, &ztocs, &mut findings)?;
        self.others(&subjects, &mut findings)?;
        Ok(Verification {
            version: VERIFICATION_VERSION,
            images,
            findings: findings.finish(),
            layers: subjects.len() as u64,
            checkpoints: compared.iter().map(|compared| compared.checkpoints).sum(),
            files: compared.iter().map(|compared| compared.files).sum(),
            seconds: 0.0,
        })
    }

    /// The SOCI indexes of an image, V2 first.
    fn indexes(
        &self,
        digest: Digest,
        image: &Image,
        findings: &mut Findings,
    ) -> Vec<(Digest, &SociIndex)> {
        let (mut v2, mut v1) = (Vec::new(), Vec::new());
        let named = image.soci_v2.as_ref().and_then(|text| text.parse::<Digest>().ok());
        for root in &self.tree.roots {
            root.visit(&mut |node| {
                let (Content::Soci(soci), Some(descriptor)) = (&node.content, node.known()) else {
                    return;
                };
                if Some(descriptor.digest) == named {
                    if v2.iter().all(|(known, _)| *known != descriptor.digest) {
                        v2.push((descriptor.digest, soci));
                    }
                    back_reference(descriptor, digest, findings);
                } else if soci.version == IndexVersion::V1
                    && soci.subject == Some(digest)
                    && v1.iter().all(|(known, _)| *known != descriptor.digest)
                {
                    v1.push((descriptor.digest, soci));
                }
            });
        }
        if let Some(text) = &image.soci_v2
            && v2.is_empty()
        {
            let expected = "a SOCI index that index.json leads to, so that it is pushed";
            let place = "the manifest's annotation com.amazon.soci.index-digest";
            findings.add(Consequence::Rejected, Some(digest), place, None, expected, text);
        } else if v2.is_empty() && v1.is_empty() {
            let place = "the image";
            let expected = "a SOCI index";
            findings.add(Consequence::Rejected, Some(digest), place, None, expected, "none");
        }
        v2.append(&mut v1);
        v2
    }

    /// Checks a SOCI index and reads its zTOCs.
    fn index(
        &self,
        digest: Digest,
        soci: &SociIndex,
        image: &Image,
        seen: &mut BTreeSet<Digest>,
        ztocs: &mut Ztocs,
        findings: &mut Findings,
    ) -> Result<(), Error> {
        if seen.insert(digest) {
            let size = self.layout.blob_size(&digest)?.unwrap_or_default();
            match self.layout.read_blob(&digest, size, MAX_MANIFEST_SIZE)? {
                Some(bytes) => {
                    document::index(digest, &String::from_utf8_lossy(&bytes), findings);
                }
                None => self.missing(digest, "a SOCI index", findings),
            }
            for entry in &soci.ztocs {
                self.ztoc(entry, ztocs, findings)?;
            }
        }
        for (number, entry) in soci.ztocs.iter().enumerate() {
            let layer = layer_of(entry)
                .and_then(|digest| image.layers.iter().find(|layer| layer.digest == digest));
            let ztoc = ztocs.get(&entry.digest);
            document::entry(digest, number, entry, layer, ztoc, findings);
        }
        Ok(())
    }

    fn missing(&self, digest: Digest, what: &str, findings: &mut Findings) {
        let place = self.layout.blob_path(&digest).display().to_string();
        findings.add(Consequence::Unpullable, Some(digest), what, None, place, "no such blob");
    }

    fn ztoc(
        &self,
        entry: &Descriptor,
        ztocs: &mut Ztocs,
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let Descriptor { digest, size, .. } = *entry;
        let rejected = Consequence::Rejected;
        let place = "the zTOC blob";
        let bytes = match self.layout.read_blob(&digest, size, MAX_ZTOC_SIZE) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                findings.add(rejected, Some(digest), place, None, size, "no such blob");
                return Ok(());
            }
            Err(Error::BlobSize { expected, found, .. }) => {
                findings.add(rejected, Some(digest), place, None, expected, found);
                return Ok(());
            }
            Err(Error::BlobDigest { found, .. }) => {
                findings.add(rejected, Some(digest), place, None, digest, found);
                return Ok(());
            }
            Err(Error::Limit { limit, found, .. }) => {
                findings.add(rejected, Some(digest), place, None, format!("up to {limit}"), found);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match Ztoc::decode(&bytes) {
            Ok(ztoc) => {
                ztocs.insert(digest, ztoc);
            }
            Err(error) => {
                let expected = "a zTOC that the reference's reader takes";
                findings.add(Consequence::IoError, Some(digest), place, None, expected, error);
            }
        }
        Ok(())
    }

    /// The diff IDs of the image's configuration.
    fn diff_ids(&self, image: &Image, findings: &mut Findings) -> Result<Vec<Digest>, Error> {
        let manifest: Value = serde_json::from_str(&image.text).unwrap_or_default();
        let config = &manifest["config"];
        let digest = config["digest"].as_str().and_then(|text| text.parse::<Digest>().ok());
        let (Some(digest), Some(size)) = (digest, config["size"].as_u64()) else {
            return Ok(Vec::new());
        };
        let bytes = match self.layout.read_blob(&digest, size, MAX_CONFIG_SIZE) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                self.missing(digest, "the image's configuration", findings);
                return Ok(Vec::new());
            }
            Err(Error::BlobSize { expected, found, .. }) => {
                let place = "the image's configuration";
                let broken = Consequence::Unpullable;
                findings.add(broken, Some(digest), place, None, expected, found);
                return Ok(Vec::new());
            }
            Err(Error::BlobDigest { found, .. }) => {
                let place = "the image's configuration";
                findings.add(Consequence::Unpullable, Some(digest), place, None, digest, found);
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let config: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let platform = Platform::new(
            config["os"].as_str().unwrap_or_default(),
            config["architecture"].as_str().unwrap_or_default(),
            config["variant"].as_str().unwrap_or_default(),
            config["os.version"].as_str().unwrap_or_default(),
        );
        if (&platform.os, &platform.architecture)
            != (&image.platform.os, &image.platform.architecture)
            && !platform.os.is_empty()
        {
            let place = "its platform in the image index";
            let consequence = Consequence::Misleading;
            findings.add(consequence, Some(digest), place, None, platform, &image.platform);
        }
        let ids = config["rootfs"]["diff_ids"].as_array();
        Ok(ids
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str().and_then(|text| text.parse().ok()))
            .collect())
    }

    /// Reads all layers, several at a time.
    fn layers(
        &self,
        jobs: Option<NonZeroUsize>,
        subjects: &[(SubjectKey, &Descriptor, Option<Digest>)],
        ztocs: &Ztocs,
        findings: &mut Findings,
    ) -> Result<Vec<Compared>, Error> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(jobs.map_or(0, NonZeroUsize::get))
            .build()
            .map_err(|error| Error::Option { option: "jobs", problem: error.to_string() })?;
        let results: Vec<Result<(Compared, Findings), Error>> = pool.install(|| {
            subjects
                .par_iter()
                .map(|((_, ztoc), layer, diff_id)| {
                    let ztoc = ztoc.and_then(|digest| Some((digest, ztocs.get(&digest)?)));
                    self.layer(layer, *diff_id, ztoc)
                })
                .collect()
        });
        let mut compared = Vec::with_capacity(results.len());
        for result in results {
            let (one, found) = result?;
            compared.push(one);
            findings.extend(found);
        }
        Ok(compared)
    }

    fn layer(
        &self,
        layer: &Descriptor,
        diff_id: Option<Digest>,
        ztoc: Option<(Digest, &Ztoc)>,
    ) -> Result<(Compared, Findings), Error> {
        let Descriptor { digest, size, .. } = *layer;
        let content = format!("verify {digest} {:?}", ztoc.map(|(name, _)| name));
        let step = self.steps.plan(format!("[verify] {digest}"), &content, &[]);
        self.steps.run(&step, || {
            let mut findings = Findings::default();
            let LayerKind::Indexable(compression) = layer_kind(&layer.media_type) else {
                // It cannot be read here, but it must be whole.
                if !self.layout.has_sound_blob(&digest, size)? {
                    let place = "the layer's blob";
                    let broken = Consequence::Unpullable;
                    findings.add(broken, Some(digest), place, None, "its content", "another one");
                }
                return Ok(((Compared::default(), findings), Outcome::Done));
            };
            let subject = Subject { digest, size, compression, diff_id, ztoc };
            let progress = Progress { steps: self.steps, step: &step, size };
            let compared = layer::verify(self.layout, &subject, &progress, &mut findings)?;
            Ok(((compared, findings), Outcome::Done))
        })
    }

    /// All other blobs that `index.json` leads to must be whole.
    fn others(
        &self,
        subjects: &[(SubjectKey, &Descriptor, Option<Digest>)],
        findings: &mut Findings,
    ) -> Result<(), Error> {
        for (digest, size) in reachable(self.layout, &self.tree.index_json) {
            let read = subjects.iter().any(|((layer, _), ..)| *layer == digest);
            let known = findings.list.iter().any(|finding| finding.blob == Some(digest));
            if !read && !known && !self.layout.has_sound_blob(&digest, size)? {
                let place = "the blob";
                let broken = Consequence::Unpullable;
                findings.add(broken, Some(digest), place, None, digest, "other content");
            }
        }
        Ok(())
    }
}

/// A V2 index's descriptor names the manifest that names the index.
fn back_reference(descriptor: &Descriptor, image: Digest, findings: &mut Findings) {
    if let Some(text) = descriptor.annotations.get(IMAGE_MANIFEST_DIGEST)
        && *text != image.to_string()
    {
        let place = format!("its descriptor's annotation {IMAGE_MANIFEST_DIGEST}");
        let blob = Some(descriptor.digest);
        findings.add(Consequence::Misleading, blob, &place, None, image, text);
    }
}

/// The layer that a zTOC is said to be for.
fn layer_of(entry: &Descriptor) -> Option<Digest> {
    entry.annotations.get(LAYER_DIGEST)?.parse().ok()
}

struct Progress<'a> {
    steps: &'a Steps<'a>,
    step: &'a crate::event::Step,
    size: u64,
}

impl ScanObserver for Progress<'_> {
    fn progress(&self, bytes: u64) {
        self.steps.progress(self.step, bytes, self.size);
    }

    fn cancelled(&self) -> bool {
        self.steps.cancelled()
    }
}
