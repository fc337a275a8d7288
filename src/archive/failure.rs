//! Errors and their place in the archive: of several the first one counts, whichever thread noticed it first.

use std::sync::Arc;

use super::policy::BlobName;
use crate::error::Error;
use crate::trouble::InputTrouble;

/// A member, for errors.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) archive: Arc<str>,
    pub(super) member: String,
    /// Of its header in the tar archive, in bytes.
    pub(super) offset: u64,
}

impl At {
    pub(super) fn failure(&self, error: Error) -> Failure {
        Failure::new(self.offset, error)
    }

    pub(super) fn refuse(&self, problem: String, trouble: Option<InputTrouble>) -> Failure {
        let (archive, member) = (self.archive.to_string(), self.member.clone());
        let offset = self.offset;
        self.failure(Error::Member { archive, member, offset, problem, trouble })
    }

    pub(super) fn corrupt(&self, found: BlobName) -> Failure {
        let problem = format!("it is corrupt: its content has the digest {found}");
        self.refuse(problem, Some(InputTrouble::Corrupt))
    }
}

/// An error and where in the archive it belongs.
#[derive(Debug)]
pub(super) struct Failure {
    /// In bytes of the tar archive.
    pub(super) offset: u64,
    pub(super) error: Box<Error>,
}

impl Failure {
    pub(super) fn new(offset: u64, error: Error) -> Self {
        Self { offset, error: Box::new(error) }
    }

    /// Keeps the one that comes first in the archive.
    pub(super) fn first(kept: &mut Option<Self>, new: Self) {
        if kept.as_ref().is_none_or(|kept| new.offset < kept.offset) {
            *kept = Some(new);
        }
    }
}
