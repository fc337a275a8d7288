//! What a user can ask for: one room per command.

#[cfg(feature = "registry")]
pub mod check;
pub mod diff;
pub mod doctor;
pub mod files;
pub mod gc;
pub(crate) mod index;
pub mod inspect;
pub(crate) mod layer_choice;
pub(crate) mod link;
mod listing;
mod parents;
pub mod plan;
#[cfg(feature = "registry")]
pub mod push;
pub(crate) mod remove;
pub(crate) mod share;
pub mod startup;
mod timetable;
mod traced;
pub mod verify;
