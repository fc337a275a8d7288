//! Walks a layer's content: what the inflater, the checkpoint rule and the tar walker do together.

use super::ScanRequest;
use super::content::{Content, Head};
use super::eager::EagerReason;
use super::gzip::{GzipWalker, ReadAhead};
use super::span::SpanStart;
use super::tar::{TarSummary, TarWalker};
use crate::oci::media_type::Compression;
use crate::ztoc::Zinfo;
use crate::ztoc::zinfo::{Checkpoint, TarZinfo};

/// The content of one layer, fed with the blob's bytes in order.
#[derive(Debug)]
pub(super) struct LayerWalker {
    tar: TarWalker,
    /// The beginning of what a gzip stream holds.
    head: Head,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Gzip {
        walker: Box<GzipWalker>,
        checkpoints: Vec<Checkpoint>,
    },
    Tar {
        zinfo: TarZinfo,
        /// Bytes fed.
        position: u64,
        /// Where the next span begins.
        next_start: u64,
    },
}

impl LayerWalker {
    pub(super) fn new(request: &ScanRequest<'_>) -> Self {
        let kind = match request.compression {
            Compression::Gzip => Kind::Gzip {
                walker: Box::new(GzipWalker::new(request.span_size)),
                checkpoints: Vec::new(),
            },
            Compression::None => Kind::Tar {
                zinfo: TarZinfo { span_size: request.span_size, size: request.size },
                position: 0,
                next_start: 0,
            },
        };
        Self { tar: TarWalker::new(), head: Head::default(), kind }
    }

    /// Lets gzip members be read ahead.
    pub(super) fn set_ahead(&mut self, ahead: Box<dyn ReadAhead>) {
        if let Kind::Gzip { walker, .. } = &mut self.kind {
            walker.set_ahead(ahead);
        }
    }

    /// Takes the next bytes of the blob; the spans that begin in them go to `starts`.
    pub(super) fn feed(
        &mut self,
        chunk: &[u8],
        starts: &mut Vec<SpanStart>,
    ) -> Result<(), EagerReason> {
        let (tar, head) = (&mut self.tar, &mut self.head);
        match &mut self.kind {
            Kind::Gzip { walker, checkpoints } => {
                let mut tar_result = Ok(());
                let output = |bytes: &[u8]| {
                    head.feed(bytes);
                    if tar_result.is_ok() {
                        tar_result = tar.feed(bytes);
                    }
                };
                checkpoints.clear();
                let walked = walker.feed(chunk, output, checkpoints);
                let start = |c: &Checkpoint| SpanStart::new(c.compressed_offset, c.bits);
                starts.extend(checkpoints.iter().map(start));
                tar_result?;
                walked?;
            }
            Kind::Tar { zinfo, position, next_start } => {
                tar.feed(chunk)?;
                *position += chunk.len() as u64;
                while *next_start < *position {
                    starts.push(SpanStart { offset: *next_start, shares_byte: false });
                    *next_start = next_start.saturating_add(zinfo.span_size);
                }
            }
        }
        Ok(())
    }

    /// What a gzip stream holds, by its first bytes.
    pub(super) fn inner(&self) -> Option<Content> {
        self.head.content()
    }

    /// The archive so far.
    pub(super) fn tar(&self) -> &TarWalker {
        &self.tar
    }

    /// The blob has ended.
    pub(super) fn finish(self) -> Result<(TarSummary, Zinfo), EagerReason> {
        let zinfo = match self.kind {
            Kind::Gzip { walker, .. } => Zinfo::Gzip(walker.finish()?.0),
            Kind::Tar { zinfo, .. } => Zinfo::Tar(zinfo),
        };
        Ok((self.tar.finish()?, zinfo))
    }
}
