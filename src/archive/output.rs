//! Where the result of an archive goes: a directory, an archive, a stream.

use std::io::Write;
use std::path::PathBuf;

/// Where the result goes.
pub enum Output<'a> {
    /// A new directory. With `force` it replaces a layout (or an empty directory).
    Directory {
        /// Its path.
        path: PathBuf,
        /// Whether it may replace something.
        force: bool,
    },
    /// An archive, in a form that depends on its content alone. With `force` it replaces a file.
    Archive {
        /// Its path.
        path: PathBuf,
        /// Whether it may replace something.
        force: bool,
    },
    /// An archive, written when all else is done. Until then everything is in the directory for
    /// temporary files.
    Stream {
        /// What errors call it.
        name: String,
        /// Gets the archive.
        writer: &'a mut dyn Write,
    },
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Output").field(&self.name()).finish()
    }
}

impl Output<'_> {
    /// What people know it by.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Directory { path, .. } | Self::Archive { path, .. } => path.display().to_string(),
            Self::Stream { name, .. } => name.clone(),
        }
    }
}
