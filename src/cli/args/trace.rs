//! The options of `soci-layout trace`.

use std::path::PathBuf;

use clap::Args;

use super::{ImageArgs, exit};

const EXAMPLES: &str = "\
Examples:
  What a run asked the registry for, kept for later builds:
    soci-layout trace DIR access.log > app.trace

  The next build:
    soci-layout index --prefetch-trace app.trace DIR";

/// Turn recorded ranges of layers into files, for later builds
///
/// An access log of a registry says which bytes of which layers a run asked for. That is exact for these layers, and says
/// nothing of others. This command looks up what lies there in the image that was recorded, indexed as it was then, and
/// writes a JSON object a line: the path of each file and, where not all of it lies in the spans, the first and last byte
/// of the parts. index --prefetch-trace looks these names up in whatever was built since.
#[derive(Args, Debug)]
#[command(after_help = "See --help for more about each option, exit codes and examples.",
          after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct TraceArgs {
    /// OCI image layout directory
    pub(crate) layout: PathBuf,

    /// Access logs: lines with the digest of a blob and a Range header
    #[arg(required = true, value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) image: ImageArgs,
}
