//! How two layouts, or two images of one, differ: what an indexer added, what a rebuild changed.
//!
//! Both sides are inspected as [`crate::commands::inspect`] does. Entries are paired by name, images by platform,
//! layers by digest and place. Where one layer has two zTOCs these are read whole and compared by what
//! they say, and for two layers with zTOCs the files are.

mod files;
mod pair;
mod prefetch;
mod report;
mod ztoc;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::commands::inspect::{Blob, Image, Inspection, Layer, look};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::config::ImageConfig;
use crate::layout::reach::Search;
use crate::layout::select::ImageFilter;
use crate::layout::tree::{self, Content, Tree};
use crate::limits::{MAX_CONFIG_SIZE, MAX_ZTOC_SIZE};
use crate::oci::digest::Digest;
use crate::oci::platform::Platform;
use crate::ztoc::Ztoc;
pub use report::{
    BlobDifference, Change, Contrast, DIFFERENCE_VERSION, Difference, FileChange, FileDifference,
    ImageDifference, ImageSide, LayerDifference, NameDifference, SociRef,
};

/// What to compare.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DiffOptions {
    /// Name of the image in A; none for everything.
    pub ref_a: Option<String>,
    /// Name of the image in B; none for everything.
    pub ref_b: Option<String>,
    /// Platforms; empty for all.
    pub platforms: Vec<Platform>,
}

/// Compares the layout directories at `a` and `b`, which may be one. Nothing is locked or written.
///
/// # Errors
/// As [`crate::commands::inspect::inspect`], for either side. A platform that only one side has is no error.
pub fn diff(a: &Path, b: &Path, options: &DiffOptions) -> Result<Difference, Error> {
    let platforms = &options.platforms;
    let (a, missing_a) = Side::open(a, options.ref_a.as_ref(), platforms)?;
    let (b, missing_b) = Side::open(b, options.ref_b.as_ref(), platforms)?;
    if let (Some(error), Some(_)) = (missing_a, missing_b) {
        return Err(error);
    }
    let both = Both { a, b };
    let images = both.images();
    // Who names two images wants to see how the images differ.
    let names = if options.ref_a == options.ref_b { both.names() } else { Vec::new() };
    let blobs = both.blobs(options)?;
    let same = names.is_empty()
        && images.iter().all(|image| image.change == Change::Same)
        && blobs.only_a.is_empty()
        && blobs.only_b.is_empty();
    Ok(Difference { version: DIFFERENCE_VERSION, same, names, images, blobs })
}

/// One layout.
struct Side {
    layout: Layout,
    tree: Tree,
    found: Inspection,
    /// Positions of the images.
    images: HashMap<String, usize>,
    /// And of the SOCI indexes.
    soci_indexes: HashMap<Digest, usize>,
    /// Digest and size of each image's configuration.
    configs: HashMap<Digest, (Digest, u64)>,
}

fn configs(tree: &Tree) -> HashMap<Digest, (Digest, u64)> {
    let mut configs = HashMap::new();
    for root in &tree.roots {
        root.visit(&mut |node| {
            let (Content::Image(image), Some(descriptor)) = (&node.content, node.known()) else {
                return;
            };
            configs.insert(descriptor.digest, (image.config.digest, image.config.size));
        });
    }
    configs
}

impl Side {
    /// Opens and reads; the error beside it is for a platform that this side does not have.
    fn open(
        path: &Path,
        name: Option<&String>,
        platforms: &[Platform],
    ) -> Result<(Self, Option<Error>), Error> {
        let layout = Layout::open(path)?;
        let tree = tree::read_all(&layout)?;
        let mut filter = ImageFilter {
            refs: name.into_iter().cloned().collect(),
            platforms: platforms.to_vec(),
        };
        let (found, missing) = match look(&layout, &tree, &filter) {
            Err(error @ Error::NoSuchPlatform { .. }) => {
                // What the other side has of it is then added or removed.
                let refs = &filter.refs;
                filter.platforms.retain(|wanted| {
                    let one = ImageFilter { refs: refs.clone(), platforms: vec![wanted.clone()] };
                    look(&layout, &tree, &one).is_ok()
                });
                let none = filter.platforms.is_empty();
                let mut found = look(&layout, &tree, &filter)?;
                if none {
                    (found.images, found.soci_indexes) = Default::default();
                }
                (found, Some(error))
            }
            found => (found?, None),
        };
        let places = found.images.iter().enumerate();
        let images = places.map(|(place, image)| (image.digest.to_string(), place)).collect();
        let configs = configs(&tree);
        let places = found.soci_indexes.iter().enumerate();
        let soci_indexes = places.map(|(place, soci)| (soci.digest, place)).collect();
        Ok((Self { layout, tree, found, images, soci_indexes, configs }, missing))
    }

    fn image(&self, digest: &str) -> Option<&Image> {
        Some(&self.found.images[*self.images.get(digest)?])
    }

