//! The options that say what is fetched before an image starts.

use std::path::PathBuf;

use clap::Args;
use soci_layout::{Error, PrefetchFiles, prefetch};

use super::CONTENT;

/// What is fetched ahead.
#[derive(Args, Clone, Debug)]
pub(crate) struct PrefetchArgs {
    /// Let readers fetch this file before they start the image; may be repeated
    ///
    /// A file, a directory (all files below), or a glob: *, ?, […], {…}, and ** for any number of directories. A glob
    /// takes the files that match, not what is in matching directories. Links are followed. Readers fetch nothing
    /// ahead unless they are told to. What is in no image is a warning, with --strict an error.
    #[arg(long = "prefetch-file", value_name = "PATH", help_heading = CONTENT)]
    files: Vec<String>,

    /// The same for all paths in a file, a JSON array of strings
    ///
    /// They come behind those of --prefetch-file.
    #[arg(long, value_name = "FILE", help_heading = CONTENT)]
    prefetch_files_json: Option<PathBuf>,
}

impl PrefetchArgs {
    /// The files that the command line names itself.
    pub(crate) fn files(&self) -> PrefetchFiles {
        PrefetchFiles { files: trimmed(self.files.clone()), traced: Vec::new() }
    }

    /// Adds those that stand in files.
    pub(crate) fn read(&self, to: &mut PrefetchFiles) -> Result<(), Error> {
        if let Some(path) = &self.prefetch_files_json {
            to.files.extend(trimmed(prefetch::read_list(path)?));
        }
        Ok(())
    }
}

/// As the reference takes them: without spaces around, and none that is empty.
fn trimmed(paths: Vec<String>) -> Vec<String> {
    let paths = paths.iter().map(|path| path.trim());
    paths.filter(|path| !path.is_empty()).map(str::to_owned).collect()
}
