//! Chooses the image, and gets a table of contents for each of its layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use super::tree::{BadEntry, Trees};
use super::view::Root;
use crate::error::Error;
use crate::layer::unpack::Codec;
use crate::layer::{content, list};
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::select::{ImageFilter, SelectedImage, select};
use crate::layout::tree;
use crate::oci::digest::Digest;
use crate::oci::json::excerpt;
use crate::oci::media_type::{Compression, LayerKind, is_zstd, layer_kind};
use crate::oci::platform::Platform;
use crate::progress::event::{Observer, Outcome};
use crate::progress::steps::{BlobProgress, Steps};
use crate::soci::find;
use crate::threads::{self, each};
use crate::ztoc::toc::Toc;
use crate::ztoc::{Zinfo, Ztoc};

/// Which image, and which of its layers.
#[derive(Clone, Debug, Default)]
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

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerChoice {
    /// By its number, from 1 at the bottom.
    Number(usize),
    /// By its digest, or the beginning of it (at least `sha256:` and one digit).
    Digest(String),
}

impl FromStr for LayerChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |text: &str| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        match (text.parse::<usize>(), text.strip_prefix("sha256:")) {
            (Ok(number), _) if number > 0 => Ok(Self::Number(number)),
            (_, Some(digits)) if hex(digits) => Ok(Self::Digest(text.to_owned())),
            _ => Err("expected a number from 1 (the lowest layer) or sha256:… (its first digits are enough)"
                .to_owned()),
        }
    }
}

impl fmt::Display for LayerChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Digest(digest) => f.write_str(digest),
        }
    }
}

/// An image whose files can be listed and read.
#[derive(Debug)]
pub struct ImageFiles {
    pub(super) layout: Layout,
    names: Vec<String>,
    platform: Platform,
    digest: Digest,
    pub(super) layers: Vec<LayerFiles>,
    /// The layer that was chosen, by its position.
    chosen: Option<usize>,
    left_out: Vec<String>,
    none: Toc,
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
    Scanned(Toc),
}

impl Index {
    fn toc(&self) -> &Toc {
        match self {
            Self::Ztoc(_, ztoc) => &ztoc.toc,
            Self::Scanned(toc) => toc,
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
        let indexes = find::SociIndexes::of(&tree).distinct(selected.digest, selected.image);
        let ztocs = find::ztocs(&indexes);
        let chosen = chosen_layer(&selected.image.layers, options.layer.as_ref())?;
        let steps = Steps::new(observer);
        let loader = Loader { layout: &layout, steps: &steps, image: selected.digest };
        let loaded = loader.all(&selected.image.layers, chosen, &ztocs, options.jobs)?;
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
        let layers = layers.collect();
        let (names, digest) = (selected.names.clone(), selected.digest);
        let platform = selected.image.platform.clone();
        drop(selection);
        Ok(Self { layout, names, platform, digest, layers, chosen, left_out, none: Toc::new() })
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

    /// The root file system of the image; when a layer was chosen, the entries of that layer as they are.
    ///
    /// # Errors
    /// [`Error::CorruptLayer`] for a layer that no runtime could unpack.
    pub fn root(&self) -> Result<Root<'_>, Error> {
        let tables = self
            .layers
            .iter()
            .map(|layer| layer.loaded.as_ref().map_or(&self.none, |index| index.toc()));
        let mut trees = Trees::new(tables.collect());
        let root = match self.chosen {
            Some(position) => trees.layer(position, true).map_err(|bad| (position, bad)),
            None => trees.merged(),
        };
        let raw = self.chosen.is_some();
        match root {
            Ok(root) => Ok(Root { image: self, trees, top: root, raw }),
            Err((position, BadEntry { name, offset, problem })) => Err(Error::UnreadableLayer {
                digest: self.layers.get(position).map_or(self.digest, |layer| layer.digest),
                reason: format!(
                    "entry {} (at byte {offset} of the archive): {problem}",
                    excerpt(&name.escape_ascii().to_string())
                ),
            }),
        }
    }

    pub(super) fn open_blob(&self, layer: &LayerFiles) -> Result<File, Error> {
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
    let found = match choice {
        LayerChoice::Number(number) => number.checked_sub(1).filter(|at| *at < layers.len()),
        LayerChoice::Digest(prefix) => {
            let fits = |layer: &Descriptor| layer.digest.to_string().starts_with(prefix);
            let first = layers.iter().position(fits);
            // The same layer may be there twice; two layers may not begin alike.
            first.filter(|at| {
                layers.iter().filter(|l| fits(l)).all(|l| l.digest == layers[*at].digest)
            })
        }
    };
    let list = || layers.iter().enumerate().map(|(at, l)| format!("{} {}", at + 1, l.digest));
    match found {
        Some(position) => Ok(Some(position)),
        None => Err(Error::NoSuchLayer { layer: choice.to_string(), found: list().collect() }),
    }
}

/// How a layer of this media type is compressed, or why it cannot be read.
fn codec(media_type: &str) -> Result<Codec, &'static str> {
    match layer_kind(media_type) {
        LayerKind::Indexable(Compression::Gzip) => Ok(Codec::Gzip),
        LayerKind::Indexable(Compression::None) => Ok(Codec::Plain),
        _ if is_zstd(media_type) => Ok(Codec::Zstd),
        LayerKind::Unsupported(reason) => Err(reason),
        LayerKind::NotALayer => Err("its media type is not that of a layer"),
    }
}

/// What was found for a layer.
struct Loaded {
    index: Arc<Index>,
    /// How the blob is read.
    codec: Option<Codec>,
    problem: Option<String>,
}

/// What makes two layers one: the same bytes, read in the same way.
type LayerKey = (Digest, Option<Codec>);

struct Loader<'a> {
    layout: &'a Layout,
    steps: &'a Steps<'a>,
    image: Digest,
}