    fn side(&self, image: &Image) -> ImageSide {
        let soci = |digest: &Digest| {
            let soci = &self.found.soci_indexes[*self.soci_indexes.get(digest)?];
            Some(SociRef { soci_version: soci.soci_version, digest: soci.digest })
        };
        ImageSide {
            digest: image.digest,
            soci_indexes: image.soci_indexes.iter().filter_map(soci).collect(),
            lazy: image.lazy,
        }
    }

    /// The diff ID of each layer, if there are as many of them as layers.
    fn diff_ids(&self, image: &Image) -> Vec<Option<String>> {
        let none = vec![None; image.layers.len()];
        let Some((digest, size)) = self.configs.get(&image.digest).copied() else { return none };
        let Ok(Some(bytes)) = self.layout.read_blob(&digest, size, MAX_CONFIG_SIZE) else {
            return none;
        };
        let Ok(config) = ImageConfig::parse(&bytes, digest) else { return none };
        let ids: Vec<_> = config.diff_ids.into_iter().map(Some).collect();
        if ids.len() == none.len() { ids } else { none }
    }

    fn ztoc(&self, layer: &Layer) -> Result<Ztoc, String> {
        let Some(ztoc) = &layer.ztoc else { return Err("none".to_owned()) };
        let bytes = match self.layout.read_blob(&ztoc.digest, ztoc.size, MAX_ZTOC_SIZE) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err("missing".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        Ztoc::decode(&bytes).map_err(|error| format!("no reader takes it: {error}"))
    }

    /// All blobs that what was compared leads to.
    fn blobs(
        &self,
        name: Option<&String>,
        platforms: bool,
    ) -> Result<BTreeMap<Digest, u64>, Error> {
        if name.is_none() && !platforms {
            return self.sizes(Search::layout(&self.tree.index_json).tree(&self.tree));
        }
        // An index would lead to the platforms that were not asked for.
        let roots = self.found.roots.iter().filter(|_| !platforms);
        let roots = roots.filter_map(|root| root.digest.parse().ok());
        let images =
            self.found.images.iter().flat_map(|image| {
                [image.digest].into_iter().chain(image.attestations.iter().copied())
            });
        let soci = self.found.soci_indexes.iter().map(|soci| soci.digest);
        self.sizes(Search::digests(roots.chain(images).chain(soci).collect()))
    }

    fn sizes(&self, search: Search<'_>) -> Result<BTreeMap<Digest, u64>, Error> {
        let found = search.run(&self.layout)?.sha256.into_iter();
        Ok(found.map(|(digest, reached)| (digest, reached.size)).collect())
    }
}

struct Both {
    a: Side,
    b: Side,
}

impl Both {
    fn names(&self) -> Vec<NameDifference> {
        let names = |side: &Side| {
            let mut list: Vec<(String, String)> = Vec::new();
            let mut known: HashMap<String, String> = HashMap::new();
            for root in &side.found.roots {
                for name in &root.names {
                    if known.insert(name.clone(), root.digest.clone()).is_none() {
                        list.push((name.clone(), root.digest.clone()));
                    }
                }
            }
            list
        };
        let (a, b) = (names(&self.a), names(&self.b));
        let maps: [HashMap<&str, &str>; 2] =
            [&a, &b].map(|list| list.iter().map(|(name, digest)| (&**name, &**digest)).collect());
        let find = |side: usize, name: &str| maps[side].get(name).map(|text| (*text).to_owned());
        let added = b.iter().filter(|(name, _)| find(0, name).is_none());
        a.iter()
            .chain(added)
            .map(|(name, _)| {
                let (a, b) = (find(0, name), find(1, name));
                let change = Change::of(a.as_ref(), b.as_ref(), |a, b| a == b);
                NameDifference { name: name.clone(), change, a, b }
            })
            .filter(|difference| difference.change != Change::Same)
            .collect()
    }

    fn images(&self) -> Vec<ImageDifference> {
        let (a, b) = (pair::groups(&self.a.found), pair::groups(&self.b.found));
        let mut list: Vec<ImageDifference> = Vec::new();
        let mut places: HashMap<(Option<&str>, Option<&str>), usize> = HashMap::new();
        let mut named: HashSet<(usize, &str)> = HashSet::new();
        let empty = pair::Group { names: Vec::new(), digest: "", images: Vec::new() };
        for (old, new) in pair::pair_groups(&a, &b) {
            let (old, new) = (old.map_or(&empty, |at| &a[at]), new.map_or(&empty, |at| &b[at]));
            let mut names: Vec<&str> = old.names.clone();
            let known: HashSet<&str> = names.iter().copied().collect();
            names.extend(new.names.iter().filter(|name| !known.contains(*name)));
            for (was, is) in pair::pair_images(old, new) {
                let (was, is) = (was.map(|at| old.images[at].1), is.map(|at| new.images[at].1));
                let place = *places.entry((was, is)).or_insert_with(|| {
                    let was = was.and_then(|digest| self.a.image(digest));
                    let is = is.and_then(|digest| self.b.image(digest));
                    list.push(self.image(was, is));
                    list.len() - 1
                });
                let new = names.iter().filter(|name| named.insert((place, *name)));
                list[place].names.extend(new.map(|name| (*name).to_owned()));
            }
        }
        list
    }

