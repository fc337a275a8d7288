//! The tar headers of a layer without a zTOC.

use std::io::Read;

use crate::error::Error;
use crate::layer::list::Listing;
use crate::layer::unpack::Codec;
use crate::layer::{content, list as headers};
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::media_type::{Compression, LayerKind, is_zstd, layer_kind};
use crate::progress::event::Outcome;
use crate::progress::steps::{BlobProgress, Steps};

/// How a layer of this media type is compressed, or why it cannot be read.
pub(in crate::commands) fn codec(media_type: &str) -> Result<Codec, &'static str> {
    match layer_kind(media_type) {
        LayerKind::Indexable(Compression::Gzip) => Ok(Codec::Gzip),
        LayerKind::Indexable(Compression::None) => Ok(Codec::Plain),
        _ if is_zstd(media_type) => Ok(Codec::Zstd),
        LayerKind::Unsupported(reason) => Err(reason),
        LayerKind::NotALayer => Err("its media type is not that of a layer"),
    }
}

/// Reads the whole of a layer of the image `referrer`, for what its tar headers say and how it is compressed.
///
/// # Errors
/// [`Error::UnreadableLayer`] for one that cannot be shown correctly; those of a blob that is missing, damaged or
/// cannot be read.
pub(in crate::commands) fn list(
    layout: &Layout,
    steps: &Steps<'_>,
    referrer: Digest,
    layer: &Descriptor,
) -> Result<(Codec, Listing), Error> {
    let Descriptor { digest, size, .. } = *layer;
    let unreadable = |reason: String| Error::UnreadableLayer { digest, reason };
    let called = codec(&layer.media_type).map_err(|reason| unreadable(reason.to_owned()))?;
    let missing = || Error::BlobMissing { digest, referrer: referrer.to_string() };
    let mut blob = layout.open_blob(&digest, size)?.ok_or_else(missing)?;
    let path = || layout.blob_path(&digest);
    let head = content::head(&mut blob).map_err(|error| Error::io("read", &path())(error))?;
    let codec = headers::codec(&head, called);
    let step = steps.announce(format!("[list] {digest}"), &format!("list {digest}"), &[]);
    steps.run(&step, || {
        let observer = BlobProgress { steps, step: &step, size, failed: None, slots: None };
        if codec == Codec::Plain && size == 0 {
            return Ok(((codec, Listing::default()), Outcome::Done));
        }
        let mut whole = head.as_slice().chain(&mut blob);
        let listed = headers::list(&mut whole, codec, (digest, size), &observer)
            .map_err(|error| Error::scan(error, path(), digest, size))?;
        Ok(((codec, listed.map_err(unreadable)?), Outcome::Done))
    })
}
