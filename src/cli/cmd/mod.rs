//! One file per command: arguments in, library called, results out.

pub(super) mod cat;
mod files;
pub(super) mod index;
pub(super) mod ls;
pub(super) mod verify;
