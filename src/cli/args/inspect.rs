//! The options of `soci-layout inspect`.

use std::path::PathBuf;

use clap::Args;
use soci_layout::Link;
use soci_layout::inspect::InspectOptions;

use super::prefetch::{LINK, link};
use super::{ImageFilterArgs, OUTPUT, exit};

/// Show what a layout holds
///
/// Shows the names, their images, layers and zTOCs, how much of each image a runtime would mount before it
/// is downloaded and why not the rest, prefetch artifacts, attestations, SOCI indexes that belong to no
/// image, and blobs that nothing refers to or that are missing. Works with layouts of any tool.
///
/// Reads documents and the heads of zTOCs, no layers: what is shown is what the layout says. `soci-layout
/// verify` proves it.
#[derive(Args, Debug)]
#[command(after_long_help = exit::HELP)]
pub(crate) struct InspectArgs {
    /// OCI image layout directory
    pub(crate) layout: PathBuf,

    #[command(flatten)]
    pub(crate) images: ImageFilterArgs,

    /// Estimate how soon the images start over this line: bytes per second, time of a request, as 12.5MB,10ms
    ///
    /// As for index: started and ready, unpacked, lazily, and with a list fetched ahead.
    #[arg(long, value_name = LINK, value_parser = link, help_heading = OUTPUT)]
    pub(crate) link: Option<Link>,

    /// Write everything as one JSON document
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,

    /// Show all digests in full, and list the unreferenced blobs
    #[arg(long, short, help_heading = OUTPUT)]
    pub(crate) verbose: bool,
}

impl InspectArgs {
    /// The library's settings.
    pub(crate) fn options(&self) -> InspectOptions {
        let mut options = InspectOptions::default();
        options.images = self.images.filter();
        options.link = self.link;
        options
    }
}
