//! One file per command: arguments in, library called, results out.

pub(super) mod cache;
pub(super) mod index;
pub(super) mod verify;
