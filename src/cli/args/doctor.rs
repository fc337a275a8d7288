//! The options of `soci-layout doctor`.

use std::path::PathBuf;

use clap::Args;
use soci_layout::doctor::{DoctorOptions, Target};

use super::value::{Choice, choice};
use super::{IMAGES, ImageFilterArgs, OUTPUT, exit, size};

/// Say what keeps the images of a layout from starting lazily, and what changes it
///
/// Takes an export as it is, indexed or not, and lists each thing that makes a runtime pull an image or a layer before
/// it starts, with the option of the build or the command that changes it. Nothing is locked or written; of layers
/// without a zTOC the first megabytes are read, so `index` may still find a reason further on.
#[derive(Args, Debug)]
#[command(after_help = "Exits with 0 whatever it finds.", after_long_help = exit::HELP)]
pub(crate) struct DoctorArgs {
    /// OCI image layout directory
    pub(crate) layout: PathBuf,

    #[command(flatten)]
    pub(crate) images: ImageFilterArgs,

    /// The runtime that is to start the images [default: what matters to any of them]
    #[arg(long = "for", value_name = "RUNTIME", help_heading = IMAGES, value_parser = choice(&TARGETS))]
    pub(crate) target: Option<Target>,

    /// The minimum layer size of the indexing run
    ///
    /// As for index.
    #[arg(long, value_name = "SIZE", help_heading = IMAGES, default_value = "10MiB", value_parser = size::parse)]
    pub(crate) min_layer_size: u64,

    /// Write everything as one JSON document
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

/// Runtimes that load images lazily.
pub(super) const TARGETS: [Choice<Target>; 3] = [
    ("fargate", "AWS Fargate (ECS)", Target::Fargate),
    ("eks", "EKS with nodes that have the soci-snapshotter", Target::Eks),
    ("containerd", "containerd with the soci-snapshotter, anywhere", Target::Containerd),
];

impl DoctorArgs {
    /// The library's settings.
    pub(crate) fn options(&self) -> DoctorOptions {
        let mut options = DoctorOptions::default();
        options.images = self.images.filter();
        options.min_layer_size = self.min_layer_size;
        options.target = self.target;
        options
    }
}
