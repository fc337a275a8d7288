//! Where a layer can be read ahead from: what was read of the blob and is not yet walked, and what in it looks like the
//! start of a member or of a block, or is one by a zTOC.

use std::collections::VecDeque;
use std::sync::Arc;

use super::gzip::HeaderPattern;
use super::inflate::{Finder, Start};
use super::source::Chunk;
use crate::ztoc::zinfo::{Checkpoint, GzipZinfo};

/// Bytes in which a member or a block is looked for at a time.
const SEARCH: usize = 16 << 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// In order, with their offsets.
    chunks: VecDeque<(u64, Arc<Chunk>)>,
    /// How members begin, by those seen so far.
    pub(super) pattern: Option<HeaderPattern>,
    /// No member and no block is looked for in front of this offset.
    pub(super) searched: u64,
    /// The first checkpoint of a zTOC that was not looked at, and the uncompressed offset of the last that was given.
    next_claim: usize,
    given: Option<u64>,
}

impl Places {
    pub(super) fn add(&mut self, offset: u64, chunk: &Arc<Chunk>) {
        self.chunks.push_back((offset, Arc::clone(chunk)));
    }

    /// Forgets the chunks that begin in front of this offset.
    pub(super) fn drop_before(&mut self, offset: u64) {
        while self.chunks.front().is_some_and(|(start, _)| *start < offset) {
            self.chunks.pop_front();
        }
    }

    /// The chunk with this offset, and where in it.
    pub(super) fn chunk(&self, offset: u64) -> Option<(Arc<Chunk>, usize)> {
        let after = self.chunks.partition_point(|(start, _)| *start <= offset);
        let (start, chunk) = self.chunks.get(after.checked_sub(1)?)?;
        let skip = (offset - start) as usize;
        (skip < chunk.bytes().len()).then(|| (Arc::clone(chunk), skip))
    }

    /// The bytes from this offset on, as far as they are there.
    fn bytes(&self, from: u64, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length
            && let Some((chunk, skip)) = self.chunk(from + bytes.len() as u64)
        {
            let rest = &chunk.bytes()[skip..];
            bytes.extend_from_slice(&rest[..rest.len().min(length - bytes.len())]);
        }
        bytes
    }

    /// Bytes to look for a block in that begins at or behind `from`, and their offset; none when they are not there.
    pub(super) fn to_search(&self, from: u64) -> Option<(u64, Vec<u8>)> {
        // Two bytes in front, see [`Finder::find`].
        let begin = from.max(2) - 2;
        let bytes = self.bytes(begin, SEARCH + Finder::MARGIN);
        (bytes.len() > Finder::MARGIN).then_some((begin, bytes))
    }

    /// Where the first member seems to begin at or behind `target`.
    pub(super) fn member(&mut self, target: u64) -> Option<u64> {
        let pattern = self.pattern?;
        let first = self.chunks.front().map_or(0, |(offset, _)| *offset);
        let mut from = target.max(self.searched).max(first);
        loop {
            let bytes = self.bytes(from, SEARCH);
            if let Some(at) = pattern.find(&bytes) {
                let start = from + at as u64;
                self.searched = start + 1;
                return Some(start);
            }
            // The end is examined again, with what follows it.
            let edge =
                bytes.len().checked_sub(HeaderPattern::LENGTH - 1).filter(|edge| *edge > 0)?;
            from += edge as u64;
            self.searched = from;
        }
    }

    /// The next checkpoint of a zTOC from `target` up to `far` that has at least so many bytes of output between it and
    /// the last one that was given: where, and its number. The zTOC need not be right.
    pub(super) fn claimed(
        &mut self,
        claims: &GzipZinfo,
        target: u64,
        far: u64,
        output: u64,
    ) -> Option<(Start, usize)> {
        while self.next_claim < claims.len() {
            let Checkpoint { compressed_offset: byte, uncompressed_offset, bits } =
                claims.checkpoint(self.next_claim);
            if byte > far {
                return None;
            }
            let given = self.given.map_or(0, |given| given.saturating_add(output));
            if byte >= target && uncompressed_offset >= given {
                let before = *self.bytes(byte.checked_sub(1)?, 1).first()?;
                self.given = Some(uncompressed_offset);
                self.next_claim += 1;
                let start = Start { byte, before: [0, before], bits: Some(bits) };
                return Some((start, self.next_claim - 1));
            }
            self.next_claim += 1;
        }
        None
    }
}
