//! Integration tests: one binary, so that there is one link.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod cat;
mod cli;
mod concurrent;
mod context;
mod determinism;
mod errors;
mod files;
mod hostile;
mod ls;
mod properties;
mod reference;
mod shapes;
mod survive;
mod tidy;
mod verify;
