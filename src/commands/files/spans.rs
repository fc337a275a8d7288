//! Reading through the spans of a zTOC, as a lazy mount does: which spans cover a range of the uncompressed
//! archive, their bytes checked against their digests, inflated from their checkpoints.
//!
//! A span's digest is computed before anything of it is given out, so a span is read twice: it may be larger
//! than memory. What digests cannot tell (a wrong window) is found where it shows: when a file goes on into
//! the next span, that span's window must be the content before it.

use super::delivery::{Delivery, ReadError, Source};
use crate::error::Error;
use crate::layer::{ScanError, pieces, unpack};
use crate::oci::digest::{Digest, Hasher};
use crate::ztoc::spans::Span;
use crate::ztoc::zinfo::WINDOW_SIZE;
use crate::ztoc::{Zinfo, Ztoc};

/// A layer with its zTOC.
#[derive(Clone, Copy)]
pub(super) struct Spans<'a> {
    pub(super) source: Source<'a>,
    /// Digest of the zTOC.
    pub(super) digest: Digest,
    pub(super) ztoc: &'a Ztoc,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// First and last span.
    pub(super) spans: Option<(u64, u64)>,
    /// Bytes of the blob.
    pub(super) compressed: u64,
}

impl Spans<'_> {
    /// Reads the spans that cover what `delivery` wants, and no others.
    ///
    /// # Errors
    /// [`Error::SpanDigest`], [`Error::BadZtoc`]; those of the delivery.
    pub(super) fn read(&self, delivery: &mut Delivery<'_>) -> Result<Touched, ReadError> {
        let mut touched = Touched::default();
        let mut number = self.find(delivery.start)?;
        let first = number;
        loop {
            let span = self.span(number)?;
            self.check(number, span)?;
            touched.spans = Some((first, number));
            touched.compressed += span.end - span.start();
            let window = self.inflate(number, span, delivery)?;
            if delivery.is_complete() {
                return Ok(touched);
            }
            delivery.check()?;
            self.source.check_cancelled()?;
            number += 1;
            if number == self.ztoc.zinfo.span_count() {
                let missing = delivery.missing();
                let problem = format!("its last span ends {missing} bytes before the file's end");
                return Err(self.wrong(Some(span.content), problem));
            }
            self.follows(number, delivery.position, window.as_deref())?;
        }
    }

    fn wrong(&self, offset: Option<u64>, problem: String) -> ReadError {
        Error::BadZtoc { ztoc: self.digest, layer: self.source.layer.digest, offset, problem }
            .into()
    }

    /// The span that covers `offset` of the content.
    fn find(&self, offset: u64) -> Result<u64, ReadError> {
        let nowhere = || self.wrong(Some(offset), "no span covers this place".to_owned());
        self.ztoc.zinfo.span_at(offset).ok_or_else(nowhere)
    }

    fn span(&self, number: u64) -> Result<Span, ReadError> {
        let size = self.source.layer.size;
        let span = self.ztoc.zinfo.span(number, size);
        if !span.lies_inside(size) {
            let problem = format!("span {number} does not lie inside the layer");
            return Err(self.wrong(Some(span.content), problem));
        }
        Ok(span)
    }

    /// Compares a span's bytes with its digest.
    fn check(&self, number: u64, span: Span) -> Result<(), ReadError> {
        let mut hasher = Hasher::new();
        let mut part = self.source.part(span.start(), span.end);
        let read = pieces(&mut part, &mut |piece| {
            hasher.update(piece);
            !self.source.observer.cancelled()
        });
        read.map_err(|error| self.source.failed(error))?;
        self.source.check_cancelled()?;
        let found = hasher.finish();
        let expected = self.ztoc.span_digests[number as usize];
        if found == expected {
            return Ok(());
        }
        let (layer, offset) = (self.source.layer.digest, span.start());
        Err(Error::SpanDigest { layer, span: number, offset, expected, found }.into())
    }

    /// Gives the content of a checked span to `delivery`. For gzip, the last 32 KiB of it when it was read to
    /// its end.
    fn inflate(
        &self,
        number: u64,
        span: Span,
        delivery: &mut Delivery<'_>,
    ) -> Result<Option<Box<[u8; WINDOW_SIZE]>>, ReadError> {
        delivery.position = span.content;
        let mut take = |bytes: &[u8]| delivery.take(bytes) && !self.source.observer.cancelled();
        let unpacked = match &self.ztoc.zinfo {
            Zinfo::Tar(_) => {
                let mut part = self.source.part(span.start(), span.end);
                unpack::unpack(&mut part, unpack::Codec::Plain, &mut take).map(|()| None)
            }
            Zinfo::Gzip(gzip) => {
                let checkpoint = gzip.checkpoint(number as usize);
                let mut byte = [0];
                if checkpoint.bits != 0 {
                    let read = self.source.blob.read_exact_at(&mut byte, span.start());
                    read.map_err(|error| self.source.failed(error))?;
                }
                let mut part = self.source.part(span.offset, span.end);
                let window = gzip.window(number as usize);
                unpack::resume(&checkpoint, byte[0], window, &mut part, &mut take)
            }
        };
        match unpacked {
            Ok(window) => Ok(window),
            Err(ScanError::Read(error)) => Err(self.source.failed(error)),
            Err(ScanError::Content { problem, offset, .. }) => {
                Err(self.wrong(offset, format!("inflating from checkpoint {number}: {problem}")))
            }
            Err(error) => Err(self.wrong(None, error.to_string())),
        }
    }

    /// Whether span `number` goes on where the one before it ended.
    fn follows(
        &self,
        number: u64,
        position: u64,
        content: Option<&[u8; WINDOW_SIZE]>,
    ) -> Result<(), ReadError> {
        let Zinfo::Gzip(gzip) = &self.ztoc.zinfo else { return Ok(()) };
        let begins = gzip.checkpoint(number as usize).uncompressed_offset;
        if begins != position {
            let problem =
                format!("span {} ends here, span {number} begins at {begins}", number - 1);
            return Err(self.wrong(Some(position), problem));
        }
        if content.is_some_and(|content| content != gzip.window(number as usize)) {
            let problem = format!("the window of checkpoint {number} is not the content before it");
            return Err(self.wrong(Some(position), problem));
        }
        Ok(())
    }
}
