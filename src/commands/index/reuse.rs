//! zTOCs that are in the layout already.
//!
//! A zTOC is taken again when a SOCI index of the layout names it for the layer and it is what this
//! run would write: same span size and identifier, times in UTC, and a structure that the reference's
//! reader takes (a zTOC of the reference can be one that it does not). The layer's blob is still read
//! whole and held to its digest; of its spans the first and the last are compared, which tells a zTOC
//! that was put to the wrong layer. Windows and entries are trusted: whoever made the index computed
//! them, and proving them would be the scan itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::job::Job;
use super::options::Options;
use super::ready::ReadyZtoc;
use super::report::ReusedFrom;
use crate::error::Error;
use crate::layer::{ScanObserver, pieces};
use crate::layout::Layout;
use crate::layout::commit::StagedBlob;
use crate::layout::descriptor::Descriptor;
use crate::layout::opened::OpenBlob;
use crate::layout::tree::{Node, Tree};
use crate::limits::MAX_ZTOC_SIZE;
use crate::oci::digest::{Digest, Hasher};
use crate::oci::media_type::Compression;
use crate::soci::find::layer_of;
use crate::ztoc::Ztoc;

/// The zTOC that is looked for: of which layer, read in which way, for which settings.
pub(super) struct Wanted<'a> {
    pub(super) layer: &'a Descriptor,
    pub(super) compression: Compression,
    pub(super) layout: &'a Layout,
    pub(super) options: &'a Options,
    /// The work on the layer; `None` in a dry run, which reads nothing of the layer and stages nothing.
    pub(super) job: Option<&'a Job<'a>>,
}

impl Wanted<'_> {
    /// Whether a zTOC is what this run would write, by all that it says itself. Unless it is `trusted`, that includes
    /// its bytes.
    pub(super) fn fits(&self, ztoc: &Ztoc, bytes: &[u8], trusted: bool) -> bool {
        ztoc.zinfo.compression() == self.compression
            && ztoc.zinfo.span_size() == self.options.span_size
            && ztoc.build_tool_identifier == self.options.build_tool_identifier
            && ztoc.compressed_archive_size == self.layer.size
            && (trusted || ztoc.encode().is_ok_and(|again| *again == *bytes))
    }

    pub(super) fn warn(&self, message: &str) {
        if let Some(job) = self.job {
            job.warn(message);
        }
    }
}

/// A zTOC that need not be made, and its blob unless the layout has it already.
pub(super) struct Taken {
    pub(super) ready: ReadyZtoc,
    pub(super) ztoc: Ztoc,
    pub(super) staged: Option<StagedBlob>,
    pub(super) from: ReusedFrom,
}

/// zTOCs by the layer they are said to be for.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    by_layer: BTreeMap<Digest, Vec<&'a Descriptor>>,
}

impl<'a> Candidates<'a> {
    /// Collects what the layout's SOCI indexes name.
    pub(super) fn find(tree: &'a Tree) -> Self {
        let mut by_layer: BTreeMap<Digest, Vec<&'a Descriptor>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for ztoc in tree.nodes().filter_map(Node::soci).flat_map(|(_, soci)| &soci.ztocs) {
            if let Some(layer) = layer_of(ztoc)
                && seen.insert((layer, ztoc.digest))
            {
                by_layer.entry(layer).or_default().push(ztoc);
            }
        }
        Self { by_layer }
    }

    /// Whether a SOCI index of the layout names this zTOC for this layer.
    pub(super) fn name(&self, layer: Digest, ztoc: Digest) -> bool {
        self.by_layer.get(&layer).is_some_and(|list| list.iter().any(|one| one.digest == ztoc))
    }

    /// The first candidate that is what this run would write, by all that it says itself, when it belongs to the layer.
    ///
    /// # Errors
    /// As [`belongs`].
    pub(super) fn take(&self, wanted: &Wanted<'_>) -> Result<Option<Taken>, Error> {
        let Wanted { layer, layout, options, job, .. } = *wanted;
        for candidate in self.by_layer.get(&layer.digest).into_iter().flatten() {
            let Descriptor { digest, size, .. } = **candidate;
            let read = if options.trust_blobs && size <= MAX_ZTOC_SIZE {
                layout.read_trusted_blob(&digest, size)
            } else {
                layout.read_blob(&digest, size, MAX_ZTOC_SIZE)
            };
            let bytes = match read {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                // A damaged zTOC is made anew.
                Err(Error::BlobSize { .. } | Error::BlobDigest { .. } | Error::Limit { .. }) => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Ok(ztoc) = Ztoc::decode(&bytes) else { continue };
            if !wanted.fits(&ztoc, &bytes, options.trust_blobs) {
                continue;
            }
            if belongs(layer, &ztoc, job)? {
                let ready = ReadyZtoc::new(digest, size, &ztoc);
                return Ok(Some(Taken { ready, ztoc, staged: None, from: ReusedFrom::Layout }));
            }
            wanted.warn(&format!("zTOC {digest} does not belong to this layer; making a new one"));
            break;
        }
        Ok(None)
    }
}

