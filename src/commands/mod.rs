//! What a user can ask for: one room per command.

pub mod diff;
pub mod files;
pub mod gc;
pub(crate) mod index;
pub mod inspect;
pub mod plan;
pub(crate) mod remove;
pub mod verify;
