//! Flatbuffers, as far as a zTOC needs them: reading in place, and writing front to back.

pub(super) mod read;
pub(super) mod write;
