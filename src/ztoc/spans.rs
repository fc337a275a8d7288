//! Where the spans of a layer lie: the pieces of its blob that a reader fetches, checks and inflates from.
//!
//! A zTOC from elsewhere may say anything, so nothing here can panic or overflow; callers that read a span ask
//! [`Span::lies_inside`] before.

use super::zinfo::Checkpoint;
use super::{Zinfo, Ztoc};

/// A span by what its zTOC says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Offset in the blob of the first byte that belongs to no earlier span.
    pub(crate) offset: u64,
    /// High bits (1 to 7) of the byte before it that belong to this span as well.
    pub(crate) bits: u8,
    /// End in the blob: where the next span begins.
    pub(crate) end: u64,
    /// Offset of its first byte of content in the uncompressed archive.
    pub(crate) content: u64,
}

impl Span {
    /// First byte of the blob that a reader of the span needs.
    pub(crate) fn start(&self) -> u64 {
        self.offset.saturating_sub(u64::from(self.bits != 0))
    }

    /// Whether it can be read from a blob of `size` bytes.
    pub(crate) fn lies_inside(&self, size: u64) -> bool {
        let shares_a_byte = self.bits == 0 || (self.bits < 8 && self.offset > 0);
        shares_a_byte && self.offset <= self.end && self.end <= size
    }
}

impl Zinfo {
    /// Where the span with this number begins, which is below [`Zinfo::span_count`].
    pub(crate) fn checkpoint(&self, number: u64) -> Checkpoint {
        match self {
            Self::Gzip(gzip) => gzip.checkpoint(number as usize),
            Self::Tar(tar) => tar.checkpoint(number),
        }
    }

    /// The span with this number in a blob of `size` bytes.
    pub(crate) fn span(&self, number: u64, size: u64) -> Span {
        let Checkpoint { compressed_offset, uncompressed_offset, bits } = self.checkpoint(number);
        let end = match self {
            Self::Tar(tar) => compressed_offset.saturating_add(tar.span_size).min(size),
            Self::Gzip(gzip) if number + 1 == gzip.len() as u64 => size,
            Self::Gzip(_) => self.checkpoint(number + 1).compressed_offset,
        };
        Span { offset: compressed_offset, bits, end, content: uncompressed_offset }
    }

