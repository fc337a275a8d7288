//! Walks a layer's content: what the inflater, the checkpoint rule and the tar walker do together.

use super::ScanRequest;
use super::content::FirstBytes;
use super::eager::EagerReason;
use super::gzip::{GzipWalker, ReadAhead};
use super::tar::{TarSummary, TarWalker};
use crate::oci::media_type::Compression;
use crate::ztoc::Zinfo;
use crate::ztoc::zinfo::{Checkpoint, TarZinfo};

/// The content of one layer, fed with the blob's bytes in order.
#[derive(Debug)]
pub(super) struct LayerWalker {
    tar: TarWalker,
    first: FirstBytes,
    kind: Kind,
    failed: Option<EagerReason>,
}

#[derive(Debug)]
enum Kind {
    Gzip(Box<GzipWalker>),
    Tar {
        zinfo: TarZinfo,
        /// Bytes fed.
        position: u64,
        /// Spans that begin in them.
        spans: u64,
    },
}

impl LayerWalker {
    pub(super) fn new(request: &ScanRequest<'_>) -> Self {
        let kind = match request.compression {
            Compression::Gzip => Kind::Gzip(Box::new(GzipWalker::new(request.span_size))),
            Compression::None => Kind::Tar {
                zinfo: TarZinfo { span_size: request.span_size, size: request.size },
                position: 0,
                spans: 0,
            },
        };
        let first = FirstBytes::new(request.compression);
        Self { tar: TarWalker::new(), first, kind, failed: None }
    }

    /// Lets gzip members be read ahead.
    pub(super) fn set_ahead(&mut self, ahead: Box<dyn ReadAhead>) {
        if let Kind::Gzip(walker) = &mut self.kind {
            walker.set_ahead(ahead);
        }
    }

    /// Takes the next bytes of the blob; the checkpoints at which spans begin in them go to `starts`. False once the
    /// walk has failed, and so is over.
    pub(super) fn feed(&mut self, chunk: &[u8], starts: &mut Vec<Checkpoint>) -> bool {
        self.first.blob.feed(chunk);
        if self.failed.is_none() {
            self.failed = self.walk(chunk, starts).err();
        }
        self.failed.is_none()
    }

    fn walk(&mut self, chunk: &[u8], starts: &mut Vec<Checkpoint>) -> Result<(), EagerReason> {
        let (tar, head) = (&mut self.tar, &mut self.first.inner);
        match &mut self.kind {
            Kind::Gzip(walker) => {
                let mut tar_result = Ok(());
                let output = |bytes: &[u8]| {
                    head.feed(bytes);
                    if tar_result.is_ok() {
                        tar_result = tar.feed(bytes);
                    }
                };
                let walked = walker.feed(chunk, output, starts);
                tar_result?;
                walked?;
            }
            Kind::Tar { zinfo, position, spans } => {
                tar.feed(chunk)?;
                *position += chunk.len() as u64;
                let begun = position.div_ceil(zinfo.span_size);
                starts.extend((*spans..begun).map(|number| zinfo.checkpoint(number)));
                *spans = begun;
            }
        }
        Ok(())
    }

    /// The archive so far.
    pub(super) fn tar(&self) -> &TarWalker {
        &self.tar
    }

    /// Why it failed.
    pub(super) fn failure(self) -> Option<EagerReason> {
        self.failed.map(|reason| self.first.explain(reason))
    }

    /// The blob has ended.
    pub(super) fn finish(self) -> Result<(TarSummary, Zinfo), EagerReason> {
        let Self { tar, first, kind, failed } = self;
        let end = || {
            let zinfo = match kind {
                Kind::Gzip(walker) => Zinfo::Gzip(walker.finish()?.0),
                Kind::Tar { zinfo, .. } => Zinfo::Tar(zinfo),
            };
            Ok((tar.finish()?, zinfo))
        };
        failed.map_or_else(end, Err).map_err(|reason| first.explain(reason))
    }
}
