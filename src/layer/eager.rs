//! Why a layer whose bytes are those of its digest is left without a zTOC.
//!
//! A layer is in one of three states. It is *damaged* when its bytes differ from its digest or size: an error
//! ([`super::ScanError`]). It is *lazy* when it has a zTOC. It is *eager* when its bytes are right and no
//! reader could load it lazily and correctly, or when that does not pay: a runtime pulls it whole, as it would
//! without SOCI. Here is what is said of an eager layer, everywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::gzip::{GzipError, GzipErrorKind};
use super::tar::TarError;

/// What is said of a layer that is [absent](EagerCause::Absent).
pub(crate) const ABSENT: &str = "it is non-distributable and not in the layout";

/// Why a layer is eager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EagerReason {
    /// The kind of reason, for programs.
    pub cause: EagerCause,
    /// The reason, for people: what it is, and where in the layer.
    #[serde(rename = "reason")]
    pub text: String,
}

/// Kinds of reasons for which a layer is eager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EagerCause {
    /// The SOCI format has no place for layers of its media type (zstd, encrypted, unknown suffix).
    MediaType,
    /// Its content is not what its media type says.
    Mislabelled,
    /// Its content is no complete tar archive, or no complete gzip stream of one.
    Unreadable,
    /// An entry that a zTOC cannot hold, or that the reference's reader fails on.
    Entry,
    /// A lazy mount would show something else than unpacking gives.
    UnlikeUnpacked,
    /// It needs more than a zTOC can hold.
    TooLarge,
    /// It is non-distributable and not in the layout.
    Absent,
    /// Its zTOC would cost more than it saves.
    NoSaving,
    /// It was left out on request.
    Excluded,
    /// It is small, and was left without a zTOC as such.
    Small,
    /// Its image has no SOCI index.
    NoIndex,
    /// It has no zTOC, and nothing in the layout says why.
    NoZtoc,
}

impl EagerReason {
    pub(crate) fn new(cause: EagerCause, text: impl fmt::Display) -> Self {
        Self { cause, text: text.to_string() }
    }
}

impl fmt::Display for EagerReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<TarError> for EagerReason {
    fn from(error: TarError) -> Self {
        if !error.kind.is_unsupported() {
            return Self::new(EagerCause::Unreadable, format!("not a valid tar archive: {error}"));
        }
        let cause = if error.kind.is_limit() { EagerCause::TooLarge } else { EagerCause::Entry };
        Self::new(cause, error)
    }
}

impl From<GzipError> for EagerReason {
    fn from(error: GzipError) -> Self {
        let cause = match error.kind {
            GzipErrorKind::TooManyCheckpoints => EagerCause::TooLarge,
            _ => EagerCause::Unreadable,
        };
        Self::new(cause, format!("{error} (at byte {} of the blob)", error.offset))
    }
}
