//! An OCI image layout directory on disk.
//!
//! ```text
//! oci-layout           {"imageLayoutVersion":"1.0.0"}
//! index.json           the roots: one descriptor per name
//! index.json.lock      BuildKit's lock, while somebody reads or writes
//! blobs/sha256/<hex>   every blob, named after its content
//! ```
//!
//! [`Layout`] reads; only a [`lock::LockedLayout`] can write, so a change without the lock does not
//! compile. Blobs are immutable: they are only ever added (or, by prune, removed), never opened for
//! writing, so a blob that is a hard link into a shared store stays what it is.

mod blob;
pub(crate) mod commit;
pub(crate) mod config;
pub(crate) mod descriptor;
pub(crate) mod lock;
mod mentions;
mod open;
pub(crate) mod reach;
mod store;
pub(crate) mod tree;

use std::path::{Path, PathBuf};

use crate::error::Error;

/// A validated layout directory, for reading.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// A new directory for a layout that is about to be made, without its documents.
    ///
    /// # Errors
    /// [`Error::Io`], also when it exists.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let layout = Self { root: path.to_owned() };
        for directory in [path, &path.join("blobs"), &layout.blobs()] {
            std::fs::create_dir(directory).map_err(Error::io("create", directory))?;
        }
        Ok(layout)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The file of the roots.
    #[must_use]
    pub fn index_json(&self) -> PathBuf {
        self.root.join("index.json")
    }

    /// The directory of the blobs.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }
}
