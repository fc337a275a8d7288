//! What differs between both sides.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::options::DiffOptions;
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

    pub(super) fn blobs(&self, options: &DiffOptions) -> Result<BlobDifference, Error> {
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
