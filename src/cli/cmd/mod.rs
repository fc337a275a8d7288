//! One file per command: arguments in, library called, results out.

pub(super) mod cache;
pub(super) mod cat;
#[cfg(feature = "registry")]
pub(super) mod check;
pub(super) mod diff;
pub(super) mod doctor;
mod files;
mod gates;
pub(super) mod gc;
pub(super) mod index;
pub(super) mod inspect;
#[cfg(feature = "registry")]
mod list;
pub(super) mod ls;
pub(super) mod plan;
#[cfg(feature = "registry")]
pub(super) mod push;
pub(super) mod remove;
pub(super) mod shell;
pub(super) mod trace;
pub(super) mod verify;

use super::exit::Exit;
use super::show::printer::Printer;
use super::talk::Talk;
