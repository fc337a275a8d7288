//! What commands show to people, as plain text made by pure functions.

pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod escape;
pub(crate) mod inspect;
pub(crate) mod json;
pub(crate) mod listing;
pub(crate) mod markdown;
pub(crate) mod message;
mod names;
mod number;
pub(crate) mod plan;
pub(crate) mod printer;
pub(crate) mod size;
pub(crate) mod startup;
pub(crate) mod style;
pub(crate) mod summary;
mod table;
mod tree;

pub(in crate::cli) use names::{names, title};
pub(in crate::cli) use number::{count, findings};
use number::{part, percent, ztoc};
pub(in crate::cli) use size::Bytes;
pub(in crate::cli) use table::columns;
