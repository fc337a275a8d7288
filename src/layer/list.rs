//! The tar headers of a layer that has no zTOC: what a runtime would unpack, whether a zTOC could be made or not.

use std::collections::BTreeMap;
use std::io::Read;

use super::content::Content;
use super::eager::EagerReason;
use super::tar::{SparseMap, TarSummary, TarWalker};
use super::unpack::{Codec, unpack};
use super::{ScanError, ScanObserver};
use crate::oci::digest::{Digest, Hasher};
use crate::ztoc::toc::Toc;

/// How a layer is read: as its first bytes say, as runtimes do, and only then as its media type says.
pub(crate) fn codec(head: &[u8], called: Codec) -> Codec {
    Content::of(head).and_then(Content::codec).unwrap_or(called)
}

/// What the tar headers of a layer say.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) toc: Toc,
    /// Maps of the sparse files, by the positions of their entries.
    pub(crate) sparse: BTreeMap<usize, SparseMap>,
}

/// Reads the headers of a layer of this digest and size; inside, why they cannot be shown correctly.
///
/// # Errors
/// [`ScanError`]: the layer is damaged or cannot be read.
pub(crate) fn list(
    blob: &mut dyn Read,
    codec: Codec,
    (digest, size): (Digest, u64),
    observer: &dyn ScanObserver,
) -> Result<Result<Listing, String>, ScanError> {
    let mut input = Hashing { blob, hasher: Hasher::new(), position: 0, observer };
    let (mut walker, mut halted) = (TarWalker::unpacking(), None);
    let unpacked = unpack(&mut input, codec, &mut |bytes| {
        halted = walker.feed(bytes).err();
        halted.is_none()
    });
    let failed = |error| if observer.cancelled() { ScanError::Cancelled } else { error };
    if let Err(error @ (ScanError::Read(_) | ScanError::Cancelled)) = unpacked {
        return Err(failed(error));
    }
    // The rest counts for the digest, whatever was found.
    std::io::copy(&mut input, &mut std::io::sink()).map_err(|error| failed(error.into()))?;
    if input.position != size {
        return Err(ScanError::Size { found: input.position });
    }
    let found = input.hasher.finish();
    if found != digest {
        return Err(ScanError::Digest { found });
    }
    let summary = match (halted, unpacked) {
        (Some(error), _) => Err(error),
        // What stands behind the archive is no matter to who unpacks it (containerd: `archive.Apply`).
        (None, Err(ScanError::Content { .. })) if walker.at_end() => walker.finish(),
        (None, Err(ScanError::Content { problem, offset, .. })) => {
            let place =
                offset.map_or_else(String::new, |at| format!(" (at byte {at} of the blob)"));
            return Ok(Err(problem + &place));
        }
        (None, Err(error)) => return Err(error),
        (None, Ok(())) => walker.finish(),
    };
    let listing = |summary: TarSummary| Listing { toc: summary.toc, sparse: summary.sparse };
    Ok(summary.map(listing).map_err(|error| EagerReason::from(error).text))
}

/// A reader that hashes what goes through it, and ends when the observer wants it to.
struct Hashing<'a> {
    blob: &'a mut dyn Read,
    hasher: Hasher,
    position: u64,
    observer: &'a dyn ScanObserver,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.observer.cancelled() {
            return Err(std::io::Error::other("cancelled"));
        }
        let count = self.blob.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.position += count as u64;
        self.observer.progress(self.position);
        Ok(count)
    }
}
