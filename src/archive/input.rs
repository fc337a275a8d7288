//! What an archive is read from: a file, standard input, anything that can be read.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd as _;
use std::path::Path;

use crate::error::Error;
use crate::trouble::InputTrouble;

/// Bytes that a pipe is asked to hold; what every user may have.
#[cfg(target_os = "linux")]
const PIPE_SIZE: usize = 1 << 20;

/// An archive of a layout: tar, as it is or compressed with gzip or zstd.
pub struct Input {
    pub(super) name: String,
    pub(super) source: Box<dyn Read + Send>,
    /// In bytes, where that is known.
    pub(super) size: Option<u64>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Input {
    /// Something to read from, to its end. `name` is what errors call it.
    ///
    /// It is read on a thread of its own, which may stay in a read when the run ends before.
    #[must_use]
    pub fn new(name: String, source: Box<dyn Read + Send>) -> Self {
        Self { name, source, size: None }
    }

    /// Standard input.
    ///
    /// # Errors
    /// When it is closed.
    pub fn stdin() -> std::io::Result<Self> {
        let stdin = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        // Fewer and larger reads; other kinds of input have no such size, and other systems no such call.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&stdin, PIPE_SIZE);
        let size = stdin.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
        Ok(Self { name: "standard input".to_owned(), source: Box::new(stdin), size })
    }

    /// A file, or a pipe that has a name.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::NotALayout`] for a directory.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let metadata = file.metadata().map_err(Error::io("read", path))?;
        if metadata.is_dir() {
            let trouble = InputTrouble::Directory;
            return Err(Error::NotALayout { path: path.to_owned(), trouble });
        }
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self { name: path.display().to_string(), source: Box::new(file), size })
    }
}
