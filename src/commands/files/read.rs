//! The content of a file, written out as it is read.

use std::io::Write;
use std::ops::RangeInclusive;

use super::delivery::{Delivery, ReadError, Source};
use super::header::HeaderCheck;
use super::holes::Holes;
use super::open::Index;
use super::place::ContentPlace;
use super::spans::{Spans, Touched};
use super::tree::NodeId;
use super::view::{EntryKind, Root};
use crate::error::Error;
use crate::layer::ScanError;
use crate::layer::unpack::{self, Codec};
use crate::oci::digest::Digest;
use crate::progress::event::Observer;

/// What reading a file took.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadReport {
    /// The layer with the content.
    pub layer: Digest,
    /// Its number, from 1 at the bottom.
    pub layer_number: usize,
    /// Bytes of its blob.
    pub layer_size: u64,
    /// Bytes of the file.
    pub size: u64,
    /// The zTOC through which the file was read.
    pub ztoc: Option<Digest>,
    /// Spans read, from 0; only with a zTOC.
    pub spans: Option<RangeInclusive<u64>>,
    /// Number of spans of the layer; 0 without a zTOC.
    pub span_count: u64,
    /// Bytes of the blob that were needed.
    pub compressed: u64,
}

impl Root<'_> {
    /// Writes the content of a regular file to `out`, piece by piece. With a zTOC only the spans that cover the
    /// file and its tar header are read: each is checked against its digest, the header against the table of contents.
    /// Without one, the layer is read from its beginning (a plain tar only where the file is).
    ///
    /// What a damaged window makes of a file that lies in one span cannot be seen here: that is what
    /// [`crate::commands::verify`] is for.
    ///
    /// # Errors
    /// [`ReadError`]. Bytes of spans with a wrong digest are never written; a file that needs several spans may
    /// have been written in part.
    pub fn read(
        &self,
        node: NodeId,
        out: &mut dyn Write,
        observer: &dyn Observer,
    ) -> Result<ReadReport, ReadError> {
        let kind = self.entry(node).kind();
        let place = self
            .content_place(node)
            .filter(|_| !matches!(kind, EntryKind::Whiteout | EntryKind::Opaque))
            .ok_or(ReadError::NotAFile(kind))?;
        let ContentPlace { entry, header, start, end, .. } = place;
        let layer = &self.image.layers[place.layer];
        let Some(loaded) = &layer.loaded else { return Err(ReadError::NotAFile(kind)) };
        let size = end - start;
        let blob = self.image.open_blob(layer)?;
        let mut report = ReadReport {
            layer: layer.digest,
            layer_number: layer.number,
            layer_size: layer.size,
            size,
            ztoc: None,
            spans: None,
            span_count: 0,
            compressed: 0,
        };
        let path = self.image.layout.blob_path(&layer.digest);
        let source = Source { layer, blob: &blob, path: &path, observer };
        let touched = match &**loaded {
            Index::Ztoc(digest, ztoc) => {
                let file = ztoc.toc.get(entry);
                let check = HeaderCheck::new(file, (*digest, layer.digest), start - header)?;
                report.ztoc = Some(*digest);
                report.span_count = ztoc.zinfo.span_count();
                let mut delivery = Delivery::new(Some((header, check)), start, end, out);
                Spans { source, digest: *digest, ztoc }.read(&mut delivery)?
            }
            Index::Scanned(listing) => match listing.sparse.get(&entry) {
                None => straight(source, &mut Delivery::new(None, start, end, out))?,
                Some(map) => {
                    let data: u64 = map.iter().map(|part| part.end - part.start).sum();
                    let mut holes = Holes::new(map, size, observer, out);
                    let mut delivery = Delivery::new(None, start, start + data, &mut holes);
                    let touched = straight(source, &mut delivery)?;
                    holes.finish()?;
                    touched
                }
            },
        };
        report.spans = touched.spans.map(|(first, last)| first..=last);
        report.compressed = touched.compressed;
        Ok(report)
    }
}

/// Reads a layer that has no zTOC; its digest was checked when it was scanned.
fn straight(source: Source<'_>, delivery: &mut Delivery<'_>) -> Result<Touched, ReadError> {
    if delivery.is_complete() {
        return Ok(Touched::default());
    }
    let layer = source.layer;
    let codec = layer.codec.unwrap_or(Codec::Plain);
    let (from, to) = match codec {
        Codec::Plain => (delivery.start, delivery.end),
        Codec::Gzip | Codec::Zstd => (0, layer.size),
    };
    delivery.position = from;
    let mut part = source.part(from, to);
    let unpacked = unpack::unpack(&mut part, codec, &mut |bytes| {
        delivery.take(bytes) && !source.observer.cancelled()
    });
    delivery.check()?;
    if delivery.is_complete() {
        return Ok(Touched { spans: None, compressed: part.at - from });
    }
    source.check_cancelled()?;
    let (problem, offset) = match unpacked {
        Ok(()) => (format!("it ends {} bytes before the file's end", delivery.missing()), None),
        Err(ScanError::Read(error)) => return Err(source.failed(error)),
        Err(ScanError::Content { problem, offset, .. }) => (problem, offset),
        Err(error) => (error.to_string(), None),
    };
    let (digest, uncompressed_offset) = (layer.digest, None);
    Err(Error::CorruptLayer { digest, offset, uncompressed_offset, problem }.into())
}
