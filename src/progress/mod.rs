//! What a run tells while it works: events, the steps they belong to, warnings.

pub mod event;
pub(crate) mod steps;
pub(crate) mod warnings;
