//! Prefetch artifacts against their layers (`soci-formats` 5.4, 7.3; reference: `fs/layer/layer.go`).
//!
//! The reader looks at them only when it is told to, and ignores what fails. But it walks from the first to the
//! last span of a range whatever the numbers are: below 0 there is no span, and behind 2³¹ − 1 no end.

use super::Findings;
use super::document;
use super::finding::Consequence::{IoError, Misleading, Rejected};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::limits::MAX_MANIFEST_SIZE;
use crate::oci::digest::Digest;
use crate::soci::prefetched::{Mistake, Range, parse};

/// Reads an artifact. What is wrong with its form is a finding.
pub(super) fn read(
    layout: &Layout,
    artifact: &Descriptor,
    findings: &mut Findings,
) -> Result<Vec<Range>, Error> {
    let Descriptor { digest, size, .. } = *artifact;
    let bytes = match document::read(layout, digest, size, MAX_MANIFEST_SIZE)? {
        Ok(bytes) => bytes,
        Err((expected, found)) => {
            // All that the index lists is fetched, or the index is not taken.
            findings.add(Rejected, digest, "the prefetch artifact", expected, found);
            return Ok(Vec::new());
        }
    };
    Ok(match parse(&String::from_utf8_lossy(&bytes))? {
        Ok(ranges) => {
            if ranges.is_empty() {
                findings.add(Misleading, digest, "prefetch_spans", "at least one range", "none");
            }
            ranges
        }
        Err(Mistake { place, offset, expected, found }) => {
            findings.add_at(offset, Misleading, digest, place, expected, found);
            Vec::new()
        }
    })
}

/// Checks the ranges of an artifact against the number of its layer's spans.
pub(super) fn check(artifact: Digest, ranges: &[Range], spans: u64, findings: &mut Findings) {
    let last = i64::try_from(spans).unwrap_or(i64::MAX) - 1;
    let numbers = format!("spans from 0 to {last}");
    let mut before = -1;
    for (number, (start, end)) in ranges.iter().enumerate() {
        let behind = before;
        before = behind.max(*end);
        let endless = *end == i64::from(i32::MAX) && start <= end;
        let (consequence, expected) = if endless || (*start < 0 && start <= end) {
            // The first span that is not there ends the snapshotter; counting to the last number never does.
            (IoError, numbers.as_str())
        } else if start > end || *start > last || *end > last.saturating_add(1) {
            (Misleading, numbers.as_str())
        } else if *start <= behind {
            (Misleading, "a range behind the one before it, as every tool writes them")
        } else {
            // The reference itself writes one span too many where a file ends with the archive.
            continue;
        };
        let place = format!("prefetch_spans[{number}]");
        findings.add(consequence, artifact, place, expected, format!("{start} to {end}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::verify::Consequence;

    /// The consequence for a layer of ten spans.
    fn checked(start: i64, end: i64) -> Option<Consequence> {
        let mut findings = Findings::default();
        check(Digest::of(b""), &[(start, end)], 10, &mut findings);
        findings.finish().first().map(|finding| finding.consequence)
    }

    #[test]
    fn ranges() {
        let (unused, crash) = (Some(Consequence::Misleading), Some(Consequence::IoError));
        for (start, end, expected) in [
            (0, 9, None),
            (9, 9, None),
            // As the reference writes it for a file that ends with the archive.
            (9, 10, None),
            (0, 11, unused),
            (10, 10, unused),
            (5, 4, unused),
            (-1, 3, crash),
            (-2, -1, crash),
            (0, i64::from(i32::MAX), crash),
            (0, i64::from(i32::MAX) - 1, unused),
        ] {
            assert_eq!(checked(start, end), expected, "{start} to {end}");
        }
    }

    #[test]
    fn ranges_stand_in_order() {
        for (ranges, expected) in [
            (&[(0, 1), (2, 3), (9, 9)][..], 0),
            (&[(2, 3), (0, 1)], 1),
            (&[(0, 4), (4, 5), (5, 6)], 2),
            (&[(0, 8), (1, 2), (9, 9)], 1),
        ] {
            let mut findings = Findings::default();
            check(Digest::of(b""), ranges, 10, &mut findings);
            let found = findings.finish();
            assert_eq!(found.len(), expected, "{ranges:?}");
            assert!(found.iter().all(|finding| finding.consequence == Consequence::Misleading));
        }
    }
}
