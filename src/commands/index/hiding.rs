//! Leaves layers eager that would hide the attributes of lower layers' directories.
//!
//! A layer may have names in a directory that it has no entry for (`tar -c tmp/x`, appended to an image). Unpacked, the
//! directory stays as a lower layer has it; mounted lazily, one that the reader makes up hides it
//! ([`parents`]). What the layers say about such directories is only read when a layer
//! that was indexed has some.

use std::collections::{BTreeMap, BTreeSet};

use super::layers;
use super::options::Options;
use super::scanned::Scanned;
use crate::commands::listing::list;
use crate::commands::parents::{self, Attributes, Hidden, Seen, Stack, StackLayer, Watched};
use crate::error::Error;
use crate::layer::eager::{EagerCause, EagerReason};
use crate::layout::Layout;
use crate::layout::select::{SelectedImage, Selection};
use crate::oci::digest::Digest;
use crate::progress::steps::Steps;

/// Takes the zTOCs of such layers away again, unless they are accepted.
///
/// # Errors
/// [`Error::UnsupportedLayer`] when all layers are to be indexed; [`Error::Cancelled`]; [`Error::Io`].
pub(super) fn leave_eager(
    layout: &Layout,
    selection: &Selection<'_>,
    scanned: &mut Scanned,
    options: &Options,
    steps: &Steps<'_>,
) -> Result<(), Error> {
    if options.accept_unlike_unpacked {
        return Ok(());
    }
    let stacks = stacks(selection, scanned);
    if stacks.is_empty() {
        return Ok(());
    }
    let watched =
        parents::watch(&stacks, &|key| Ok(scanned.read(layout, key)?.ok()), options.jobs, steps)?;
    let seen = seen(layout, selection, &stacks, scanned, &watched, steps)?;
    let Some(found) = parents::hidden(&stacks, &watched, &seen, &|_| true) else {
        let text = "more directories without an entry than this program compares with lower layers";
        let reason = EagerReason::new(EagerCause::UnlikeUnpacked, text);
        let above = stacks.iter().flat_map(|stack| stack.layers.iter().skip(1));
        let lazy: BTreeSet<Digest> =
            above.filter(|layer| layer.ztoc.is_some()).map(|layer| layer.digest).collect();
        return lazy.into_iter().try_for_each(|layer| scanned.leave_eager(layer, &reason, options));
    };
    let mut told = BTreeSet::new();
    for Hidden { layer, path, lower, attributes, .. } in found {
        if told.insert(layer) {
            let made_up = Attributes::MADE_UP;
            let text = format!(
                "it has no entry for directory {path}: the lazy mount shows {made_up} instead of {attributes}, as in \
                 layer {lower}"
            );
            let reason = EagerReason::new(EagerCause::UnlikeUnpacked, text);
            scanned.leave_eager(layer, &reason, options)?;
        }
    }
    Ok(())
}

/// The images in which a lazy layer implies directories above another layer. Only such layers count as lazy.
fn stacks(selection: &Selection<'_>, scanned: &Scanned) -> Vec<Stack> {
    let stack = |image: &SelectedImage<'_>| {
        let layers = image.image.layers.iter().map(|layer| {
            let ready = layers::key(layer).and_then(|key| scanned.ztocs.get(&key));
            let ready = ready.filter(|ready| ready.implies_directories);
            let ztoc = ready.map(|ready| (ready.report.ztoc, ready.report.ztoc_size));
            StackLayer { digest: layer.digest, size: layer.size, ztoc }
        });
        Stack { image: image.digest, layers: layers.collect() }
    };
    let concerned = |stack: &Stack| stack.layers.iter().skip(1).any(|layer| layer.ztoc.is_some());
    selection.images.iter().map(stack).filter(concerned).collect()
}

/// What the layers of these images say, from their zTOCs, else from their blobs. One that cannot be read is left out.
fn seen(
    layout: &Layout,
    selection: &Selection<'_>,
    stacks: &[Stack],
    scanned: &Scanned,
    watched: &Watched,
    steps: &Steps<'_>,
) -> Result<BTreeMap<Digest, Seen>, Error> {
    let concerned: BTreeSet<Digest> = stacks.iter().map(|stack| stack.image).collect();
    let mut seen = BTreeMap::new();
    for image in selection.images.iter().filter(|image| concerned.contains(&image.digest)) {
        for layer in &image.image.layers {
            if seen.contains_key(&layer.digest) {
                continue;
            }
            let said = match scanned.ztoc(layout, layer)? {
                Some((_, Ok(ztoc))) => watched.look(&ztoc.toc),
                _ => match list(layout, steps, image.digest, layer) {
                    Ok((_, listing)) => watched.look(&listing.toc),
                    Err(error @ (Error::Cancelled | Error::Io { .. })) => return Err(error),
                    Err(_) => continue,
                },
            };
            seen.insert(layer.digest, said);
        }
    }
    Ok(seen)
}
