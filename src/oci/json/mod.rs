//! JSON that others wrote: read without loss, edited in place, or written again as Go writes it.
//!
//! Layout documents hold members that no specification knows and must keep them. So nothing here goes
//! through typed structs: [`members`] and [`elements`] are views of a text that know where each value
//! stands, [`edit`] replaces exactly those bytes, [`canonical`] writes the form of the reference.

pub mod canonical;
pub mod edit;
mod excerpt;
pub(crate) mod schema;
mod string;
mod view;

pub use excerpt::{cut, excerpt};
pub use string::{parse_string, string, write_string};
pub use view::{Element, Member, elements, members};
