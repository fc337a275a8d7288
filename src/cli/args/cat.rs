//! The options of `soci-layout cat`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{ImageArgs, exit};

const EXAMPLES: &str = "\
Examples:
  Read a file through its spans, and see what a runtime would have to fetch for it:
    soci-layout cat -v DIR /usr/bin/python3 > python3

  One file of the second layer:
    soci-layout cat --layer 2 DIR /etc/os-release";

/// Write files of an image to standard output
///
/// A file is read as a lazy mount reads it: only the spans of its layer that cover it, each checked against its digest
/// in the zTOC and inflated from its checkpoint; the file's tar header is compared with the table of contents.
/// In a layer without zTOC everything in front of the file is read. Symbolic links are followed inside the
/// image, never out of it.
///
/// A wrong checkpoint window can change a file without an error, in a runtime and here: soci-layout verify finds it.
#[derive(Args, Debug)]
#[command(after_help = "See --help for more about each option, exit codes and examples.",
          after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct CatArgs {
    /// OCI image layout directory
    pub(crate) layout: PathBuf,

    /// Files in the image
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<OsString>,

    #[command(flatten)]
    pub(crate) image: ImageArgs,
}
