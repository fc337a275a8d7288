//! Which images of a layout are meant: a pure decision over the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::descriptor::Descriptor;
use super::tree::{Content, Image, Node, Tree};
use crate::error::Error;
use crate::oci::digest::Digest;
use crate::oci::platform::Platform;
use crate::progress::warnings::Warnings;

/// Which images are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFilter {
    /// Names of the images; empty for all.
    pub refs: Vec<String>,
    /// Platforms; empty for all.
    pub platforms: Vec<Platform>,
}

impl ImageFilter {
    /// Whether images for `platform` are meant.
    pub(crate) fn wants(&self, platform: &Platform) -> bool {
        self.platforms.is_empty() || self.platforms.iter().any(|wanted| wanted.matches(platform))
    }

    /// Refuses a platform that is not among those that were found.
    pub(crate) fn check_platforms(&self, found: &[&Platform]) -> Result<(), Error> {
        let none = |wanted: &&Platform| !found.iter().any(|platform| wanted.matches(platform));
        let Some(platform) = self.platforms.iter().find(none) else { return Ok(()) };
        let found: BTreeSet<String> = found.iter().map(ToString::to_string).collect();
        let platform = platform.to_string();
        Err(Error::NoSuchPlatform { platform, found: found.into_iter().collect() })
    }

    /// Digests of the entries of `index.json` with the names that are meant, among those that `counts`; `None` when
    /// all are meant. Other names of the same image move with it: they are one image, and one of its names would
    /// otherwise silently stay behind.
    pub(crate) fn named(
        &self,
        tree: &Tree,
        counts: impl Fn(&Node) -> bool,
    ) -> Result<Option<BTreeSet<Digest>>, Error> {
        if self.refs.is_empty() {
            return Ok(None);
        }
        let counting = || tree.roots.iter().filter(|root| counts(root)).filter_map(Node::known);
        let mut digests = BTreeSet::new();
        for wanted in &self.refs {
            let mut named = counting().filter(|root| root.names().any(|name| name == wanted));
            let Some(first) = named.next() else {
                let mut found: Vec<_> =
                    counting().flat_map(Descriptor::names).map(str::to_owned).collect();
                found.dedup();
                return Err(Error::NoSuchRef { name: wanted.clone(), found });
            };
            digests.insert(first.digest);
            digests.extend(named.map(|root| root.digest));
        }
        Ok(Some(digests))
    }
}

/// The images that are meant.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    /// For each root whether it is meant.
    roots: Vec<bool>,
    filter: &'a ImageFilter,
    /// Whether images of unknown platform are skipped.
    needs_platform: bool,
    /// Distinct images in the order in which they are found.
    pub(crate) images: Vec<SelectedImage<'a>>,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// An image that is meant.
#[derive(Debug)]
pub(crate) struct SelectedImage<'a> {
    pub(crate) digest: Digest,
    pub(crate) image: &'a Image,
    /// Names of the roots that lead to it.
    pub(crate) names: Vec<String>,
}

impl<'a> Selection<'a> {
    /// Whether the image below the root at `position` is meant.
    pub(crate) fn wants(&self, position: usize, image: &Image) -> bool {
        self.roots[position]
            && self.filter.wants(&image.platform)
            && !(self.needs_platform && image.platform.is_incomplete())
    }

    /// Positions of the roots that are meant.
    pub(crate) fn roots(&self) -> impl Iterator<Item = usize> {
        self.roots.iter().enumerate().filter(|(_, wanted)| **wanted).map(|(position, _)| position)
    }

    /// Skips images of unknown platform, and gives them.
    pub(crate) fn leave_incomplete(&mut self) -> Vec<SelectedImage<'a>> {
        self.needs_platform = true;
        let incomplete = |selected: &mut SelectedImage<'_>| selected.image.platform.is_incomplete();
        self.images.extract_if(.., incomplete).collect()
    }
}

/// Decides which images are meant.
///
/// # Errors
/// When there is none.
pub(crate) fn select<'a>(
    tree: &'a Tree,
    filter: &'a ImageFilter,
    layout: &Path,
) -> Result<Selection<'a>, Error> {
    let selection = select_any(tree, filter)?;
    if selection.images.is_empty() {
        return Err(Error::NoImage { path: layout.to_owned() });
    }
    Ok(selection)
}

/// As [`select`], also when there is no image.
pub(crate) fn select_any<'a>(
    tree: &'a Tree,
    filter: &'a ImageFilter,
) -> Result<Selection<'a>, Error> {
    let mut selection = Selection {
        roots: wanted_roots(tree, filter)?,
        filter,
        needs_platform: false,
        images: Vec::new(),
        warnings: Vec::new(),
    };
    let mut by_digest: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut left_alone = Warnings::default();
    let mut platforms: Vec<&Platform> = Vec::new();
    let mut named: BTreeSet<(Digest, &str)> = BTreeSet::new();
    let mut absent = Vec::new();
    let is_image_index = tree.is_image_index();
    let any_image = tree.roots.iter().any(has_image);
    for position in selection.roots().collect::<Vec<_>>() {
        let root = &tree.roots[position];
        let name = root.known().and_then(name);
        if let (Content::Missing, Some(descriptor), false) =
            (&root.content, root.known(), is_image_index || !any_image)
        {
            let referrer = "index.json".to_owned();
            return Err(Error::BlobMissing { digest: descriptor.digest, referrer });
        }
        let missing = root.nodes().filter(|node| matches!(node.content, Content::Missing));
        for descriptor in missing.filter_map(Node::known) {
            absent.push(descriptor.digest);
            let platform =
                descriptor.platform.as_ref().map_or_else(String::new, |p| format!(" ({p})"));
            let digest = descriptor.digest;
            left_alone.add(|| format!("left alone: {digest}{platform} is not in the layout"));
        }
        for (descriptor, image) in root.nodes().filter_map(Node::image) {
            platforms.push(&image.platform);
            if !filter.wants(&image.platform) {
                continue;
            }
            let index = *by_digest.entry(descriptor.digest).or_insert_with(|| {
                let names = Vec::new();
                selection.images.push(SelectedImage { digest: descriptor.digest, image, names });
                selection.images.len() - 1
            });
            if let Some(name) = name
                && named.insert((descriptor.digest, name))
            {
                selection.images[index].names.push(name.to_owned());
            }
        }
    }
    let others = |more| format!("left alone: {more} more that are not in the layout");
    selection.warnings = left_alone.finish(others);
    if let (Some(digest), true) = (absent.first(), platforms.is_empty()) {
        return Err(Error::AllMissing { digest: *digest, count: absent.len() });
    }
    filter.check_platforms(&platforms)?;
    Ok(selection)
}

/// The name under which people know a root.
pub(crate) fn name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.names().next()
}

fn has_image(root: &Node) -> bool {
    root.nodes().any(|node| matches!(node.content, Content::Image(_)))
}

/// Whether an image is meant by naming the root, be it that its manifest is absent.
fn is_image(root: &Node) -> bool {
    root.nodes().any(|node| matches!(node.content, Content::Image(_) | Content::Missing))
}

fn wanted_roots(tree: &Tree, filter: &ImageFilter) -> Result<Vec<bool>, Error> {
    let roots = tree.roots.iter();
    Ok(match filter.named(tree, is_image)? {
        None => roots.map(is_image).collect(),
        Some(named) => {
            roots.map(|root| root.known().is_some_and(|d| named.contains(&d.digest))).collect()
        }
    })
}