/// Whether a zTOC is the layer's, by its first and last span. The layer's blob is read whole and held to its
/// digest, unless that was done just before (an archive that came in) or is not wanted
/// (a dry run; `trust_blobs`, which takes the zTOC as it is).
///
/// # Errors
/// A blob that is not what its descriptor says; [`Error::Io`].
pub(super) fn belongs(
    layer: &Descriptor,
    ztoc: &Ztoc,
    job: Option<&Job<'_>>,
) -> Result<bool, Error> {
    let Some(job) = job.filter(|job| !job.options.trust_blobs) else { return Ok(true) };
    let Descriptor { digest, size, .. } = *layer;
    let mut blob = job
        .layout
        .open_blob(&digest, size)?
        .ok_or_else(|| Error::BlobMissing { digest, referrer: "an image manifest".to_owned() })?;
    let mut ends = end_spans(ztoc);
    if job.blobs_are_whole {
        for span in &mut ends {
            span.read(&blob, size).map_err(Error::io("read", &job.layout.blob_path(&digest)))?;
        }
    } else {
        read_whole(&mut blob, layer, &mut ends, job)?;
    }
    Ok(ends.into_iter().all(|span| span.hasher.finish() == span.expected))
}

/// Reads the blob from end to end, past the spans, and holds it to its digest.
fn read_whole(
    blob: &mut OpenBlob,
    layer: &Descriptor,
    ends: &mut [Span],
    job: &Job<'_>,
) -> Result<(), Error> {
    let Descriptor { digest, size, .. } = *layer;
    let path = job.layout.blob_path(&digest);
    let mut hasher = Hasher::new();
    let (mut position, progress) = (0, job.blob(size));
    let read = pieces(blob, &mut |piece| {
        hasher.update(piece);
        for span in ends.iter_mut() {
            span.feed(position, piece);
        }
        position += piece.len() as u64;
        progress.progress(position);
        !progress.cancelled()
    });
    read.map_err(Error::io("read", &path))?;
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    if position != size {
        return Err(Error::BlobSize { digest, expected: size, found: position });
    }
    let found = hasher.finish();
    if found != digest {
        return Err(Error::BlobDigest { digest, found });
    }
    Ok(())
}

/// One span that is compared.
struct Span {
    start: u64,
    end: u64,
    expected: Digest,
    hasher: Hasher,
}

impl Span {
    /// Reads the span alone, as far as the blob of `size` bytes has it.
    fn read(&mut self, blob: &OpenBlob, size: u64) -> io::Result<()> {
        pieces(&mut blob.part(self.start, self.end.min(size)), &mut |piece| {
            self.hasher.update(piece);
            true
        })
    }

    fn feed(&mut self, position: u64, chunk: &[u8]) {
        let clamp = |offset: u64| offset.saturating_sub(position).min(chunk.len() as u64) as usize;
        self.hasher.update(&chunk[clamp(self.start)..clamp(self.end)]);
    }
}

fn end_spans(ztoc: &Ztoc) -> Vec<Span> {
    let Some(last) = ztoc.span_digests.len().checked_sub(1) else { return Vec::new() };
    let mut ends = vec![span(ztoc, 0)];
    if last > 0 {
        ends.push(span(ztoc, last));
    }
    ends
}

fn span(ztoc: &Ztoc, index: usize) -> Span {
    let place = ztoc.zinfo.span(index as u64, ztoc.compressed_archive_size);
    let (start, expected) = (place.start(), ztoc.span_digests[index]);
    // A zTOC from elsewhere may hold any offsets.
    Span { start, end: place.end.max(start), expected, hasher: Hasher::new() }
}
