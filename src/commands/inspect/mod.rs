//! Shows what a layout holds: names, images, layers, their zTOCs, and what belongs to no image.
//!
//! Layouts of any tool can be inspected, also half-broken ones: what cannot be read is shown as such, and the
//! rest beside it. Documents are read and checked against their digests, of zTOCs only the head, of layers
//! nothing; so a layout of any size takes milliseconds, and what is shown is what the layout *says*.
//! [`crate::commands::verify`] proves it.

mod blobs;
mod image;
mod report;
mod run;
mod soci;
mod startup;
mod walk;

pub use crate::commands::share::Share;
pub use report::{
    Blob, Blobs, BrokenBlob, Content, Eager, Entry, INSPECTION_VERSION, Image, Inspection, Layer,
    Prefetch, Problem, Shape, SociIndex, SociVersion, Ztoc, ZtocHead,
};
pub(crate) use run::look;
pub use run::{InspectOptions, inspect};
