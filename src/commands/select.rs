//! Which images of a layout are wanted: a pure decision over the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::commands::index::options::Options;
use crate::error::Error;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Content, Image, Node, REF_NAME, Tree};
use crate::oci::digest::Digest;
use crate::oci::soci_version::{IndexVersion, V1Shape};
use crate::progress::warnings::Warnings;

/// The images that are wanted.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    /// For each root whether it is wanted.
    roots: Vec<bool>,
    options: &'a Options,
    /// Whether images whose platform nobody knows are left alone.
    needs_platform: bool,
    /// Distinct wanted images in the order in which they are found.
    pub(crate) images: Vec<SelectedImage<'a>>,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// A wanted image.
#[derive(Debug)]
pub(crate) struct SelectedImage<'a> {
    pub(crate) digest: Digest,
    pub(crate) image: &'a Image,
    /// Names of the roots that lead to it.
    pub(crate) names: Vec<String>,
}

impl Selection<'_> {
    /// Whether the image below the root at `position` is wanted.
    pub(crate) fn wants(&self, position: usize, image: &Image) -> bool {
        self.roots[position]
            && wants_platform(self.options, image)
            && !(self.needs_platform && image.platform.is_incomplete())
    }

    /// Positions of the wanted roots.
    pub(crate) fn roots(&self) -> impl Iterator<Item = usize> {
        self.roots.iter().enumerate().filter(|(_, wanted)| **wanted).map(|(position, _)| position)
    }
}

fn wants_platform(options: &Options, image: &Image) -> bool {
    options.platforms.is_empty() || options.platforms.iter().any(|p| p.matches(&image.platform))
}

/// Decides which images are wanted, and whether the options make sense for them.
pub(crate) fn select<'a>(
    tree: &'a Tree,
    options: &'a Options,
    layout: &Path,
) -> Result<Selection<'a>, Error> {
    let selection = select_any(tree, options)?;
    if selection.images.is_empty() {
        return Err(Error::NoImage { path: layout.to_owned() });
    }
    Ok(selection)
}

/// As [`select`], without the images that could not be pulled any more if they were indexed as the options say.
pub(crate) fn select_indexable<'a>(
    tree: &'a Tree,
    options: &'a Options,
    layout: &Path,
) -> Result<Selection<'a>, Error> {
    let mut selection = select(tree, options, layout)?;
    // The tagged shape changes nothing but the list of referrers.
    let tagged = options.index_version == IndexVersion::V1 && options.v1_shape == V1Shape::Tagged;
    if tagged {
        return Ok(selection);
    }
    selection.needs_platform = true;
    let mut left_alone = Warnings::default();
    selection.images.retain(|selected| {
        let incomplete = selected.image.platform.is_incomplete();
        if incomplete {
            left_alone.add(|| {
                format!(
                    "left alone: {} names no operating system or no architecture, so nobody could choose it from an \
                     image index; set its platform (crane mutate --set-platform linux/amd64), or use \
                     --index-version v1 --v1-shape tagged",
                    selected.digest
                )
            });
        }
        !incomplete
    });
    let others = |more| format!("left alone: {more} more images without a platform");
    selection.warnings.extend(left_alone.finish(others));
    Ok(selection)
}

