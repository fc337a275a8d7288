//! How two layouts, or two images of one, differ: what an indexer added, what a rebuild changed.
//!
//! Both sides are inspected as [`crate::commands::inspect`] does. Entries are paired by name, images by platform,
//! layers by digest and place. Where one layer has two zTOCs these are read whole and compared by what
//! they say, and for two layers with zTOCs the files are.
//!
//! `side.rs` reads one side, `pair.rs` says what belongs together, `contrast.rs` compares it.

mod contrast;
mod files;
mod pair;
mod report;
mod run;
mod side;
mod ztoc;

pub use report::{
    BlobDifference, Change, Contrast, DIFFERENCE_VERSION, Difference, FileChange, FileDifference,
    ImageDifference, ImageSide, LayerDifference, NameDifference, SociRef,
};
pub use run::{DiffOptions, diff};
