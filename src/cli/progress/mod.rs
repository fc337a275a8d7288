//! Progress in `BuildKit`'s manner: steps with numbers and digests, shown in one of five ways.
//!
//! The threads that work only note what happened in [`state::State`], in memory and under a lock that
//! is never held while something is written. One thread of its own looks there ten times a second and
//! lets a [`display::Display`] show what is new. So a slow terminal does not slow the run, counters that move a thousand
//! times a second cost one line, and each display is a plain function from changes to text.

mod bar;
mod display;
mod plain;
pub(crate) mod rawjson;
#[cfg(test)]
mod schema;
mod state;
#[cfg(test)]
mod testing;
mod tty;

use display::Display;
pub(crate) use display::{Mode, Progress, in_ci};
