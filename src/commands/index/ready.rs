//! A zTOC that is in the layout or staged: what the later stages and the report need of it.

use super::report::ZtocReport;
use crate::commands::parents;
use crate::layer::fidelity;
use crate::oci::digest::Digest;
use crate::ztoc::Ztoc;

/// A zTOC that is in the layout or staged.
#[derive(Clone, Debug)]
pub(crate) struct ReadyZtoc {
    /// It in numbers.
    pub(super) report: ZtocReport,
    pub(super) can_disable_xattrs: bool,
    /// Whether it has names in directories that it has no entry for.
    pub(super) implies_directories: bool,
}

impl ReadyZtoc {
    pub(super) fn new(digest: Digest, size: u64, ztoc: &Ztoc) -> Self {
        let report = ZtocReport {
            ztoc: digest,
            ztoc_size: size,
            spans: ztoc.zinfo.span_count(),
            files: ztoc.toc.len() as u64,
            uncompressed_size: ztoc.uncompressed_archive_size,
            largest_span: ztoc.largest_span(),
            unlike_unpacked: fidelity::difference(&ztoc.toc).map(|found| found.to_string()),
        };
        let can_disable_xattrs = ztoc.can_disable_xattrs();
        Self { report, can_disable_xattrs, implies_directories: parents::implies(&ztoc.toc) }
    }
}
