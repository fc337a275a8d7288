//! Bytes of a layer on their way to who reads a file: picked out, checked, written.

use std::io::{self, Write};
use std::path::Path;

use super::header::HeaderCheck;
use super::open::LayerFiles;
use super::view::EntryKind;
use crate::error::Error;
use crate::layout::opened::{OpenBlob, Part};
use crate::progress::event::Observer;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The name stands for something without content.
    #[error("it is {}", article(*.0))]
    NotAFile(EntryKind),
    /// The layout.
    #[error(transparent)]
    Layout(#[from] Error),
    /// Where the content was to go.
    #[error("failed to write: {0}")]
    Output(io::Error),
}

fn article(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "a file",
        EntryKind::Directory => "a directory",
        EntryKind::Symlink => "a symbolic link",
        EntryKind::CharDevice => "a character device",
        EntryKind::BlockDevice => "a block device",
        EntryKind::Fifo => "a named pipe",
        EntryKind::HardLink => "a hard link whose target is not in its layer",
        EntryKind::Whiteout => "a whiteout",
        EntryKind::Opaque => "an opaque marker",
    }
}

/// Picks a file's header and content out of the uncompressed bytes that come by.
pub(super) struct Delivery<'a> {
    header: Option<HeaderCheck<'a>>,
    pub(super) start: u64,
    content: u64,
    pub(super) end: u64,
    /// Offset of the next byte that comes.
    pub(super) position: u64,
    /// Offset of the next byte that is wanted.
    next: u64,
    out: &'a mut dyn Write,
    failed: Option<ReadError>,
}

impl<'a> Delivery<'a> {
    /// Wants the content from `content` to `end`, and the header in front of it when there is one to check.
    pub(super) fn new(
        header: Option<(u64, HeaderCheck<'a>)>,
        content: u64,
        end: u64,
        out: &'a mut dyn Write,
    ) -> Self {
        let (start, header) = match header {
            Some((start, check)) => (start, Some(check)),
            None => (content, None),
        };
        Self { header, start, content, end, position: 0, next: start, out, failed: None }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing() == 0 && self.failed.is_none()
    }

    pub(super) fn missing(&self) -> u64 {
        self.end - self.next
    }

    /// Takes the next bytes and tells whether more are wanted.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        let begin = self.position;
        self.position += bytes.len() as u64;
        if self.missing() == 0 || self.failed.is_some() || begin > self.next {
            return false;
        }
        let part = |from: u64, to: u64| {
            let from = from.clamp(begin, self.position) - begin;
            let to = to.clamp(begin, self.position) - begin;
            &bytes[from as usize..to.max(from) as usize]
        };
        let (head, body) =
            (part(self.next, self.content), part(self.next.max(self.content), self.end));
        if let Some(check) = &mut self.header {
            check.feed(head);
        }
        self.next += head.len() as u64;
        if self.next >= self.content
            && let Some(check) = self.header.take()
            && let Err(error) = check.finish()
        {
            self.failed = Some(error.into());
            return false;
        }
        if let Err(error) = self.out.write_all(body) {
            self.failed = Some(ReadError::Output(error));
            return false;
        }
        self.next += body.len() as u64;
        self.missing() > 0
    }

    /// What went wrong while bytes were taken.
    pub(super) fn check(&mut self) -> Result<(), ReadError> {
        self.failed.take().map_or(Ok(()), Err)
    }
}

/// The blob that is read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) layer: &'a LayerFiles,
    pub(super) blob: &'a OpenBlob,
    pub(super) path: &'a Path,
    pub(super) observer: &'a dyn Observer,
}

impl Source<'_> {
    pub(super) fn check_cancelled(&self) -> Result<(), ReadError> {
        if self.observer.cancelled() { Err(Error::Cancelled.into()) } else { Ok(()) }
    }

    pub(super) fn failed(&self, error: io::Error) -> ReadError {
        Error::io("read", self.path)(error).into()
    }

    pub(super) fn part(&self, at: u64, end: u64) -> Part<'_> {
        self.blob.part(at, end)
    }
}
