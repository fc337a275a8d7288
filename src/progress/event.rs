//! What happens during a run, as a stream of events.
//!
//! The library never prints. It tells an [`Observer`] about *steps*: the nodes of the graph
//! resolve → scan layers → assemble → commit. A step is content-addressed: its [`Step::digest`] is
//! made of everything that decides its result, so the same step has the same digest in every run
//! (`BuildKit` calls this a vertex). Events may arrive from several threads at once.

use std::sync::Arc;

use crate::oci::digest::Digest;

/// Position of a step in the run, from 1, in the order in which steps become known.
pub type StepId = u32;

/// One node of the graph.
#[derive(Clone, Debug)]
pub struct Step {
    /// Number shown to people (`#1`).
    pub id: StepId,
    /// Digest over everything that decides the step's result.
    pub digest: Digest,
    /// Digests of the steps whose results this one uses.
    pub inputs: Vec<Digest>,
    /// What it does, e.g. `[scan 2/3] linux/amd64 sha256:…`.
    pub name: String,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The work was done.
    Done,
    /// The result was there already and valid.
    Cached,
    /// There was a reason not to do it (a layer no reader could load).
    Skipped {
        /// The reason, for people.
        reason: String,
    },
    /// It was told to stop: the run was cancelled, or another step failed.
    Cancelled,
    /// It failed; the run's error says why in full.
    Failed {
        /// The error, for people.
        error: String,
    },
}

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A step is known and will be started later.
    Planned(Arc<Step>),
    /// A step begins.
    Started(StepId),
    /// Bytes worked through so far. Comes often: a display keeps the latest and drops the rest.
    Progress {
        /// The step.
        step: StepId,
        /// Bytes done.
        current: u64,
        /// Bytes in all; 0 when that is not known.
        total: u64,
    },
    /// A detail for people, shown when they ask for more.
    Log {
        /// The step it belongs to.
        step: StepId,
        /// One line, without line end.
        message: String,
    },
    /// Something the user should know although the run goes on.
    Warning {
        /// The step it belongs to.
        step: StepId,
        /// One line, without line end.
        message: String,
    },
    /// A step ended.
    Finished {
        /// The step.
        step: StepId,
        /// How.
        outcome: Outcome,
    },
}

/// Receives events. Must be quick: it is called from the threads that do the work.
pub trait Observer: Sync {
    /// Takes one event.
    fn event(&self, event: &Event);

    /// Whether the run should give up. Asked often while layers are read and before anything is
    /// committed; then the run ends with [`crate::Error::Cancelled`] and the layout is as before.
    fn cancelled(&self) -> bool {
        false
    }
}

/// An observer for those who do not want to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: &Event) {}
}
