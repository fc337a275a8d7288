//! Shows what a layout holds: names, images, layers, their zTOCs, and what belongs to no image.
//!
//! Anybody's layout can be looked at, also a half-broken one: what cannot be read is shown as such, and the
//! rest beside it. Documents are read and held to their digests, of zTOCs only the head, of layers
//! nothing; so a layout of any size takes milliseconds, and what is shown is what the layout *says*.
//! [`crate::commands::verify`] proves it.

mod blobs;
mod image;
mod report;
mod soci;
mod walk;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

pub use crate::commands::share::Share;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{self, Content as Found, Node, Tree};
use crate::oci::platform::Platform;
use blobs::Broken;
pub use report::{
    Blob, Blobs, BrokenBlob, Content, Eager, Entry, INSPECTION_VERSION, Image, Inspection, Layer,
    Prefetch, Problem, Shape, SociIndex, SociVersion, Ztoc, ZtocHead,
};

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct InspectOptions {
    /// Names of the images; empty for all entries.
    pub refs: Vec<String>,
    /// Platforms; empty for all.
    pub platforms: Vec<Platform>,
}

/// Looks into the layout directory at `path`. Nothing is locked or written.
///
/// # Errors
/// [`Error`] when there is no layout, when its `index.json` cannot be read, or for a name or platform that
/// it does not have. Everything else that is wrong is shown.
pub fn inspect(path: &Path, options: &InspectOptions) -> Result<Inspection, Error> {
    let layout = Layout::open(path)?;
    let tree = tree::read_all(&layout)?;
    look(&layout, &tree, options)
}

/// Looks at a tree that was read by [`tree::read_all`].
pub(crate) fn look(
    layout: &Layout,
    tree: &Tree,
    options: &InspectOptions,
) -> Result<Inspection, Error> {
    let roots = wanted_roots(tree, &options.refs)?;
    let mut broken = Broken::default();
    let mut soci_indexes = soci::find(layout, &roots, &mut broken);
    let images = image::find(layout, &roots, options, &mut soci_indexes, &mut broken);
    for platform in &options.platforms {
        let is_it = |node: &Node| matches!(&node.content, Found::Image(image) if platform.matches(&image.platform));
        if !any(&roots, &is_it) {
            let platform = platform.to_string();
            return Err(Error::NoSuchPlatform { platform, found: platforms(&roots) });
        }
    }
    let wanted: HashSet<_> = images.iter().map(|image| image.digest).collect();
    let narrowed = !options.platforms.is_empty();
    if narrowed {
        soci_indexes.retain(|soci| soci.images.iter().any(|image| wanted.contains(image)));
    }
    Ok(Inspection {
        version: INSPECTION_VERSION,
        roots: walk::entries(&roots, narrowed.then_some(&wanted), &mut broken),
        image_index: tree.is_image_index(),
        images,
        soci_indexes,
        blobs: blobs::all(layout, tree, broken)?,
        warnings: tree.warnings.clone(),
    })
}

fn any(roots: &[&Node], is_it: &dyn Fn(&Node) -> bool) -> bool {
    let mut found = false;
    for root in roots {
        root.visit(&mut |node| found |= is_it(node));
    }
    found
}

fn platforms(roots: &[&Node]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for root in roots {
        root.visit(&mut |node| {
            if let Found::Image(image) = &node.content {
                found.insert(image.platform.to_string());
            }
        });
    }
    found.into_iter().collect()
}

/// The entries with one of these names, all other entries of the same digests, and the lists of what
/// refers to something below them.
fn wanted_roots<'a>(tree: &'a Tree, refs: &[String]) -> Result<Vec<&'a Node>, Error> {
    if refs.is_empty() {
        return Ok(tree.roots.iter().collect());
    }
    let named = |node: &Node, name: &str| {
        node.known().is_some_and(|descriptor| descriptor.names().any(|other| other == name))
    };
    let mut digests = HashSet::new();
    for name in refs {
        let roots = tree.roots.iter().filter(|root| named(root, name));
        let found: Vec<_> = roots.filter_map(|root| root.known()).map(|d| d.digest).collect();
        let none = found.is_empty();
        digests.extend(found);
        if none {
            let names = tree.roots.iter().filter_map(Node::known).flat_map(Descriptor::names);
            let found = names.map(str::to_owned).collect();
            return Err(Error::NoSuchRef { name: name.clone(), found });
        }
    }
    let is_wanted = |node: &Node| node.known().is_some_and(|d| digests.contains(&d.digest));
    let mut below = HashSet::new();
    for root in tree.roots.iter().filter(|root| is_wanted(root)) {
        root.visit(&mut |node| below.extend(node.known().map(|descriptor| descriptor.digest)));
    }
    let lists = |node: &Node| matches!(&node.content, Found::Referrers { subject, .. } if below.contains(subject));
    Ok(tree.roots.iter().filter(|root| is_wanted(root) || lists(root)).collect())
}
