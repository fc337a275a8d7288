//! Chooses the image, and gets a table of contents for each of its layers.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::commands::layer_choice::LayerChoice;
use crate::commands::listing::{codec, list};
use crate::error::Error;
use crate::layer::list::Listing;
use crate::layer::unpack::Codec;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::opened::OpenBlob;
use crate::layout::select::{ImageFilter, SelectedImage, select};
use crate::layout::tree;
use crate::oci::digest::Digest;
use crate::oci::media_type::{LayerKind, layer_kind};
use crate::oci::platform::Platform;
use crate::progress::event::Observer;
use crate::progress::steps::Steps;
use crate::soci::find::{self, FoundZtoc};
use crate::threads::{self, each};
use crate::ztoc::toc::Toc;
use crate::ztoc::{Zinfo, Ztoc};

/// Which image, and which of its layers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FilesOptions {
    /// Name of the image; may be left out when the layout has one image only.
    pub reference: Option<String>,
    /// Platform. Left out, it is the only one there is, or Linux on this machine's processor.
    pub platform: Option<Platform>,
    /// Only this layer is read.
    pub layer: Option<LayerChoice>,
    /// Layers scanned at a time; `None` for one per processor.
    pub jobs: Option<NonZeroUsize>,
}

/// An image whose files can be listed and read.
#[derive(Debug)]
pub struct ImageFiles {
    pub(super) layout: Layout,
    names: Vec<String>,
    platform: Platform,
    pub(super) digest: Digest,
    pub(super) layers: Vec<LayerFiles>,
    /// The layer that was chosen, by its position.
    pub(super) chosen: Option<usize>,
    left_out: Vec<String>,
    pub(super) none: Toc,
}

/// A layer of an image.
#[derive(Debug)]
pub struct LayerFiles {
    /// Digest of its blob.
    pub digest: Digest,
    /// Bytes of its blob.
    pub size: u64,
    /// From 1 at the bottom.
    pub number: usize,
    /// The zTOC that is used.
    pub ztoc: Option<Digest>,
    /// Why the zTOC that the SOCI index names is not used.
    pub ztoc_problem: Option<String>,
    pub(super) codec: Option<Codec>,
    pub(super) loaded: Option<Arc<Index>>,
}

/// A table of contents, and where it is from.
#[derive(Debug)]
pub(super) enum Index {
    /// A zTOC, with its digest.
    Ztoc(Digest, Box<Ztoc>),
    /// The layer was scanned.
    Scanned(Listing),
}

impl Index {
    pub(super) fn toc(&self) -> &Toc {
        match self {
            Self::Ztoc(_, ztoc) => &ztoc.toc,
            Self::Scanned(listing) => &listing.toc,
        }
    }
}

impl ImageFiles {
    /// Opens an image of the layout directory at `path`. Layers without a usable zTOC are read from end to end
    /// (in parallel; the observer sees a step for each), the others not at all.
    ///
    /// # Errors
    /// [`Error::SeveralImages`] when the options leave more than one image, [`Error::NoSuchLayer`],
    /// [`Error::UnreadableLayer`], and those of reading a layout.
    pub fn open(
        path: &Path,
        options: &FilesOptions,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        let layout = Layout::open(path)?;
        let tree = tree::read(&layout)?;
        let filter = ImageFilter {
            refs: options.reference.iter().cloned().collect(),
            platforms: options.platform.iter().cloned().collect(),
        };
        let selection = select(&tree, &filter, layout.path())?;
        let selected = choose(&selection.images)?;
        let left_out = selection.images.iter().filter(|i| i.digest != selected.digest);
        let left_out = left_out.map(|image| image.image.platform.to_string()).collect();
        let indexes =
            find::SociIndexes::below(&tree.roots).distinct(selected.digest, selected.image);
        let ztocs = find::ztocs(&indexes);
        let ztoc = |layer: &Descriptor| {
            let Some(entry) = ztocs.get(&layer.digest) else { return Ok(None) };
            Ok(Some((entry.digest, find::read_ztoc(&layout, entry)?)))
        };
        let chosen = chosen_layer(&selected.image.layers, options.layer.as_ref())?;
        let steps = Steps::new(observer);
        let loader = Loader::new(&layout, &steps, options.jobs, &ztoc);
        Ok(Self { left_out, ..loader.image(selected, chosen)? })
    }

