//! Checks every entry of a cache by all that it says itself.
//!
//! That is what a run checks as well before it uses an entry, without the layer: that the zTOC is *true* is not
//! proved by it. [`crate::verify`] proves it for a layout that was indexed from the cache.

use std::fs;
use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use super::entry::{self, EntryProblem};
use super::list::{CACHE_REPORT_VERSION, Item};
use super::store::Cache;
use crate::error::Error;

/// What was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Checked {
    /// [`CACHE_REPORT_VERSION`].
    pub version: u32,
    /// The directory.
    pub directory: String,
    /// Sound entries.
    pub sound: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Entries of other versions of this program, which are not judged.
    pub other_versions: u64,
    /// Entries that no run would use, in the order of their names.
    pub corrupt: Vec<CorruptEntry>,
}

/// An entry that cannot be used.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CorruptEntry {
    /// Name of its file.
    pub name: String,
    /// Bytes of its file.
    pub bytes: u64,
    /// What is wrong.
    pub problem: String,
    /// Whether it was removed.
    pub removed: bool,
}

impl Cache {
    /// Reads every entry; `remove` removes those that cannot be used.
    ///
    /// # Errors
    /// [`Error::Cache`] when the directory cannot be listed, or a corrupt entry cannot be removed;
    /// [`Error::Cancelled`].
    pub fn verify(&self, remove: bool, cancelled: &dyn Fn() -> bool) -> Result<Checked, Error> {
        let mut checked = Checked {
            version: CACHE_REPORT_VERSION,
            directory: self.directory().display().to_string(),
            ..Checked::default()
        };
        for item in self.items()?.entries {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            if !item.is_current {
                checked.other_versions += 1;
                continue;
            }
            match self.check(&item) {
                Ok(()) => {
                    checked.sound += 1;
                    checked.bytes += item.bytes;
                }
                // Removed by somebody since it was listed.
                Err(EntryProblem::Read(error)) if error.kind() == ErrorKind::NotFound => {}
                Err(problem) => {
                    if remove {
                        let path = self.directory().join(&item.name);
                        fs::remove_file(&path).map_err(Error::cache("remove", &path))?;
                    }
                    checked.corrupt.push(CorruptEntry {
                        name: item.name,
                        bytes: item.bytes,
                        problem: problem.to_string(),
                        removed: remove,
                    });
                }
            }
        }
        Ok(checked)
    }

    fn check(&self, item: &Item) -> Result<(), EntryProblem> {
        let (file, size) = entry::open(&self.directory().join(&item.name))?;
        let (head, ztoc) = entry::read(&file, size, |head| head.expect_name(&item.name))?;
        entry::check_form(&ztoc, &head.ztoc)
    }
}
