//! Walks a layer's content: what the inflater, the checkpoint rule and the tar walker do together.

use super::gzip::{GzipError, GzipWalker, ReadAhead};
use super::span::SpanStart;
use super::tar::{TarError, TarSummary, TarWalker};
use super::{ScanError, ScanRequest};
use crate::oci::media_type::Compression;
use crate::ztoc::Zinfo;
use crate::ztoc::zinfo::{Checkpoint, TarZinfo};

/// Why a walk ended before the blob did. The digest still decides whether the blob is sound.
#[derive(Debug)]
pub(super) enum Halt {
    /// The content is no layer.
    Content(ScanError),
    /// It is one, but no reader could load it rightly.
    Unsupported(String),
}

impl From<TarError> for Halt {
    fn from(error: TarError) -> Self {
        if error.is_unsupported() {
            return Self::Unsupported(error.to_string());
        }
        Self::Content(ScanError::Content {
            problem: format!("not a valid tar archive: {error}"),
            offset: None,
            uncompressed_offset: Some(error.offset()),
        })
    }
}

impl From<GzipError> for Halt {
    fn from(error: GzipError) -> Self {
        if error.kind.is_unsupported() {
            return Self::Unsupported(error.to_string());
        }
        Self::Content(ScanError::Content {
            problem: error.to_string(),
            offset: Some(error.offset),
            uncompressed_offset: None,
        })
    }
}

/// The content of one layer, fed with the blob's bytes in order.
#[derive(Debug)]
pub(super) struct LayerWalker {
    tar: TarWalker,
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
        Self { tar: TarWalker::new(), kind }
    }

    /// Lets gzip members be read ahead.
    pub(super) fn set_ahead(&mut self, ahead: Box<dyn ReadAhead>) {
        if let Kind::Gzip { walker, .. } = &mut self.kind {
            walker.set_ahead(ahead);
        }
    }

    /// Takes the next bytes of the blob; the spans that begin in them go to `starts`.
    pub(super) fn feed(&mut self, chunk: &[u8], starts: &mut Vec<SpanStart>) -> Result<(), Halt> {
        let tar = &mut self.tar;
        match &mut self.kind {
            Kind::Gzip { walker, checkpoints } => {
                let mut tar_result = Ok(());
                let output = |bytes: &[u8]| {
                    if tar_result.is_ok() {
                        tar_result = tar.feed(bytes);
                    }
                };
                checkpoints.clear();
                let walked = walker.feed(chunk, output, checkpoints);
                starts.extend(checkpoints.iter().map(|checkpoint| SpanStart {
                    offset: checkpoint.compressed_offset,
                    shares_byte: checkpoint.bits != 0,
                }));
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

    /// The archive so far.
    pub(super) fn tar(&self) -> &TarWalker {
        &self.tar
    }

    /// The blob has ended.
    pub(super) fn finish(self) -> Result<(TarSummary, Zinfo), Halt> {
        let zinfo = match self.kind {
            Kind::Gzip { walker, .. } => Zinfo::Gzip(walker.finish()?.0),
            Kind::Tar { zinfo, .. } => Zinfo::Tar(zinfo),
        };
        Ok((self.tar.finish()?, zinfo))
    }
}