    /// Names of the image.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Platform of the image.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Digest of the image manifest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Platforms of the images that could have been meant, too: the machine decided.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The layers, bottom first.
    #[must_use]
    pub fn layers(&self) -> &[LayerFiles] {
        &self.layers
    }

    /// The layers that were read: all, or the one that was chosen.
    pub fn read_layers(&self) -> impl Iterator<Item = &LayerFiles> {
        self.layers
            .iter()
            .filter(|layer| layer.loaded.is_some())
            .filter(|layer| self.chosen.is_none_or(|chosen| layer.number == chosen + 1))
    }

    pub(super) fn open_blob(&self, layer: &LayerFiles) -> Result<OpenBlob, Error> {
        let LayerFiles { digest, size, .. } = *layer;
        let missing = || Error::BlobMissing { digest, referrer: self.digest.to_string() };
        self.layout.open_blob(&digest, size)?.ok_or_else(missing)
    }
}

/// The only image, or the only one that this machine could run.
fn choose<'a, 'b>(images: &'a [SelectedImage<'b>]) -> Result<&'a SelectedImage<'b>, Error> {
    if let [image] = images {
        return Ok(image);
    }
    let machine = Platform::new("linux", std::env::consts::ARCH, "", "");
    let mut fitting = images.iter().filter(|image| machine.matches(&image.image.platform));
    let one_name = images.iter().all(|image| image.names == images[0].names);
    match (fitting.next(), fitting.next()) {
        (Some(image), None) if one_name => Ok(image),
        _ => {
            let found = images.iter().map(|image| {
                let names = match image.names.as_slice() {
                    [] => "(no name)".to_owned(),
                    names => names.join(", "),
                };
                format!("{names} {} {}", image.image.platform, image.digest)
            });
            Err(Error::SeveralImages { found: found.collect() })
        }
    }
}

fn chosen_layer(
    layers: &[Descriptor],
    choice: Option<&LayerChoice>,
) -> Result<Option<usize>, Error> {
    let Some(choice) = choice else { return Ok(None) };
    let list = || layers.iter().enumerate().map(|(at, l)| format!("{} {}", at + 1, l.digest));
    match choice.find(layers) {
        Some(position) => Ok(Some(position)),
        None => Err(Error::NoSuchLayer { layer: choice.to_string(), found: list().collect() }),
    }
}

/// What was found for a layer.
#[derive(Clone)]
struct Loaded {
    index: Arc<Index>,
    /// How the blob is read.
    codec: Option<Codec>,
    problem: Option<String>,
}

/// What makes two layers one: the same bytes, read in the same way.
type LayerKey = (Digest, Option<Codec>);

/// Gives the zTOC of a layer.
pub(in crate::commands) type ZtocOf<'a> =
    &'a (dyn Fn(&Descriptor) -> Result<FoundZtoc, Error> + Sync);

/// Gets the tables of contents of layers. Each layer without a zTOC is listed once, in however many images it is.
pub(in crate::commands) struct Loader<'a> {
    layout: &'a Layout,
    steps: &'a Steps<'a>,
    jobs: Option<NonZeroUsize>,
    ztoc: ZtocOf<'a>,
    listed: Mutex<BTreeMap<LayerKey, Loaded>>,
    lenient: bool,
}

impl<'a> Loader<'a> {
    pub(in crate::commands) fn new(
        layout: &'a Layout,
        steps: &'a Steps<'a>,
        jobs: Option<NonZeroUsize>,
        ztoc: ZtocOf<'a>,
    ) -> Self {
        Self { layout, steps, jobs, ztoc, listed: Mutex::default(), lenient: false }
    }