/// As [`select`], also when there is no image.
pub(crate) fn select_any<'a>(tree: &'a Tree, options: &'a Options) -> Result<Selection<'a>, Error> {
    let mut selection = Selection {
        roots: wanted_roots(tree, options)?,
        options,
        needs_platform: false,
        images: Vec::new(),
        warnings: Vec::new(),
    };
    let mut by_digest: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut left_alone = Warnings::default();
    let mut platforms: BTreeSet<String> = BTreeSet::new();
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
        let mut found: Vec<(&Descriptor, &Image)> = Vec::new();
        let mut missing = Vec::new();
        root.visit(&mut |node| match (&node.content, node.known()) {
            (Content::Image(image), Some(descriptor)) => found.push((descriptor, image)),
            (Content::Missing, Some(descriptor)) => missing.push(descriptor),
            _ => {}
        });
        for descriptor in missing {
            absent.push(descriptor.digest);
            let platform =
                descriptor.platform.as_ref().map_or_else(String::new, |p| format!(" ({p})"));
            let digest = descriptor.digest;
            left_alone.add(|| format!("left alone: {digest}{platform} is not in the layout"));
        }
        for (descriptor, image) in found {
            platforms.insert(image.platform.to_string());
            if !wants_platform(options, image) {
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
    for platform in &options.platforms {
        if !selection.images.iter().any(|i| platform.matches(&i.image.platform)) {
            let platform = platform.to_string();
            let found = platforms.into_iter().collect();
            return Err(Error::NoSuchPlatform { platform, found });
        }
    }
    check_names(tree, &selection, options)?;
    Ok(selection)
}

/// The name under which people know a root.
pub(crate) fn name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.names().next()
}

fn has_image(root: &Node) -> bool {
    let mut any = false;
    root.visit(&mut |node| any |= matches!(node.content, Content::Image(_)));
    any
}

/// Roots by the names asked for. Other names of the same image move with it: they are one image, and
/// one of its names would otherwise silently stay without an index.
fn wanted_roots(tree: &Tree, options: &Options) -> Result<Vec<bool>, Error> {
    if options.refs.is_empty() {
        return Ok(tree.roots.iter().map(|root| has_image(root) || is_missing(root)).collect());
    }
    let mut digests = BTreeSet::new();
    for wanted in &options.refs {
        let before = digests.len();
        for root in &tree.roots {
            if let Some(descriptor) = root.known()
                && descriptor.names().any(|name| name == wanted)
                && (has_image(root) || is_missing(root))
            {
                digests.insert(descriptor.digest);
            }
        }
        if digests.len() == before
            && !tree.roots.iter().any(|r| {
                r.known()
                    .is_some_and(|d| d.names().any(|n| n == wanted) && digests.contains(&d.digest))
            })
        {
            let images = tree.roots.iter().filter(|root| has_image(root));
            let mut found: Vec<String> = Vec::new();
            for name in images.filter_map(Node::known).flat_map(Descriptor::names) {
                if found.last().is_none_or(|last| last != name) {
                    found.push(name.to_owned());
                }
            }
            return Err(Error::NoSuchRef { name: wanted.clone(), found });
        }
    }
    Ok(tree.roots.iter().map(|r| r.known().is_some_and(|d| digests.contains(&d.digest))).collect())
}

/// Whether a manifest is absent that the root is or leads to.
fn is_missing(root: &Node) -> bool {
    let mut any = false;
    root.visit(&mut |node| any |= matches!(node.content, Content::Missing));
    any
}

/// `--name`, and the tagged shape's need of names.
fn check_names(tree: &Tree, selection: &Selection<'_>, options: &Options) -> Result<(), Error> {
    let roots: Vec<&Descriptor> =
        selection.roots().filter_map(|position| tree.roots[position].known()).collect();
    if let Some(name) = &options.name {
        let refuse = |problem: &str| {
            Err(Error::CannotName { name: name.clone(), problem: problem.to_owned() })
        };
        let valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:@/+".contains(&b));
        if name.is_empty() || !valid {
            return refuse("a name has letters, digits and - . _ : @ / + only");
        }
        let [root] = roots.as_slice() else {
            return refuse("several entries of index.json are selected; choose one with --ref");
        };
        match root.annotations.get(REF_NAME) {
            Some(old) if old != name => {
                return refuse(&format!("the image is already named {old:?}"));
            }
            _ => {}
        }
        let taken = tree.roots.iter().filter_map(Node::known).any(|other| {
            other.digest != root.digest && other.annotations.get(REF_NAME) == Some(name)
        });
        if taken {
            return refuse("another entry of index.json has it");
        }
    }
    let tagged = options.index_version.has_v1() && options.v1_shape == V1Shape::Tagged;
    if tagged
        && options.name.is_none()
        && let Some(root) = roots.iter().find(|root| !root.annotations.contains_key(REF_NAME))
    {
        return Err(if tree.is_image_index() {
            Error::TaggedImageIndex
        } else {
            Error::NeedsName { digest: root.digest }
        });
    }
    Ok(())
}
