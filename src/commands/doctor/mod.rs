//! Says what keeps the images of a layout from starting lazily, and the option or command that changes it.
//!
//! Nothing is decided here: [`crate::inspect`] says what is lazy and what is there, [`crate::plan`] what an
//! indexing run would do with the rest. The doctor puts the two side by side and adds what to do.

mod attachments;
mod case;
mod entries;
mod findings;
mod images;
mod layers;
mod remedy;
mod report;
mod run;

pub use remedy::{WORTHWHILE, of_reason};
pub use report::{DIAGNOSIS_VERSION, Diagnosis, Examined, Finding, Kind, Place, Target};
pub use run::{DoctorOptions, doctor};