    /// A layer that cannot be listed has no files; why not is its problem.
    pub(in crate::commands) fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// The files of an image.
    pub(in crate::commands) fn image(
        &self,
        selected: &SelectedImage<'_>,
        chosen: Option<usize>,
    ) -> Result<ImageFiles, Error> {
        let loaded = self.all(&selected.image.layers, chosen, selected.digest)?;
        let layers = selected.image.layers.iter().enumerate().map(|(position, layer)| {
            let loaded = loaded.get(&(layer.digest, codec(&layer.media_type).ok()));
            LayerFiles {
                digest: layer.digest,
                size: layer.size,
                number: position + 1,
                ztoc: loaded.and_then(|loaded| match &*loaded.index {
                    Index::Ztoc(digest, _) => Some(*digest),
                    Index::Scanned(_) => None,
                }),
                ztoc_problem: loaded.and_then(|loaded| loaded.problem.clone()),
                codec: loaded.and_then(|loaded| loaded.codec),
                loaded: loaded.map(|loaded| Arc::clone(&loaded.index)),
            }
        });
        Ok(ImageFiles {
            layout: self.layout.clone(),
            names: selected.names.clone(),
            platform: selected.image.platform.clone(),
            digest: selected.digest,
            layers: layers.collect(),
            chosen,
            left_out: Vec::new(),
            none: Toc::new(),
        })
    }

    /// Loads the distinct layers, or the chosen one, several at a time.
    fn all(
        &self,
        layers: &[Descriptor],
        chosen: Option<usize>,
        image: Digest,
    ) -> Result<BTreeMap<LayerKey, Loaded>, Error> {
        let mut wanted: Vec<(LayerKey, &Descriptor)> = Vec::new();
        let mut seen = BTreeSet::new();
        for (position, layer) in layers.iter().enumerate() {
            let key = (layer.digest, codec(&layer.media_type).ok());
            let counts = chosen.is_none_or(|chosen| chosen == position);
            if counts && seen.insert(key) {
                wanted.push((key, layer));
            }
        }
        let loaded = each(threads::wanted(self.jobs), wanted.len(), |number| {
            let (key, layer) = wanted[number];
            Ok((key, self.layer(key, layer, image)?))
        });
        // Of several errors the first in the order of the layers is told.
        loaded.into_iter().collect()
    }

    fn layer(&self, key: LayerKey, layer: &Descriptor, image: Digest) -> Result<Loaded, Error> {
        let problem = match (self.ztoc)(layer)? {
            None => None,
            Some((digest, Ok(ztoc))) => match unfit(&ztoc, layer) {
                None => {
                    let index = Arc::new(Index::Ztoc(digest, Box::new(ztoc)));
                    let codec = codec(&layer.media_type).ok();
                    return Ok(Loaded { index, codec, problem: None });
                }
                Some(problem) => Some(format!("zTOC {digest}: {problem}")),
            },
            Some((digest, Err(problem))) => Some(format!("zTOC {digest}: {problem}")),
        };
        let listed = || self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = listed().get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let (codec, listing, problem) = match list(self.layout, self.steps, image, layer) {
            Ok((codec, listing)) => (Some(codec), listing, problem),
            Err(error @ (Error::Io { .. } | Error::Cancelled)) => return Err(error),
            Err(error) if self.lenient => (None, Listing::default(), Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let loaded = Loaded { index: Arc::new(Index::Scanned(listing)), codec, problem };
        listed().insert(key, loaded.clone());
        Ok(loaded)
    }
}

/// Why a zTOC cannot be that of a layer.
fn unfit(ztoc: &Ztoc, layer: &Descriptor) -> Option<String> {
    let found = ztoc.compressed_archive_size;
    if found != layer.size {
        return Some(format!("it is for a layer of {found} bytes, not of {}", layer.size));
    }
    let compression = LayerKind::Indexable(ztoc.zinfo.compression());
    let fits = layer_kind(&layer.media_type) == compression
        && !matches!(&ztoc.zinfo, Zinfo::Tar(tar) if tar.size != layer.size);
    (!fits).then(|| format!("it does not fit the layer's media type {}", layer.media_type))
}
