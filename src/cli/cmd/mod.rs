//! One file per command: arguments in, library called, results out.

pub(super) mod cat;
mod files;
pub(super) mod gc;
pub(super) mod index;
pub(super) mod ls;
pub(super) mod remove;
pub(super) mod shell;
pub(super) mod verify;
