//! Looks into a layout.

use std::collections::HashSet;
use std::path::Path;

use super::blobs::{self, Broken};
use super::report::{INSPECTION_VERSION, Inspection};
use super::{image, soci, startup, walk};
use crate::commands::link::Link;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::select::ImageFilter;
use crate::layout::tree::{self, Content as Found, Node, Tree};
use crate::progress::event::Observer;
use crate::progress::steps::proceed;

/// What to look at.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct InspectOptions {
    /// The images; without names, all entries.
    pub images: ImageFilter,
    /// The line for which it is estimated how soon the images start.
    pub link: Option<Link>,
}

/// Looks into the layout directory at `path`. Nothing is locked or written. The observer can cancel it; there are no steps.
///
/// # Errors
/// [`Error`] when there is no layout, when its `index.json` cannot be read, or for a name or platform that
/// it does not have. Everything else that is wrong is shown.
pub fn inspect(
    path: &Path,
    options: &InspectOptions,
    observer: &dyn Observer,
) -> Result<Inspection, Error> {
    let layout = Layout::open(path)?;
    let tree = tree::read_all(&layout)?;
    let mut inspection = look(&layout, &tree, &options.images, observer)?;
    if let Some(link) = options.link {
        let for_platforms = startup::for_platforms(&tree);
        let Inspection { images, soci_indexes, .. } = &mut inspection;
        for image in images {
            image.startup = Some(startup::of(image, soci_indexes, &for_platforms, &link));
        }
    }
    Ok(inspection)
}

/// Looks at a tree that was read by [`tree::read_all`].
pub(crate) fn look(
    layout: &Layout,
    tree: &Tree,
    filter: &ImageFilter,
    observer: &dyn Observer,
) -> Result<Inspection, Error> {
    proceed(observer)?;
    let roots = wanted_roots(tree, filter)?;
    let mut broken = Broken::default();
    let mut soci_indexes = soci::find(layout, &roots, &mut broken);
    let images = image::find(layout, &roots, filter, &mut soci_indexes, &mut broken);
    proceed(observer)?;
    let found = roots.iter().flat_map(|root| root.nodes()).filter_map(Node::image);
    filter.check_platforms(&found.map(|(_, image)| &image.platform).collect::<Vec<_>>())?;
    let wanted: HashSet<_> = images.iter().map(|image| image.digest).collect();
    let narrowed = !filter.platforms.is_empty();
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

/// The entries with one of these names, all other entries of the same digests, and the lists of what
/// refers to something below them.
fn wanted_roots<'a>(tree: &'a Tree, filter: &ImageFilter) -> Result<Vec<&'a Node>, Error> {
    let Some(named) = filter.named(tree, |_| true)? else {
        return Ok(tree.roots.iter().collect());
    };
    let is_wanted = |node: &Node| node.known().is_some_and(|d| named.contains(&d.digest));
    let below = tree.roots.iter().filter(|root| is_wanted(root)).flat_map(Node::nodes);
    let below: HashSet<_> = below.filter_map(Node::known).map(|node| node.digest).collect();
    let lists = |node: &Node| matches!(&node.content, Found::Referrers { subject, .. } if below.contains(subject));
    Ok(tree.roots.iter().filter(|root| is_wanted(root) || lists(root)).collect())
}
