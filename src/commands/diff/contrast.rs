//! What differs between both sides.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::report::{
    BlobDifference, Change, Contrast, ImageDifference, LayerDifference, NameDifference,
};
use super::side::Side;
use super::{files, pair, ztoc};
use crate::commands::inspect::{Blob, Image, Layer};
use crate::error::Error;
use crate::oci::digest::Digest;
use crate::progress::event::Observer;
use crate::progress::steps::proceed;
use crate::ztoc::Ztoc;

/// Both sides.
pub(super) struct Both<'a> {
    pub(super) a: Side,
    pub(super) b: Side,
    pub(super) observer: &'a dyn Observer,
}

impl Both<'_> {
    pub(super) fn names(&self) -> Vec<NameDifference> {
        let ((in_a, a), (in_b, b)) = (names(&self.a), names(&self.b));
        let added = in_b.iter().filter(|name| !a.contains_key(*name));
        let difference = |name: &&str| {
            let (a, b) = (a.get(name), b.get(name));
            let change = Change::of(a, b, |a, b| a == b);
            let text = |digest: Option<&&str>| digest.map(ToString::to_string);
            NameDifference { name: (*name).to_owned(), change, a: text(a), b: text(b) }
        };
        let all = in_a.iter().chain(added).map(difference);
        all.filter(|difference| difference.change != Change::Same).collect()
    }

    pub(super) fn images(&self) -> Result<Vec<ImageDifference>, Error> {
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
                proceed(self.observer)?;
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
        Ok(list)
    }

    fn image(&self, a: Option<&Image>, b: Option<&Image>) -> ImageDifference {
        let mut layers = self.layers(a, b);
        if let (Some(a), Some(b)) = (a, b) {
            self.prefetch(&mut layers, a, b);
        }
        let platform = a.or(b).and_then(|image| image.platform.clone());
        let (a, b) = (a.map(|a| self.a.side(a)), b.map(|b| self.b.side(b)));
        let all_same = layers.iter().all(|layer| {
            layer.change == Change::Same && matches!(layer.ztoc, None | Some(Change::Same))
        });
        let change = Change::of(a.as_ref(), b.as_ref(), |a, b| a == b && all_same);
        ImageDifference { names: Vec::new(), platform, change, a, b, layers }
    }

    fn layers(&self, a: Option<&Image>, b: Option<&Image>) -> Vec<LayerDifference> {
        let (old, new) = (list(a), list(b));
        let (old_ids, new_ids) = (
            a.map(|a| self.a.diff_ids(a)).unwrap_or_default(),
            b.map(|b| self.b.diff_ids(b)).unwrap_or_default(),
        );
        let digests = |layers: &[Layer]| layers.iter().map(|l| l.digest).collect::<Vec<_>>();
        let pairs = pair::pair_layers(&digests(old), &digests(new)).into_iter();
        pairs
            .map(|(i, j)| {
                let id = |ids: &[Option<String>], at: Option<usize>| ids.get(at?)?.clone();
                let ids = (id(&old_ids, i), id(&new_ids, j));
                let mut layer = self.layer(i.map(|i| &old[i]), j.map(|j| &new[j]));
                layer.same_content =
                    layer.change == Change::Changed && ids.0.is_some() && ids.0 == ids.1;
                layer
            })
            .collect()
    }

    /// Adds to each layer how the spans differ that are fetched ahead.
    fn prefetch(&self, layers: &mut [LayerDifference], a: &Image, b: &Image) {
        for layer in layers {
            let (Some(of_a), Some(of_b)) = (&layer.a, &layer.b) else { continue };
            let (a, b) = (self.a.prefetched(a, of_a.digest), self.b.prefetched(b, of_b.digest));
            if a != b {
                layer.contrasts.push(Contrast { place: "prefetch".to_owned(), a, b });
            }
        }
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

    /// The blobs of what was compared: the images of these names, and whether only those for some platforms.
    pub(super) fn blobs(
        &self,
        [name_a, name_b]: [Option<&String>; 2],
        platforms: bool,
    ) -> Result<BlobDifference, Error> {
        let (a, b) = (self.a.blobs(name_a, platforms)?, self.b.blobs(name_b, platforms)?);
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

fn list(image: Option<&Image>) -> &[Layer] {
    image.map_or(&[], |image| &image.layers)
}

/// The names of a side in their order, and what they name: of entries with one name the first counts.
fn names(side: &Side) -> (Vec<&str>, HashMap<&str, &str>) {
    let (mut order, mut digests) = (Vec::new(), HashMap::new());
    for root in &side.found.roots {
        for name in &root.names {
            digests.entry(name.as_str()).or_insert_with(|| {
                order.push(name.as_str());
                root.digest.as_str()
            });
        }
    }
    (order, digests)
}
