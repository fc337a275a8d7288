//! The command line: what was typed in, the library called, people and programs told.
//!
//! Only this room prints, and in it only [`show::printer`]. What a command shows is made as plain text by
//! pure functions ([`show`], [`progress`]), so tests compare text with text.

mod archive;
pub(crate) mod args;
pub(crate) mod bug;
mod cmd;
pub(crate) mod exit;
mod hints;
mod progress;
mod run;
pub(crate) mod show;
pub(crate) mod signals;
mod stdout;
mod talk;

pub(crate) use run::run;
