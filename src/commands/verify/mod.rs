//! Proves that the images of a layout would be mounted lazily and correctly, or lists all that is wrong.
//!
//! A reader of SOCI checks the digests of compressed spans and little else: a wrong window in a zTOC gives
//! wrong file contents without an error, and a SOCI index in another JSON form than the reader's makes the
//! image silently not lazy (`soci-formats` 7). So everything is computed once more, from the layers: nothing
//! of a zTOC is trusted. Each finding says what the consumer would make of it.
//!
//! [`workload`] reads the documents, [`job`] works off one zTOC with its layer after the other, several at a
//! time, [`hidden`] holds the layers of an image against each other, [`eager`] tells the layers that are pulled
//! whole, and [`others`] verifies what is left. Every blob is read once, but zTOCs twice; no more of them are in
//! memory than threads work.

pub(in crate::commands) mod document;
mod eager;
mod entries;
mod finding;
mod findings;
mod hidden;
mod job;
mod layer;
mod others;
mod prefetch;
mod run;
mod workload;

pub use finding::{
    Consequence, EagerLayer, Finding, VERIFICATION_VERSION, Verification, VerifiedImage,
};
pub(in crate::commands) use findings::Findings;
#[cfg(feature = "registry")]
pub use run::verify_registry;
pub use run::{VerifyOptions, verify};
