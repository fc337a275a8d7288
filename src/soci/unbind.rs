//! The documents of a layout without SOCI indexes: the way back from [`crate::soci::bind`].
//!
//! Where it is known what an entry of `index.json` was ([`super::originals`]), it is put back as it stood.
//! Otherwise the documents are written that say the same, in Go's form.
//! A root that indexing put an index around (an image without an image index) is unwrapped again.

use std::collections::{BTreeMap, BTreeSet};

use super::bind::{Rewrite, Rewriter, Selected, images, readable};
use super::descriptors::as_listed;
use super::index::{ManifestRef, descriptor_text};
use super::manifest::member;
use super::new_image::{NewImage, V1Index};
use super::superseded::Superseded;
use super::{BUILD_TOOL, IMAGE_MANIFEST_DIGEST};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{Content, Image, Node, Tree};
use crate::limits::MAX_MANIFEST_SIZE;
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, MANIFEST};
use crate::oci::json::edit::set_member;
use crate::oci::json::parse_string;
use crate::oci::media_type::OCI_MANIFEST;
use crate::oci::soci_version::{IndexVersion, V1Shape};

/// By an image's manifest the SOCI indexes that are taken from it, V2 first.
pub(crate) type Removals = BTreeMap<Digest, Vec<Digest>>;

/// Rewrites the tree without the SOCI indexes that the selected images have of these `versions`.
///
/// # Errors
/// [`Error`] when a document cannot be read.
pub(crate) fn undo(
    layout: &Layout,
    tree: &Tree,
    versions: IndexVersion,
    selected: Selected<'_>,
) -> Result<(Rewrite, Removals), Error> {
    let before = Superseded::load(layout, tree)?;
    let mut rewriter = Rewriter::new(tree, &before, None);
    let mut removals = Removals::new();
    let indexes = IndexesOfImages::of(tree);
    for (descriptor, image) in images(tree, selected) {
        if rewriter.new_image(&descriptor.digest).is_some() {
            continue;
        }
        let of_image = indexes.of_image(descriptor, image);
        let gone = of_image.leave((layout, &mut rewriter), descriptor, image, versions)?;
        removals.extend(gone.map(|indexes| (descriptor.digest, indexes)));
    }
    Ok((readable(layout, tree, rewriter.documents(selected)?)?, removals))
}

