//! What the scan stage leaves: a report of each layer, and the zTOCs of those that have one.

use std::collections::{BTreeMap, BTreeSet};

use super::decide;
use super::layers::{LayerKey, key};
use super::options::Options;
use super::ready::ReadyZtoc;
use super::report::LayerReport;
use crate::error::Error;
use crate::layer::eager::EagerReason;
use crate::layout::Layout;
use crate::layout::commit::StagedBlob;
use crate::layout::descriptor::Descriptor;
use crate::limits::MAX_ZTOC_SIZE;
use crate::oci::digest::Digest;
use crate::soci::find::{FoundZtoc, ZtocProblem};
use crate::ztoc::Ztoc;

/// What the scan stage leaves.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) reports: Vec<LayerReport>,
    pub(super) ztocs: BTreeMap<LayerKey, ReadyZtoc>,
    pub(super) staged: Vec<StagedBlob>,
    /// Digests of the steps.
    pub(super) steps: Vec<Digest>,
}

impl Scanned {
    /// The zTOC of a layer with its digest, read from where it is now.
    pub(super) fn ztoc(&self, layout: &Layout, layer: &Descriptor) -> Result<FoundZtoc, Error> {
        let ready = key(layer).and_then(|key| self.ztocs.get(&key));
        let Some(ReadyZtoc { report, .. }) = ready else { return Ok(None) };
        Ok(Some((report.ztoc, self.read(layout, (report.ztoc, report.ztoc_size))?)))
    }

    /// A zTOC of this digest and size.
    pub(super) fn read(
        &self,
        layout: &Layout,
        (digest, size): (Digest, u64),
    ) -> Result<Result<Ztoc, ZtocProblem>, Error> {
        let bytes = match self.staged.iter().find(|staged| staged.digest() == digest) {
            Some(staged) => staged.read()?,
            None => match layout.read_blob(&digest, size, MAX_ZTOC_SIZE)? {
                Some(bytes) => bytes,
                None => return Ok(Err(ZtocProblem::Missing)),
            },
        };
        Ok(Ztoc::decode(&bytes).map_err(ZtocProblem::from))
    }

    /// Takes the zTOC of a layer away again.
    ///
    /// # Errors
    /// [`Error::UnsupportedLayer`] under [`Options::strict`].
    pub(super) fn leave_eager(
        &mut self,
        digest: Digest,
        reason: &EagerReason,
        options: &Options,
    ) -> Result<(), Error> {
        self.ztocs.retain(|(layer, _), _| *layer != digest);
        let left: BTreeSet<Digest> = self.ztocs.values().map(|ready| ready.report.ztoc).collect();
        self.staged.retain(|blob| left.contains(&blob.digest()));
        for report in &mut self.reports {
            if report.digest == digest && report.outcome.is_lazy() {
                report.outcome = decide::eager(digest, reason.clone(), options)?;
            }
        }
        Ok(())
    }
}
