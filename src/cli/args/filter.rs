//! The options by which images are chosen.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use soci_layout::{ImageFilter, Platform};

use super::IMAGES;

/// Which images a command works on.
#[derive(Args, Debug)]
pub(crate) struct ImageFilterArgs {
    /// Only the image of this name; may be repeated [default: all images]
    ///
    /// The name is the annotation org.opencontainers.image.ref.name or io.containerd.image.name of an
    /// entry of index.json.
    #[arg(long = "ref", value_name = "NAME", help_heading = IMAGES, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) refs: Vec<String>,

    /// Only this platform, OS/ARCH[/VARIANT]; may be repeated [default: all platforms]
    ///
    /// Several may also be separated by commas: linux/amd64,linux/arm64.
    #[arg(long = "platform", value_name = "PLATFORM", help_heading = IMAGES, value_delimiter = ',')]
    pub(crate) platforms: Vec<Platform>,
}

impl ImageFilterArgs {
    /// The library's settings.
    pub(crate) fn filter(&self) -> ImageFilter {
        ImageFilter { refs: self.refs.clone(), platforms: self.platforms.clone() }
    }
}
