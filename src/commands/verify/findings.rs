//! A list of findings that cannot grow without bounds.

use super::finding::{Consequence, Finding};
use crate::oci::digest::Digest;

/// Findings that are kept; the others are counted.
const MAX_FINDINGS: usize = 1000;

/// The list.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    more: usize,
}

impl Findings {
    pub(super) fn add(
        &mut self,
        consequence: Consequence,
        blob: impl Into<Option<Digest>>,
        place: impl Into<String>,
        expected: impl ToString,
        found: impl ToString,
    ) {
        self.add_at(None, consequence, blob, place, expected, found);
    }

    /// As [`Self::add`], at an offset in the blob.
    #[expect(clippy::needless_pass_by_value, reason = "texts and numbers, made for this call")]
    pub(super) fn add_at(
        &mut self,
        offset: impl Into<Option<u64>>,
        consequence: Consequence,
        blob: impl Into<Option<Digest>>,
        place: impl Into<String>,
        expected: impl ToString,
        found: impl ToString,
    ) {
        if self.list.len() >= MAX_FINDINGS {
            self.more += 1;
            return;
        }
        let (blob, place, offset) = (blob.into(), place.into(), offset.into());
        let (expected, found) = (expected.to_string(), found.to_string());
        self.list.push(Finding { consequence, blob, place, offset, expected, found });
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.more += other.more;
        let room = MAX_FINDINGS.saturating_sub(self.list.len()).min(other.list.len());
        self.more += other.list.len() - room;
        self.list.extend(other.list.into_iter().take(room));
    }

    /// Whether something is known of a blob.
    pub(super) fn has(&self, blob: Digest) -> bool {
        self.list.iter().any(|finding| finding.blob == Some(blob))
    }

    /// Whether a zTOC cannot be mounted, so that its layer is unpacked.
    pub(super) fn has_eager(&self, ztoc: Digest) -> bool {
        let eager = Consequence::LayerEager;
        self.list.iter().any(|finding| finding.blob == Some(ztoc) && finding.consequence == eager)
    }

    /// A zTOC that cannot be mounted is not read: whatever else is wrong with it, the layer is pulled.
    pub(super) fn settle(&mut self, ztoc: Digest) {
        if !self.has_eager(ztoc) {
            return;
        }
        for finding in self.list.iter_mut().filter(|finding| finding.blob == Some(ztoc)) {
            // The gravest come first.
            finding.consequence = finding.consequence.max(Consequence::LayerEager);
        }
    }

    pub(in crate::commands) fn finish(mut self) -> Vec<Finding> {
        if self.more > 0 {
            self.list.push(Finding {
                consequence: Consequence::Misleading,
                blob: None,
                place: "this list".to_owned(),
                offset: None,
                expected: format!("at most {MAX_FINDINGS} findings"),
                found: format!("{} more that are not shown", self.more),
            });
        }
        self.list
    }
}
