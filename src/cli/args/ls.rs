//! The options of `soci-layout ls`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{ImageArgs, OUTPUT, exit};

const EXAMPLES: &str = "\
Examples:
  What is in the image's /etc, with owners, sizes and times:
    soci-layout ls -l DIR /etc

  Every file of the arm64 image larger than 10 MB, for a script:
    soci-layout ls -R --json --platform linux/arm64 DIR | jq -r '.entries[] | select(.size > 1e7).path'

  What the third layer adds and removes:
    soci-layout ls -lR --layer 3 DIR";

/// List files of an image as a runtime sees them
///
/// Layers are stacked, whiteouts and opaque directories applied; symbolic links in front of the last
/// component are followed inside the image. Names come from the zTOCs of the SOCI index; layers that have
/// none are read. Nothing is unpacked or written.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(after_help = "See --help for more about each option, exit codes and examples.",
          after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct LsArgs {
    /// OCI image layout directory
    pub(crate) layout: PathBuf,

    /// Files and directories in the image
    #[arg(default_value = "/", value_name = "PATH")]
    pub(crate) paths: Vec<OsString>,

    /// Mode, owner (numbers), size, modification time (UTC), name and link target
    #[arg(long, short, help_heading = OUTPUT)]
    pub(crate) long: bool,

    /// What is in all directories below, too; symbolic links are not followed down
    #[arg(long, short = 'R', help_heading = OUTPUT)]
    pub(crate) recursive: bool,

    /// Directories themselves instead of what is in them
    #[arg(long, short, help_heading = OUTPUT, conflicts_with = "recursive")]
    pub(crate) directory: bool,

    /// What symbolic links lead to instead of the links
    ///
    /// Without it, a link given as PATH that leads to a directory is followed, unless --long, --directory or
    /// --json is given or no slash stands behind it: the rules of ls.
    #[arg(long, short = 'L', help_heading = OUTPUT)]
    pub(crate) dereference: bool,

    /// Write one JSON document to standard output
    #[arg(long, help_heading = OUTPUT, conflicts_with = "long")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) image: ImageArgs,
}
