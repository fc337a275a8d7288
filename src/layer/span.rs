//! Digests of a blob and of its spans, the pieces of it that a reader fetches and checks.

use crate::oci::digest::{Digest, Hasher};
use crate::ztoc::zinfo::Checkpoint;

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
    /// Takes the next bytes of the blob, with the checkpoints at which spans begin, inside of them or right behind
    /// their last byte, in order.
    pub(crate) fn feed(&mut self, chunk: &[u8], starts: &[Checkpoint]) {
        let mut rest = chunk;
        for start in starts {
            let (before, after) = rest.split_at((start.compressed_offset - self.position) as usize);
            self.advance(before);
            rest = after;
            let mut hasher = Hasher::new();
            // The byte in which the block before ended belongs to both spans.
            if start.bits != 0 {
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
        let starts = [(10, 0), (64, 1), (128, 0), (200, 7)].map(|(compressed_offset, bits)| {
            Checkpoint { compressed_offset, uncompressed_offset: 0, bits }
        });
        let expected: Vec<Digest> =
            [&blob[10..64], &blob[63..128], &blob[128..200], &blob[199..]].map(Digest::of).into();
        for size in [1, 3, 64, 128, 200] {
            let mut hasher = BlobHasher::default();
            for (index, chunk) in blob.chunks(size).enumerate() {
                let begin = (index * size) as u64;
                let end = begin + chunk.len() as u64;
                // A start at a border may come with the chunk before it, as the walker finds it.
                let here: Vec<Checkpoint> = starts
                    .iter()
                    .copied()
                    .filter(|s| s.compressed_offset > begin && s.compressed_offset <= end)
                    .collect();
                hasher.feed(chunk, &here);
            }
            assert_eq!(hasher.finish(), (Digest::of(&blob), expected.clone()), "chunks of {size}");
        }
    }
}
