//! The directory itself: its path and the places in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::opened::Elsewhere;
#[cfg(any(feature = "archives", feature = "registry"))]
use crate::error::Error;

/// A validated layout directory, for reading.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(super) root: PathBuf,
    /// Where blobs are that the directory does not have.
    pub(super) elsewhere: Option<Arc<dyn Elsewhere>>,
}

impl Layout {
    /// A new directory for a layout that is about to be made, without its documents.
    ///
    /// # Errors
    /// [`Error::Io`], also when it exists.
    #[cfg(any(feature = "archives", feature = "registry"))]
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let layout = Self { root: path.to_owned(), elsewhere: None };
        for directory in [path, &path.join("blobs"), &layout.blobs()] {
            std::fs::create_dir(directory).map_err(Error::io("create", directory))?;
        }
        Ok(layout)
    }

    /// Writes a document of a layout that is being made: `index.json`, or a blob by its digest.
    ///
    /// # Errors
    /// [`Error::Io`].
    #[cfg(feature = "registry")]
    pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
        std::fs::write(path, bytes).map_err(Error::io("write", path))
    }

    /// The same layout, with the blobs that it does not have elsewhere.
    #[cfg(feature = "registry")]
    pub(crate) fn with_elsewhere(self, elsewhere: Arc<dyn Elsewhere>) -> Self {
        Self { elsewhere: Some(elsewhere), ..self }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.root
    }

    /// The file of the roots.
    pub(crate) fn index_json(&self) -> PathBuf {
        self.root.join("index.json")
    }

    /// The directory of the blobs.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }
}
