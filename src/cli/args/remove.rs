//! The options of `soci-layout remove`.

use std::path::PathBuf;

use clap::Args;
use soci_layout::{IndexVersion, RemoveOptions};

use super::index::INDEX_VERSIONS;
use super::value::choice;
use super::{DIGESTS_OR_JSON, DisplayArgs, ImageFilterArgs, RUN, exit};

/// Remove SOCI indexes from a layout
///
/// The way back from `index`: images get their manifests without annotation, image indexes lose their
/// SOCI entries, attestations follow. While the manifests that `index` replaced are still in the layout,
/// index.json and all digests are exactly those from before; after gc or --prune, documents are written
/// that say the same. Names, annotations and everything else stay.
#[derive(Args, Debug)]
#[command(after_help = "", after_long_help = exit::HELP,
          mut_arg("json", |json| json.long_help(DIGESTS_OR_JSON)))]
pub(crate) struct RemoveArgs {
    /// OCI image layout directory
    pub(crate) layout: PathBuf,

    #[command(flatten)]
    pub(crate) images: ImageFilterArgs,

    /// Only indexes of this version
    #[arg(long, value_name = "VERSION", help_heading = RUN, default_value = "both", value_parser = choice(&INDEX_VERSIONS))]
    pub(crate) index_version: IndexVersion,

    /// Remove the blobs that nothing refers to afterwards: SOCI indexes, zTOCs, replaced manifests
    #[arg(long, help_heading = RUN)]
    pub(crate) prune: bool,

    /// Remove blobs also from a directory outside of the layout
    ///
    /// Where `blobs` or `blobs/sha256` is a link to such a directory, other layouts may use the blobs in it;
    /// what only they refer to is removed as well.
    #[arg(long, help_heading = RUN, requires = "prune")]
    pub(crate) external_blobs: bool,

    /// Say what would be done, write nothing
    #[arg(long, help_heading = RUN)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) display: DisplayArgs,
}

impl RemoveArgs {
    /// The library's settings.
    pub(crate) fn options(&self) -> RemoveOptions {
        let mut options = RemoveOptions::default();
        options.images = self.images.filter();
        options.index_version = self.index_version;
        options.prune = self.prune;
        options.external_blobs = self.external_blobs;
        options.dry_run = self.dry_run;
        options
    }
}
