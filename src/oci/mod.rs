//! The vocabulary of the OCI image specification: digests, media types, platforms, JSON documents.

pub(crate) mod annotation;
pub(crate) mod digest;
pub mod json;
pub mod media_type;
pub(crate) mod platform;
pub(crate) mod soci_version;