    /// The last of the spans for which `begun` is true: for none behind one for which it is not.
    fn last_begun(&self, begun: impl Fn(Checkpoint) -> bool) -> Option<u64> {
        let (mut low, mut high) = (0, self.span_count());
        while low < high {
            let middle = low.midpoint(high);
            if begun(self.checkpoint(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1)
    }

    /// The number of the last span that begins at or before `offset` of the content.
    pub(crate) fn span_at(&self, offset: u64) -> Option<u64> {
        match self {
            // Nothing lies behind the last.
            Self::Tar(tar) => Some(offset / tar.span_size).filter(|number| *number < tar.len()),
            Self::Gzip(_) => self.last_begun(|start| start.uncompressed_offset <= offset),
        }
    }

    /// First and last of the spans that somebody read who asked for these bytes (first and last) of a blob of `size`.
    ///
    /// A reader asks for whole spans, and where one begins inside a byte it shares that with its neighbour: the byte
    /// alone is no reading of the neighbour.
    pub(crate) fn spans_of_bytes(
        &self,
        (first, last): (u64, u64),
        size: u64,
    ) -> Option<(u64, u64)> {
        let last = last.min(size.checked_sub(1)?);
        // The last span that begins at or before a byte. In front of the first are only the headers of the format.
        let begun_by = |byte| self.last_begun(|start| start.compressed_offset <= byte);
        let (mut from, to) = (begun_by(first).unwrap_or(0), begun_by(last)?);
        if from < to && first.saturating_add(1) >= self.span(from, size).end {
            from += 1;
        }
        (first <= last).then_some((from, to))
    }
}

impl Ztoc {
    /// Bytes of the blob in the largest span: the most that a reader fetches for one place.
    #[must_use]
    pub fn largest_span(&self) -> u64 {
        match &self.zinfo {
            Zinfo::Gzip(gzip) => {
                let starts = gzip.checkpoints().map(|checkpoint| checkpoint.span_start());
                largest_span(starts, self.compressed_archive_size)
            }
            Zinfo::Tar(tar) => tar.span_size.min(tar.size),
        }
    }
}

/// The largest distance between the starts of spans, the last of which ends at `end`. Starts of a zTOC from
/// elsewhere may be in any order.
pub(super) fn largest_span(starts: impl Iterator<Item = u64>, end: u64) -> u64 {
    let (mut largest, mut before) = (0, None);
    for start in starts.map(Some).chain([None]) {
        if let Some(before) = before {
            largest = largest.max(start.unwrap_or(end).saturating_sub(before));
        }
        before = start;
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::super::zinfo::{GzipZinfo, TarZinfo, WINDOW_SIZE};
    use super::*;

    static ZEROS: [u8; WINDOW_SIZE] = [0; WINDOW_SIZE];

    /// Checkpoints at these offsets in the blob, with bits and offsets in the content.
    fn gzip(places: &[(u64, u8, u64)]) -> Zinfo {
        let mut zinfo = GzipZinfo::new(100);
        for (compressed_offset, bits, uncompressed_offset) in places.iter().copied() {
            zinfo.push(&Checkpoint { compressed_offset, uncompressed_offset, bits }, &ZEROS);
        }
        Zinfo::Gzip(zinfo)
    }

    #[test]
    fn spans_that_were_read() {
        let tar = Zinfo::Tar(TarZinfo { span_size: 40, size: 100 });
        let gzip = gzip(&[(10, 0, 0), (50, 3, 100), (70, 0, 200)]);
        for (zinfo, bytes, expected) in [
            (&tar, (0, 39), Some((0, 0))),
            (&tar, (40, 99), Some((1, 2))),
            (&tar, (80, u64::MAX), Some((2, 2))),
            (&tar, (100, 120), None),
            // What readers ask for: a span that begins inside byte 49 and goes to the next one.
            (&gzip, (49, 69), Some((1, 1))),
            (&gzip, (10, 49), Some((0, 0))),
            (&gzip, (49, 99), Some((1, 2))),
            (&gzip, (70, 99), Some((2, 2))),
            // What nobody asks for, but another span size: parts.
            (&gzip, (0, 20), Some((0, 0))),
            (&gzip, (48, 60), Some((0, 1))),
            (&gzip, (0, 99), Some((0, 2))),
            (&gzip, (0, 5), None),
            (&gzip, (60, 55), None),
        ] {
            assert_eq!(zinfo.spans_of_bytes(bytes, 100), expected, "{bytes:?}");
        }
        assert_eq!(tar.spans_of_bytes((0, 10), 0), None);
    }

    #[test]
    fn places_of_spans() {
        let span = |offset, bits, end, content| Span { offset, bits, end, content };
        let tar = Zinfo::Tar(TarZinfo { span_size: 40, size: 100 });
        let gzip = gzip(&[(10, 0, 0), (50, 3, 100), (70, 0, 200)]);
        for (zinfo, number, expected) in [
            (&tar, 0, span(0, 0, 40, 0)),
            (&tar, 2, span(80, 0, 100, 80)),
            (&gzip, 0, span(10, 0, 50, 0)),
            (&gzip, 1, span(50, 3, 70, 100)),
            (&gzip, 2, span(70, 0, 100, 200)),
        ] {
            assert_eq!(zinfo.span(number, 100), expected);
            assert!(expected.lies_inside(100));
        }
        assert_eq!(gzip.span(1, 100).start(), 49);
        for (zinfo, offset, expected) in [
            (&tar, 0, Some(0)),
            (&tar, 39, Some(0)),
            (&tar, 40, Some(1)),
            (&tar, 120, None),
            (&gzip, 99, Some(0)),
            (&gzip, 100, Some(1)),
            (&gzip, u64::MAX, Some(2)),
        ] {
            assert_eq!(zinfo.span_at(offset), expected, "{offset}");
        }
    }

    #[test]
    fn places_that_cannot_be() {
        for places in [
            &[(10, 8, 0)][..],
            &[(0, 1, 0)],
            &[(101, 0, 0)],
            &[(50, 0, 0), (40, 0, 100)],
            &[(50, 0, 0), (200, 0, 100)],
            &[(u64::MAX, 7, 0)],
        ] {
            assert!(!gzip(places).span(0, 100).lies_inside(100), "{places:?}");
        }
        assert_eq!(gzip(&[(10, 0, 50)]).span_at(49), None);
        let huge = Zinfo::Tar(TarZinfo { span_size: u64::MAX / 2, size: u64::MAX });
        assert_eq!(huge.span(2, 100).end, 100);
        assert!(!huge.span(2, 100).lies_inside(100));
    }
}
