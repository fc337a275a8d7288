//! The options of `soci-layout gc`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use soci_layout::gc::GcOptions;

use super::{OUTPUT, RUN, exit};

/// Remove blobs that nothing refers to
///
/// Such blobs are manifests and SOCI indexes that later runs replaced, zTOCs of layers that are gone,
/// and what interrupted runs left. Everything stays that any entry of index.json leads to, directly or
/// through any document: subjects, attestations, annotations, a manifest.json of docker save. When a
/// document cannot be read, nothing is removed.
///
/// Superseded manifests are what makes `remove` exact; after gc it writes equal ones instead.
#[derive(Args, Debug)]
#[command(after_help = "", after_long_help = exit::HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct GcArgs {
    /// OCI image layout directory
    pub(crate) layout: PathBuf,

    /// Keep blobs that are younger
    ///
    /// An export that is under way has blobs that index.json does not name yet. 0 takes every
    /// unreferenced blob: only when nothing else writes into the layout. For example 10m, 1h30m, 7d.
    #[arg(long, value_name = "AGE", help_heading = RUN, default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) min_age: Duration,

    /// Remove blobs also from a directory outside of the layout
    ///
    /// Where `blobs` or `blobs/sha256` is a link to such a directory, other layouts may use the blobs in it;
    /// what only they refer to is removed as well.
    #[arg(long, help_heading = RUN)]
    pub(crate) external_blobs: bool,

    /// Say what would be removed, remove nothing
    #[arg(long, help_heading = RUN)]
    pub(crate) dry_run: bool,

    /// Write the report as one JSON document to standard output
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,

    /// Only errors on standard error
    #[arg(long, short, help_heading = OUTPUT)]
    pub(crate) quiet: bool,
}

impl GcArgs {
    /// The library's settings.
    pub(crate) fn options(&self) -> GcOptions {
        let mut options = GcOptions::default();
        options.min_age = self.min_age;
        options.external_blobs = self.external_blobs;
        options.dry_run = self.dry_run;
        options
    }
}