/// The SOCI indexes of a tree by what leads to them, each once, in the order of the tree.
#[derive(Default)]
struct IndexesOfImages<'a> {
    /// V1 by the manifests that they refer to.
    v1: BTreeMap<Digest, Vec<(&'a Descriptor, V1Shape)>>,
    /// V2 by the manifests that their descriptors name.
    named: BTreeMap<Digest, Vec<(usize, &'a Descriptor)>>,
    /// V2 whose descriptors name none.
    bare: BTreeMap<Digest, (usize, &'a Descriptor)>,
}

impl<'a> IndexesOfImages<'a> {
    fn of(tree: &'a Tree) -> Self {
        let (mut found, mut seen) = (Self::default(), BTreeSet::new());
        let mut place = 0;
        for root in &tree.roots {
            // One in index.json itself or in a list is found by its subject alone, as in a registry.
            let nested = matches!(root.content, Content::Index { .. });
            let shape = if nested { V1Shape::Nested } else { V1Shape::Tagged };
            for (index, soci) in root.nodes().filter_map(Node::soci) {
                place += 1;
                let named = index.annotations.get(IMAGE_MANIFEST_DIGEST);
                if soci.version == IndexVersion::V1 {
                    if let Some(subject) = soci.subject
                        && seen.insert((subject, index.digest))
                    {
                        found.v1.entry(subject).or_default().push((index, shape));
                    }
                } else if let Some(named) = named {
                    if let Ok(image) = named.parse()
                        && seen.insert((image, index.digest))
                    {
                        found.named.entry(image).or_default().push((place, index));
                    }
                } else {
                    found.bare.entry(index.digest).or_insert((place, index));
                }
            }
        }
        found
    }

    fn of_image(&self, descriptor: &Descriptor, image: &Image) -> IndexesOf<'a> {
        let digest = descriptor.digest;
        let mut v2 = self.named.get(&digest).cloned().unwrap_or_default();
        let bare = image.soci_v2.as_ref().and_then(|text| text.parse().ok());
        if let Some(bare) = bare.and_then(|bare: Digest| self.bare.get(&bare))
            && v2.iter().all(|(_, known)| known.digest != bare.1.digest)
        {
            v2.push(*bare);
            v2.sort_by_key(|(place, _)| *place);
        }
        IndexesOf {
            v2: v2.into_iter().map(|(_, index)| index).collect(),
            v1: self.v1.get(&digest).cloned().unwrap_or_default(),
        }
    }
}

/// The SOCI indexes of one image, as they stand in the tree.
struct IndexesOf<'a> {
    v2: Vec<&'a Descriptor>,
    v1: Vec<(&'a Descriptor, V1Shape)>,
}

impl IndexesOf<'_> {
    /// Decides what becomes of the image without `versions`; `None` when it stays as it is.
    fn leave(
        &self,
        (layout, rewriter): (&Layout, &mut Rewriter<'_>),
        descriptor: &Descriptor,
        image: &Image,
        versions: IndexVersion,
    ) -> Result<Option<Vec<Digest>>, Error> {
        let v2_goes = versions.has_v2() && (image.soci_v2.is_some() || !self.v2.is_empty());
        let v1_goes = versions.has_v1() && !self.v1.is_empty();
        if !v2_goes && !v1_goes {
            return Ok(None);
        }
        let manifest = if v2_goes && image.soci_v2.is_some() {
            rewriter.unannotated(descriptor, image)?
        } else {
            as_listed(descriptor)
        };
        let stays = self.v2.first().filter(|_| !v2_goes);
        let media_type = || OCI_MANIFEST.to_owned();
        let v2 = stays.map(|index| ManifestRef { media_type: media_type(), ..as_listed(index) });
        let v1 = match self.v1.first() {
            Some((index, shape)) if !v1_goes => {
                let (text, tool) = follow(&read(layout, index)?, &manifest)
                    .map_err(Error::json(format!("blob {}", index.digest)))?;
                Some(V1Index { blob: rewriter.put(OCI_MANIFEST, text), shape: *shape, tool })
            }
            _ => None,
        };
        rewriter.add(NewImage { before: descriptor.digest, manifest, v2, v1 });
        let mut indexes = Vec::new();
        if v2_goes {
            indexes.extend(self.v2.iter().map(|index| index.digest));
        }
        if v1_goes {
            indexes.extend(self.v1.iter().map(|(index, _)| index.digest));
        }
        Ok(Some(indexes))
    }
}

/// The text of a SOCI index.
fn read(layout: &Layout, index: &Descriptor) -> Result<String, Error> {
    let Descriptor { digest, size, .. } = *index;
    let missing = || Error::BlobMissing { digest, referrer: "index.json".to_owned() };
    let bytes = layout.read_blob(&digest, size, MAX_MANIFEST_SIZE)?.ok_or_else(missing)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text of a V1 index that stays, with the image's new manifest as its subject, and the tool that made it.
fn follow(text: &str, manifest: &ManifestRef) -> Result<(String, String), serde_json::Error> {
    let subject = descriptor_text(manifest, &[]);
    let moved = canonical::encode(&set_member(text, "subject", &subject)?, &MANIFEST)?;
    let tool = match member(text, "annotations")? {
        Some(annotations) => member(&annotations, BUILD_TOOL)?,
        None => None,
    };
    let tool = tool.map(|raw| parse_string(&raw)).transpose()?;
    Ok((moved, tool.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v1_index_follows_its_image() {
        let (digest, media_type) = (Digest::of(b"image"), "m".to_owned());
        let manifest = ManifestRef { media_type, digest, size: 7 };
        let index = |subject: &str, more: &str| {
            format!(
                "{{\"schemaVersion\":2,\"config\":{{\"mediaType\":\"c\",\"digest\":\"d\",\"size\":2}},\"layers\":[],\"subject\":{subject}{more}}}"
            )
        };
        let tool = format!(",\"annotations\":{{\"{BUILD_TOOL}\":\"t\"}}");
        let new = format!("{{\"mediaType\":\"m\",\"digest\":\"{digest}\",\"size\":7}}");
        for (more, expected) in [("", ""), (tool.as_str(), "t")] {
            let (moved, tool) = follow(&index("{}", more), &manifest).expect("JSON");
            assert_eq!((moved, tool.as_str()), (index(&new, more), expected));
        }
    }
}
