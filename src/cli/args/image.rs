//! The options of commands that look at one image: which one it is, and how much is said.

use std::num::NonZeroUsize;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use soci_layout::Platform;
use soci_layout::files::{FilesOptions, LayerChoice};

use super::{OUTPUT, Progress, RUN, jobs};
use crate::cli::show::printer::Printer;

const IMAGE: &str = "Which image";

/// Which image, and how much is said.
#[derive(Args, Debug)]
pub(crate) struct ImageArgs {
    /// The image of this name [default: the only one there is]
    #[arg(long = "ref", value_name = "NAME", help_heading = IMAGE, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reference: Option<String>,

    /// The image for this platform, OS/ARCH[/VARIANT] [default: the only one, or this machine's]
    #[arg(long, value_name = "PLATFORM", help_heading = IMAGE)]
    pub(crate) platform: Option<Platform>,

    /// One layer alone, by number or digest, instead of all of them merged
    ///
    /// The lowest layer has number 1; of a digest (sha256:...) the first digits are enough. Entries are shown
    /// as they stand in the layer, whiteouts (.wh.NAME) among them.
    #[arg(long, value_name = "LAYER", help_heading = IMAGE)]
    pub(crate) layer: Option<LayerChoice>,

    /// Layers read at a time, where they have no zTOC [default: one per processor]
    #[arg(long, short, value_name = "N", help_heading = RUN, value_parser = jobs)]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// How progress is shown on standard error [default: tty on a terminal, else quiet]
    #[arg(long, value_name = "DISPLAY", help_heading = OUTPUT)]
    pub(crate) progress: Option<Progress>,

    /// Only warnings and errors on standard error
    #[arg(long, short, help_heading = OUTPUT, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Show more detail
    #[arg(long, short, help_heading = OUTPUT)]
    pub(crate) verbose: bool,
}

impl ImageArgs {
    /// The library's settings.
    pub(crate) fn options(&self) -> FilesOptions {
        let mut options = FilesOptions::default();
        options.reference.clone_from(&self.reference);
        options.platform.clone_from(&self.platform);
        options.layer.clone_from(&self.layer);
        options.jobs = self.jobs;
        options
    }

    /// The display: lines of progress would stand in the way of scripts that read few words.
    pub(crate) fn progress(&self, printer: Printer) -> Option<Progress> {
        let default = (!printer.stderr_drawable()).then_some(Progress::Quiet);
        self.progress.or(default)
    }
}
