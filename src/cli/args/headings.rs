//! Headings of the options in the help.

pub(super) const IMAGES: &str = "Which images";
pub(super) const LAYERS: &str = "Which layers";
pub(super) const CONTENT: &str = "What is written";
pub(super) const RUN: &str = "Run";
pub(super) const OUTPUT: &str = "Output";
