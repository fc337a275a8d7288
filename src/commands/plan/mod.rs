//! Says before a run what it would do, how long it would take, and how large the zTOCs would be.
//!
//! What would be done is a dry run of [`crate::index()`]. Times come from scanning the first part of the largest layers, here
//! and now, with the run's own code; then the run's schedule is played through. Processor time is what is
//! measured, so that other work on the machine does not count; how much it delayed the measurement is said
//! beside it. Layers whose later part is unlike the first make the estimate wrong.

mod report;
mod run;
mod stated;

pub use report::{ESTIMATE_VERSION, Estimate, LayerEstimate, Measured};
pub use run::estimate;
