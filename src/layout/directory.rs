//! The directory itself: its path and the places in it.

use std::path::{Path, PathBuf};

#[cfg(feature = "archives")]
use crate::error::Error;

/// A validated layout directory, for reading.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    /// A new directory for a layout that is about to be made, without its documents.
    ///
    /// # Errors
    /// [`Error::Io`], also when it exists.
    #[cfg(feature = "archives")]
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let layout = Self { root: path.to_owned() };
        for directory in [path, &path.join("blobs"), &layout.blobs()] {
            std::fs::create_dir(directory).map_err(Error::io("create", directory))?;
        }
        Ok(layout)
    }

    /// The directory.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.root
    }

    /// The file of the roots.
    #[must_use]
    pub(crate) fn index_json(&self) -> PathBuf {
        self.root.join("index.json")
    }

    /// The directory of the blobs.
    #[must_use]
    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }
}
