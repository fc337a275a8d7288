//! Digests of a blob and of its spans, the pieces of it that a reader fetches and checks.

use crate::oci::digest::{Digest, Hasher};

/// Where a span begins in the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanStart {
    /// Offset of the first byte that belongs to no earlier span.
    pub(crate) offset: u64,
    /// Whether the byte before it belongs to this span as well (the block ended inside that byte).
    pub(crate) shares_byte: bool,
}

impl SpanStart {
    /// A span at `offset` that shares `bits` bits of the byte before it.
    pub(crate) fn new(offset: u64, bits: u8) -> Self {
        Self { offset, shares_byte: bits != 0 }
    }
}

/// Hashes a blob whole and span by span, in one go over its bytes (`soci-formats` 3.3).
///
/// Bytes before the first span (the gzip header) are in none; the last span ends with the blob.
#[derive(Debug, Default)]
pub(crate) struct BlobHasher {
    blob: Hasher,
    span: Option<Hasher>,
    position: u64,
    previous_byte: u8,
    digests: Vec<Digest>,
}

impl BlobHasher {
    /// Takes the next bytes of the blob, with the spans that begin inside them or right behind their
    /// last byte, in order.
    pub(crate) fn feed(&mut self, chunk: &[u8], starts: &[SpanStart]) {
        let mut rest = chunk;
        for start in starts {
            let (before, after) = rest.split_at((start.offset - self.position) as usize);
            self.advance(before);
            rest = after;
            let mut hasher = Hasher::new();
            if start.shares_byte {
                hasher.update(&[self.previous_byte]);
            }
            self.digests.extend(self.span.replace(hasher).map(Hasher::finish));
        }
        self.advance(rest);
    }

    fn advance(&mut self, bytes: &[u8]) {
        match &mut self.span {
            Some(span) => self.blob.update_both(span, bytes),
            None => self.blob.update(bytes),
        }
        if let Some(last) = bytes.last() {
            self.previous_byte = *last;
            self.position += bytes.len() as u64;
        }
    }

    /// The digest of the blob and those of all spans.
    pub(crate) fn finish(mut self) -> (Digest, Vec<Digest>) {
        self.digests.extend(self.span.map(Hasher::finish));
        (self.blob.finish(), self.digests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_digests_however_the_bytes_come() {
        let blob: Vec<u8> = (0..200).collect();
        let starts = [
            SpanStart { offset: 10, shares_byte: false },
            SpanStart { offset: 64, shares_byte: true },
            SpanStart { offset: 128, shares_byte: false },
            SpanStart { offset: 200, shares_byte: true },
        ];
        let expected: Vec<Digest> =
            [&blob[10..64], &blob[63..128], &blob[128..200], &blob[199..]].map(Digest::of).into();
        for size in [1, 3, 64, 128, 200] {
            let mut hasher = BlobHasher::default();
            for (index, chunk) in blob.chunks(size).enumerate() {
                let begin = (index * size) as u64;
                let end = begin + chunk.len() as u64;
                // A start at a border may come with the chunk before it, as the walker finds it.
                let here: Vec<SpanStart> = starts
                    .iter()
                    .copied()
                    .filter(|s| s.offset > begin && s.offset <= end)
                    .collect();
                hasher.feed(chunk, &here);
            }
            assert_eq!(hasher.finish(), (Digest::of(&blob), expected.clone()), "chunks of {size}");
        }
    }
}
