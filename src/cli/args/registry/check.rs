//! The options of `soci-layout check`.

use clap::Args;
use soci_layout::Platform;
use soci_layout::check::CheckOptions;
use soci_layout::doctor::Target;
use soci_layout::registry::Reference;

use super::RegistryArgs;
use crate::cli::args::doctor::TARGETS;
use crate::cli::args::value::choice;
use crate::cli::args::{DisplayArgs, FINDINGS_ONLY, IMAGES, RUN, exit, size};

/// Check that a pushed image would be loaded lazily
///
/// Asks the registry for what a runtime asks for: the SOCI index that the image manifest names, or that the registry lists as
/// a referrer, whether it is in the form that readers take, and whether its zTOCs, the layers and the configuration are
/// there with the right sizes. Manifests are read, blobs are not. Says of each fault which mistake leads to it: pushed
/// without --all, tag moved, V1 where V2 is needed, zstd layers, zTOCs deleted by a clean-up.
#[derive(Args, Debug)]
#[command(after_help = "Exits with 1 when there is a finding.", after_long_help = exit::HELP,
          mut_arg("quiet", |quiet| quiet.help(FINDINGS_ONLY)))]
pub(crate) struct CheckArgs {
    /// Image in a registry, HOST/REPO:TAG
    ///
    /// With a digest behind the tag (REPO:TAG@sha256:...), the tag has to lead to it: the digest that index or push
    /// printed. Credentials are those of docker login.
    #[arg(value_name = "REPO:TAG")]
    pub(crate) reference: Reference,

    /// Who is to load the image [default: any consumer]
    ///
    /// All of them take V2 indexes only, as they are set up by default.
    #[arg(long = "for", value_name = "TARGET", help_heading = RUN, value_parser = choice(&TARGETS))]
    pub(crate) target: Option<Target>,

    /// Only this platform, OS/ARCH[/VARIANT]; may be repeated [default: all platforms]
    ///
    /// Several may also be separated by commas: linux/amd64,linux/arm64.
    #[arg(long = "platform", value_name = "PLATFORM", help_heading = IMAGES, value_delimiter = ',')]
    pub(crate) platforms: Vec<Platform>,

    /// Pass over layers of an unsupported type (zstd) whose blob is smaller
    #[arg(long, value_name = "SIZE", help_heading = RUN, default_value = "10MiB", value_parser = size::parse)]
    pub(crate) min_layer_size: u64,

    /// Read zTOCs and layers, too, and prove them as verify does
    ///
    /// They are read as they come, and nothing is stored.
    #[arg(long, help_heading = RUN)]
    pub(crate) deep: bool,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) display: DisplayArgs,
}

impl CheckArgs {
    /// The library's settings.
    pub(crate) fn options(&self) -> CheckOptions {
        let mut options = CheckOptions::default();
        options.target = self.target;
        options.platforms.clone_from(&self.platforms);
        options.min_layer_size = self.min_layer_size;
        options.deep = self.deep;
        options.registry = self.registry.options();
        options
    }
}
