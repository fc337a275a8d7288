//! The files of an image: the root file system as a runtime sees it, and what is in each file.
//!
//! ```text
//! SOCI index ► zTOC ─┐
//!                    ├► TOC per layer ► tree per layer ► merged tree ► lookup ► read
//! layer, scanned ────┘   open.rs         tree.rs          merge.rs      lookup   read.rs
//! ```
//!
//! The names come from the zTOCs of the image's SOCI index, as a consumer would find it. A layer that has none
//! (small, skipped, or an image without an index) is scanned, and its table of contents is kept in memory
//! only. Files are read through the spans that cover them, as a lazy mount does ([`Root::read`]).
//!
//! The layers are put together by the rules of the OCI image specification (`layer.md`, "Applying
//! Changesets"): [`merge`] has them in full.

mod delivery;
mod header;
mod holes;
mod listing;
mod lookup;
mod merge;
#[cfg(test)]
mod model;
mod open;
mod place;
mod read;
mod recorded;
mod spans;
mod tree;
mod view;

pub use super::layer_choice::LayerChoice;
pub use delivery::ReadError;
pub use listing::{
    DeviceNumbers, LISTING_VERSION, ListedFile, ListedImage, ListedLayer, Listing, ListingError,
};
pub use open::{FilesOptions, ImageFiles, LayerFiles};
pub(super) use open::{Loader, ZtocOf};
pub(super) use place::{ContentPlace, LayerTable};
pub use read::ReadReport;
pub use recorded::Recorded;
pub use tree::{LookupError, NodeId};
pub use view::{Entry, EntryKind, Root};