    fn image(&self, a: Option<&Image>, b: Option<&Image>) -> ImageDifference {
        let mut layers = self.layers(a, b);
        self.prefetch(&mut layers, a, b);
        let platform = a.or(b).and_then(|image| image.platform.clone());
        let (a, b) = (a.map(|a| self.a.side(a)), b.map(|b| self.b.side(b)));
        let all_same = layers.iter().all(|layer| {
            layer.change == Change::Same && matches!(layer.ztoc, None | Some(Change::Same))
        });
        let change = Change::of(a.as_ref(), b.as_ref(), |a, b| a == b && all_same);
        ImageDifference { names: Vec::new(), platform, change, a, b, layers }
    }

    fn layers(&self, a: Option<&Image>, b: Option<&Image>) -> Vec<LayerDifference> {
        let list = |image: Option<&Image>| image.map_or(&[][..], |image| &image.layers).to_vec();
        let (old, new) = (list(a), list(b));
        let digests = |layers: &[Layer]| layers.iter().map(|l| l.digest).collect::<Vec<_>>();
        let (old_ids, new_ids) = (
            a.map(|a| self.a.diff_ids(a)).unwrap_or_default(),
            b.map(|b| self.b.diff_ids(b)).unwrap_or_default(),
        );
        pair::pair_layers(&digests(&old), &digests(&new))
            .into_iter()
            .map(|(i, j)| {
                let id =
                    |ids: &[Option<String>], at: Option<usize>| ids.get(at?).cloned().flatten();
                let ids = (id(&old_ids, i), id(&new_ids, j));
                let mut layer = self.layer(i.map(|i| &old[i]), j.map(|j| &new[j]));
                layer.same_content =
                    layer.change == Change::Changed && ids.0.is_some() && ids.0 == ids.1;
                layer
            })
            .collect()
    }

    fn layer(&self, a: Option<&Layer>, b: Option<&Layer>) -> LayerDifference {
        let change = Change::of(a, b, |a, b| a.digest == b.digest);
        let ztocs = (a.and_then(|a| a.ztoc.as_ref()), b.and_then(|b| b.ztoc.as_ref()));
        let ztoc = match ztocs {
            (None, None) => None,
            (a, b) => Some(Change::of(a, b, |a, b| a.digest == b.digest)),
        };
        let mut difference = LayerDifference {
            change,
            same_content: false,
            a: a.cloned(),
            b: b.cloned(),
            ztoc,
            contrasts: Vec::new(),
            files: None,
        };
        let (Some(a), Some(b), Some(Change::Changed)) = (a, b, ztoc) else { return difference };
        match (self.a.ztoc(a), self.b.ztoc(b)) {
            (Ok(a), Ok(b)) if change == Change::Same => {
                difference.contrasts = ztoc::contrasts(&a, &b);
            }
            (Ok(a), Ok(b)) => difference.files = Some(files::compare(&a.toc, &b.toc)),
            (a, b) => {
                let word =
                    |ztoc: Result<Ztoc, String>| ztoc.map_or_else(|e| e, |_| "good".to_owned());
                let place = "the zTOC".to_owned();
                difference.contrasts.push(Contrast { place, a: word(a), b: word(b) });
            }
        }
        difference
    }

    fn blobs(&self, options: &DiffOptions) -> Result<BlobDifference, Error> {
        let platforms = !options.platforms.is_empty();
        let a = self.a.blobs(options.ref_a.as_ref(), platforms)?;
        let b = self.b.blobs(options.ref_b.as_ref(), platforms)?;
        let only = |these: &BTreeMap<Digest, u64>, others: &BTreeMap<Digest, u64>| {
            let only = these.iter().filter(|(digest, _)| !others.contains_key(digest));
            only.map(|(digest, size)| Blob { digest: *digest, size: *size }).collect::<Vec<_>>()
        };
        let sum = |blobs: &[Blob]| blobs.iter().fold(0_u64, |sum, b| sum.saturating_add(b.size));
        let (only_a, only_b) = (only(&a, &b), only(&b, &a));
        let common = a.iter().filter(|(digest, _)| b.contains_key(digest));
        Ok(BlobDifference {
            only_a_bytes: sum(&only_a),
            only_b_bytes: sum(&only_b),
            common: common.clone().count() as u64,
            common_bytes: common.fold(0, |sum: u64, (_, size)| sum.saturating_add(*size)),
            only_a,
            only_b,
        })
    }
}
