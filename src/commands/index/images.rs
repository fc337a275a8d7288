//! The images that can be indexed as the options say.

use std::path::Path;

use super::options::Options;
use crate::error::Error;
use crate::layout::descriptor::Descriptor;
use crate::layout::select::{self, Selection};
use crate::layout::tree::{Node, REF_NAME, Tree};
use crate::oci::soci_version::{IndexVersion, V1Shape};
use crate::progress::warnings::Warnings;

/// Decides which images are indexed, and whether the options make sense for them. Those are left alone that could
/// not be pulled any more if they were indexed as the options say.
pub(super) fn select<'a>(
    tree: &'a Tree,
    options: &'a Options,
    layout: &Path,
) -> Result<Selection<'a>, Error> {
    let mut selection = select::select(tree, &options.images, layout)?;
    check_names(tree, &selection, options)?;
    // The tagged shape changes nothing but the list of referrers.
    if options.index_version == IndexVersion::V1 && options.v1_shape == V1Shape::Tagged {
        return Ok(selection);
    }
    let mut left_alone = Warnings::default();
    for selected in selection.leave_incomplete() {
        left_alone.add(|| {
            format!(
                "left alone: {} names no operating system or no architecture, so no client can choose it from an \
                 image index; set its platform (crane mutate --set-platform linux/amd64), or make a tagged V1 \
                 index",
                selected.digest
            )
        });
    }
    let others = |more| format!("left alone: {more} more images without a platform");
    selection.warnings.extend(left_alone.finish(others));
    Ok(selection)
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
            return Err(Error::SeveralNamed { name: name.clone() });
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
