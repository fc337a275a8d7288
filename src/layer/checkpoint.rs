//! The span rule: where a gzip layer gets its checkpoints; and its counterpart for a zTOC that is there
//! already: whether its checkpoints lie where one can be.
//!
//! Source: `ztoc/compression/gzip_zinfo.c` of the reference (`soci-formats` 3.2), with one deliberate
//! difference. The reference takes *every* candidate while no output exists, so a layer with an empty
//! first gzip member or a leading empty block gets several checkpoints with `out = 0`, which its own
//! reader refuses (span offsets must increase). Here only the first of them is taken: such zTOCs are
//! readable, and all others are the same to the byte.

use crate::ztoc::zinfo::Checkpoint;

/// Where inflating may have to stop.
///
/// Candidates are the position behind each member's header and the end of each block that is not its
/// member's last. All offsets are of the whole blob and its whole output, over all members.
#[derive(Clone, Debug)]
pub(crate) struct SpanRule {
    span_size: u64,
    last: Option<u64>,
}

impl SpanRule {
    /// The rule for spans of `span_size` uncompressed bytes, at least 1.
    pub(crate) fn new(span_size: u64) -> Self {
        Self { span_size, last: None }
    }

    /// Whether the candidate at uncompressed offset `out` becomes a checkpoint; remembers it if so.
    pub(crate) fn take(&mut self, out: u64) -> bool {
        let taken = self.last.is_none_or(|last| out - last > self.span_size);
        if taken {
            self.last = Some(out);
        }
        taken
    }

    /// How many more bytes can be inflated past `out` before a candidate could be taken. Zero means
    /// that the next candidate counts, so block ends must be watched.
    pub(crate) fn bytes_until_next(&self, out: u64) -> u64 {
        self.last.map_or(0, |last| last.saturating_add(self.span_size).saturating_sub(out))
    }
}

/// Checkpoints that a zTOC claims, and which of them are candidates of the layer.
///
/// One that inflating came to is proven: it went through exactly this place, at the same bit, and so
/// inflating from it goes on in the same way, provided that the window is the same too.
#[derive(Clone, Debug)]
pub(crate) struct ClaimedCheckpoints {
    /// In order of their uncompressed offsets.
    places: Vec<Checkpoint>,
    proven: Vec<bool>,
    /// The first that may still be proven.
    next: usize,
}

impl ClaimedCheckpoints {
    pub(crate) fn new(places: Vec<Checkpoint>) -> Self {
        Self { proven: vec![false; places.len()], places, next: 0 }
    }

    /// Takes note of a candidate.
    pub(crate) fn record(&mut self, candidate: &Checkpoint) {
        self.pass(candidate.uncompressed_offset);
        // Several candidates can have the same uncompressed offset (empty blocks), and one may be meant.
        if self.places.get(self.next) == Some(candidate) {
            self.proven[self.next] = true;
            self.next += 1;
        }
    }

    /// As [`SpanRule::bytes_until_next`]. Block ends are watched from the byte before a claim on: an inflater that is not
    /// asked to stop at them goes through all that gives no more output.
    pub(crate) fn bytes_until_next(&mut self, out: u64) -> u64 {
        self.pass(out);
        let next = self.places.get(self.next);
        next.map_or(u64::MAX, |claim| (claim.uncompressed_offset - out).saturating_sub(1))
    }

    /// For each claim whether it is proven.
    pub(crate) fn proven(&self) -> &[bool] {
        &self.proven
    }

    /// Claims in front of `out` are not proven any more.
    fn pass(&mut self, out: u64) {
        while self.places.get(self.next).is_some_and(|claim| claim.uncompressed_offset < out) {
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_proven_at_their_bit_only() {
        let place = |compressed_offset, uncompressed_offset, bits| Checkpoint {
            compressed_offset,
            uncompressed_offset,
            bits,
        };
        let mut claims = ClaimedCheckpoints::new(vec![
            place(10, 0, 0),
            place(50, 100, 3),
            place(60, 200, 0),
            place(90, 300, 1),
        ]);
        assert_eq!(claims.bytes_until_next(0), 0);
        claims.record(&place(10, 0, 0));
        assert_eq!(claims.bytes_until_next(40), 59);
        // Two empty blocks; the second one is meant.
        claims.record(&place(48, 100, 3));
        assert_eq!(claims.bytes_until_next(100), 0);
        claims.record(&place(50, 100, 3));
        assert_eq!(claims.bytes_until_next(100), 99);
        claims.record(&place(60, 201, 0));
        claims.record(&place(90, 300, 2));
        assert_eq!(claims.bytes_until_next(301), u64::MAX);
        assert_eq!(claims.proven(), [true, true, false, false]);
    }

    #[test]
    fn strictly_more_than_a_span_apart() {
        let mut rule = SpanRule::new(100);
        let taken: Vec<u64> = [0, 0, 100, 101, 150, 201, 202, 302, 303]
            .into_iter()
            .filter(|o| rule.take(*o))
            .collect();
        assert_eq!(taken, [0, 101, 202, 303]);
    }

    #[test]
    fn bytes_until_a_candidate_can_count() {
        let mut rule = SpanRule::new(100);
        assert_eq!(rule.bytes_until_next(0), 0);
        assert!(rule.take(0));
        assert_eq!(rule.bytes_until_next(0), 100);
        assert_eq!(rule.bytes_until_next(99), 1);
        assert_eq!(rule.bytes_until_next(100), 0);
        assert_eq!(rule.bytes_until_next(1000), 0);
    }
}
