//! The options of `soci-layout verify`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use soci_layout::verify::VerifyOptions;

use super::{DisplayArgs, FINDINGS_ONLY, Gates, ImageFilterArgs, RUN, exit, jobs, size};

/// Verify that images load lazily and correctly
///
/// Computes everything once more from the layers and lists all that is wrong, each with what a runtime
/// would make of it: windows and positions of checkpoints (it inflates from every one), span digests,
/// every entry of every table of contents, the exact form of SOCI indexes, annotations, sizes and
/// digests of all blobs, diff IDs. Nothing is locked or written.
///
/// A runtime checks little of this: a wrong window gives files with wrong content, without an error.
#[derive(Args, Debug)]
#[command(after_help = "Exits with 0 only when all that is lazy is right; layers that are pulled whole are no fault.", after_long_help = exit::HELP,
          mut_arg("quiet", |quiet| quiet.help(FINDINGS_ONLY)))]
pub(crate) struct VerifyArgs {
    #[cfg_attr(not(feature = "registry"), doc = "OCI image layout directory")]
    #[cfg_attr(
        feature = "registry",
        doc = "OCI image layout directory, or an image in a registry

An existing path is taken for a directory. Of an image in a registry all is read from there, and nothing is stored."
    )]
    #[cfg_attr(feature = "registry", arg(value_name = "LAYOUT|REPO:TAG"))]
    pub(crate) layout: PathBuf,

    #[cfg(feature = "registry")]
    #[command(flatten)]
    pub(crate) registry: super::registry::RegistryArgs,

    #[command(flatten)]
    pub(crate) images: ImageFilterArgs,

    /// Exit with code 3 when a layer is not lazy
    ///
    /// For pipelines that insist. Without it, layers that are pulled whole are told with their reasons, and are no
    /// fault. A finding outranks it (exit code 1).
    #[arg(long, help_heading = RUN)]
    pub(crate) require_lazy: bool,

    /// Layers that --require-lazy does not insist on: those whose compressed size is smaller
    ///
    /// As for index. 0 insists on every layer.
    #[arg(long, value_name = "SIZE", help_heading = RUN, default_value = "10MiB", value_parser = size::parse, requires = "require_lazy")]
    pub(crate) min_layer_size: u64,

    #[command(flatten)]
    pub(crate) gates: Gates,

    /// Threads [default: one per processor]
    #[arg(long, short, value_name = "N", help_heading = RUN, value_parser = jobs)]
    pub(crate) jobs: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) display: DisplayArgs,
}

impl VerifyArgs {
    /// The library's settings.
    pub(crate) fn options(&self) -> VerifyOptions {
        let mut options = VerifyOptions::default();
        options.images = self.images.filter();
        options.jobs = self.jobs;
        #[cfg(feature = "registry")]
        {
            options.registry = self.registry.options();
        }
        options
    }
}