impl Loader<'_> {
    /// Loads the distinct layers, or the chosen one, several at a time.
    fn all(
        &self,
        layers: &[Descriptor],
        chosen: Option<usize>,
        ztocs: &BTreeMap<Digest, &Descriptor>,
        jobs: Option<NonZeroUsize>,
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
        let mut loaded = each(threads::wanted(jobs), wanted.len(), |number| {
            let (key, layer) = wanted[number];
            (number, key, self.layer(layer, ztocs.get(&layer.digest).copied()))
        });
        // Of several errors the first in the order of the layers is told.
        loaded.sort_by_key(|(number, ..)| *number);
        loaded.into_iter().map(|(_, key, loaded)| Ok((key, loaded?))).collect()
    }

    fn layer(&self, layer: &Descriptor, ztoc: Option<&Descriptor>) -> Result<Loaded, Error> {
        let problem = match ztoc {
            None => None,
            Some(entry) => match find::read_ztoc(self.layout, entry)? {
                Ok(ztoc) => match unfit(&ztoc, layer) {
                    None => {
                        let index = Arc::new(Index::Ztoc(entry.digest, Box::new(ztoc)));
                        let codec = codec(&layer.media_type).ok();
                        return Ok(Loaded { index, codec, problem: None });
                    }
                    Some(problem) => Some(format!("zTOC {}: {problem}", entry.digest)),
                },
                Err(problem) => Some(format!("zTOC {}: {problem}", entry.digest)),
            },
        };
        let (codec, toc) = self.list(layer)?;
        Ok(Loaded { index: Arc::new(Index::Scanned(toc)), codec: Some(codec), problem })
    }

    fn list(&self, layer: &Descriptor) -> Result<(Codec, Toc), Error> {
        let Descriptor { digest, size, .. } = *layer;
        let unreadable = |reason: String| Error::UnreadableLayer { digest, reason };
        let called = codec(&layer.media_type).map_err(|reason| unreadable(reason.to_owned()))?;
        let missing = || Error::BlobMissing { digest, referrer: self.image.to_string() };
        let mut blob = self.layout.open_blob(&digest, size)?.ok_or_else(missing)?;
        let path = || self.layout.blob_path(&digest);
        let head = content::head(&mut blob).map_err(|error| Error::io("read", &path())(error))?;
        let codec = list::codec(&head, called);
        let step = self.steps.plan(format!("[list] {digest}"), &format!("list {digest}"), &[]);
        self.steps.run(&step, || {
            let observer = BlobProgress { steps: self.steps, step: &step, size, failed: None };
            if codec == Codec::Plain && size == 0 {
                return Ok(((codec, Toc::new()), Outcome::Done));
            }
            let mut whole = head.as_slice().chain(&mut blob);
            let listed = list::list(&mut whole, codec, (digest, size), &observer)
                .map_err(|error| Error::scan(error, path(), digest, size))?;
            Ok(((codec, listed.map_err(unreadable)?), Outcome::Done))
        })
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
