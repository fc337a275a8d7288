//! The options of `soci-layout diff`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use soci_layout::Platform;
use soci_layout::diff::DiffOptions;

use super::{IMAGES, OUTPUT, RUN, exit};

/// Compare two layouts, or two images of one
///
/// Shows per image and platform what changed from A to B: manifests, SOCI indexes, and for each layer
/// whether it is the same, and whether its zTOC was reused, is new, or how it differs; for changed layers
/// with zTOCs how their files differ; names; and the blobs that only one side has.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  soci-layout diff OLD NEW                      all images, paired by name and platform
  soci-layout diff OLD NEW --ref v1             the image v1 of both
  soci-layout diff LAYOUT --ref v1 --ref v2     two images of one layout", after_long_help = exit::HELP)]
pub(crate) struct DiffArgs {
    /// OCI image layout directory A
    #[arg(value_name = "LAYOUT_A")]
    pub(crate) a: PathBuf,

    /// OCI image layout directory B; not needed with two --ref
    #[arg(value_name = "LAYOUT_B")]
    pub(crate) b: Option<PathBuf>,

    /// Compare the image of this name; given twice, the first is A's and the second B's
    #[arg(long = "ref", value_name = "NAME", help_heading = IMAGES, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) refs: Vec<String>,

    /// Compare only this platform, OS/ARCH[/VARIANT]; may be repeated [default: all platforms]
    #[arg(long = "platform", value_name = "PLATFORM", help_heading = IMAGES, value_delimiter = ',')]
    pub(crate) platforms: Vec<Platform>,

    /// Exit with 1 when there is a difference, and with 0 when there is none
    #[arg(long, help_heading = RUN)]
    pub(crate) exit_code: bool,

    /// Write everything as one JSON document
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,

    /// Show digests in full, files that differ, and blobs
    #[arg(long, short, help_heading = OUTPUT)]
    pub(crate) verbose: bool,
}

impl DiffArgs {
    /// The library's settings.
    ///
    /// # Errors
    /// What is wrong with the number of layouts and names.
    pub(crate) fn options(&self) -> Result<DiffOptions, &'static str> {
        let (ref_a, ref_b) = match (self.refs.as_slice(), &self.b) {
            (_, None) if self.refs.len() != 2 => {
                return Err("one layout needs two names: --ref A --ref B");
            }
            ([], _) => (None, None),
            ([both], _) => (Some(both), Some(both)),
            ([a, b], _) => (Some(a), Some(b)),
            _ => return Err("--ref can be given twice at most"),
        };
        let mut options = DiffOptions::default();
        options.ref_a = ref_a.cloned();
        options.ref_b = ref_b.cloned();
        options.platforms.clone_from(&self.platforms);
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command};
    use super::*;

    fn options(arguments: &str) -> Result<DiffOptions, &'static str> {
        let arguments = ["soci-layout", "diff"].into_iter().chain(arguments.split_whitespace());
        match Cli::try_parse_from(arguments).expect("valid").command {
            Command::Diff(args) => args.options(),
            _ => unreachable!("it begins with diff"),
        }
    }

    #[test]
    fn names_for_sides() {
        let refs = |arguments| options(arguments).map(|o| (o.ref_a, o.ref_b));
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(refs("A B"), Ok((None, None)));
        assert_eq!(refs("A B --ref x"), Ok((name("x"), name("x"))));
        assert_eq!(refs("A B --ref x --ref y"), Ok((name("x"), name("y"))));
        assert_eq!(refs("A --ref x --ref y"), Ok((name("x"), name("y"))));
        for wrong in ["A", "A --ref x", "A --ref x --ref y --ref z", "A B --ref x --ref y --ref z"]
        {
            assert!(refs(wrong).is_err(), "{wrong}");
        }
    }
}
