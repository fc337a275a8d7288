//! One file per command: arguments in, library called, results out.

pub(super) mod diff;
pub(super) mod index;
pub(super) mod inspect;
pub(super) mod plan;
pub(super) mod verify;
