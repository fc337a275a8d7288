//! The options of `soci-layout doctor`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use soci_layout::doctor::DoctorOptions;

use super::super::exit;
use super::{IMAGES, ImageFilterArgs, OUTPUT};
use crate::cli::show::size;

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
    #[arg(long = "for", value_name = "RUNTIME", help_heading = IMAGES)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// AWS Fargate (ECS)
    Fargate,
    /// EKS with nodes that have the soci-snapshotter
    Eks,
    /// containerd with the soci-snapshotter, anywhere
    Containerd,
}

impl Target {
    /// The library's.
    pub(crate) fn library(self) -> soci_layout::doctor::Target {
        match self {
            Self::Fargate => soci_layout::doctor::Target::Fargate,
            Self::Eks => soci_layout::doctor::Target::Eks,
            Self::Containerd => soci_layout::doctor::Target::Containerd,
        }
    }
}

impl DoctorArgs {
    /// The library's settings.
    pub(crate) fn options(&self) -> DoctorOptions {
        let mut options = DoctorOptions::default();
        options.images = self.images.filter();
        options.min_layer_size = self.min_layer_size;
        options.target = self.target.map(Target::library);
        options
    }
}
