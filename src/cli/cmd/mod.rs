//! One file per command: arguments in, library called, results out.

pub(super) mod gc;
pub(super) mod index;
pub(super) mod remove;
pub(super) mod shell;
pub(super) mod verify;
