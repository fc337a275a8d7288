//! Integration tests: one binary, so that there is one link.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]
#![allow(clippy::disallowed_methods, reason = "tests make and damage files as they like")]

#[macro_use]
mod context;

mod archive;
mod cache;
mod cache_commands;
mod cat;
mod circles;
mod cli;
mod concurrent;
mod determinism;
mod diff;
mod docs;
mod doctor;
mod errors;
mod files;
mod foreign;
mod gates;
mod gc;
#[path = "../../src/cli/hints.rs"]
mod hints;
mod hostile;
mod inspect;
mod limits;
mod ls;
mod plan;
mod prefetch;
mod properties;
mod reference;
mod remove;
mod reports;
mod shapes;
mod shell;
mod skip;
mod soci_index;
mod states;
mod survive;
mod texts;
mod tidy;
mod trace;
mod v2_platform;
mod verify;
mod verify_parents;
