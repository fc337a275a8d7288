//! SOCI indexes and rewritten documents, made of what was scanned and found, and staged for the commit.

use std::path::Path;

use super::layers::key;
use super::options::Options;
use super::scanned::Scanned;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::commit::StagedBlob;
use crate::layout::descriptor::Descriptor;
use crate::layout::lock::LockedLayout;
use crate::layout::select::Selection;
use crate::layout::tree::Tree;
use crate::soci::bind::{Binding, Rewrite, rewrite};
use crate::soci::index::ZtocEntry;
use crate::soci::prefetch::Prefetch;

/// The documents of a layout with the SOCI indexes of these zTOCs and prefetch lists.
pub(super) fn assemble(
    layout: &Layout,
    tree: &Tree,
    selection: &Selection<'_>,
    options: &Options,
    (scanned, prefetch): (&Scanned, &Prefetch),
) -> Result<Rewrite, Error> {
    let ztoc = |layer: &Descriptor| {
        let found = scanned.ztocs.get(&key(layer)?)?;
        Some(ZtocEntry {
            ztoc: found.report.ztoc,
            ztoc_size: found.report.ztoc_size,
            layer: layer.digest,
            layer_media_type: layer.media_type.clone(),
            span_size: options.span_size,
            disable_xattrs: options.xattr_optimization && found.can_disable_xattrs,
        })
    };
    let selected = |position, image: &_| selection.wants(position, image);
    let binding = Binding {
        index_version: options.index_version,
        v1_shape: options.v1_shape,
        v2_platform: options.v2_platform,
        layer_types: options.layer_types,
        tool: &options.build_tool_identifier,
        name: options.name.as_deref(),
        keeps: !options.prune,
    };
    rewrite(layout, tree, &binding, &selected, &ztoc, prefetch)
}

/// Documents are small: they are staged in the order of their digests.
pub(in crate::commands) fn stage_documents(
    layout: &LockedLayout,
    rewritten: &Rewrite,
    permissions_from: &Path,
) -> Result<Vec<StagedBlob>, Error> {
    let mut staged = Vec::new();
    for (digest, bytes) in &rewritten.blobs {
        staged.extend(layout.stage(*digest, bytes, permissions_from)?);
    }
    Ok(staged)
}
