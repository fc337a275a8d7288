//! The options of `soci-layout push`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use soci_layout::push::PushOptions;
use soci_layout::registry::Reference;

use super::{REGISTRY, RegistryArgs};
use crate::cli::args::{DisplayArgs, RUN, exit, jobs};

/// Push an image of a layout to a registry, with its SOCI indexes
///
/// Sends everything that the image's entry of index.json leads to and what refers to it: zTOCs, layers, SOCI indexes,
/// manifests, attestations, then the image index, and the tag last. Standard output gets the digest behind the tag. What is there already is not sent. Documents are sent as
/// they are, so the digest behind the tag is the layout's. Where the registry has no referrers API, the lists of referrers
/// (tags sha256-...) are added to. The layout is only read.
#[derive(Args, Debug)]
#[command(after_help = "", after_long_help = exit::HELP)]
pub(crate) struct PushArgs {
    /// OCI image layout directory, and the image's name in it when there are several
    #[arg(value_name = "LAYOUT[:NAME]")]
    pub(crate) layout: PathBuf,

    /// Where it goes, HOST/REPO:TAG [default tag: the image's name in the layout]
    ///
    /// Credentials are those of docker login.
    #[arg(value_name = "REPO[:TAG]")]
    pub(crate) reference: Reference,

    /// Repository of the same registry that may have layers already; may be repeated
    ///
    /// They are taken over from there without being sent. Repositories that the layers' descriptors name
    /// (containerd.io/distribution.source) are tried anyway.
    #[arg(long, value_name = "REPO", help_heading = REGISTRY)]
    pub(crate) mount_from: Vec<String>,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    /// Blobs sent at a time [default: 4]
    #[arg(long, short, value_name = "N", help_heading = RUN, value_parser = jobs)]
    pub(crate) jobs: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) display: DisplayArgs,
}

impl PushArgs {
    /// The layout, and the library's settings.
    pub(crate) fn options(&self) -> (PathBuf, PushOptions) {
        let (layout, name) = split(&self.layout);
        let mut options = PushOptions::default();
        options.name = name;
        options.mount_from.clone_from(&self.mount_from);
        options.jobs = self.jobs;
        options.registry = self.registry.options();
        (layout, options)
    }
}

/// Tells directory and name apart: names have colons, too, and so may directories.
fn split(given: &Path) -> (PathBuf, Option<String>) {
    let whole = || (given.to_owned(), None);
    let Some(text) = given.to_str().filter(|_| !given.exists()) else { return whole() };
    let parts = text.match_indices(':').map(|(colon, _)| text.split_at(colon));
    let mut found =
        parts.filter(|(directory, name)| name.len() > 1 && Path::new(directory).is_dir());
    match found.next() {
        Some((directory, name)) => (directory.into(), Some(name[1..].to_owned())),
        None => whole(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_and_name_are_told_apart() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a:b");
        std::fs::create_dir(&path).expect("created");
        let text = path.to_str().expect("UTF-8");
        assert_eq!(split(&path), (path.clone(), None));
        let named = format!("{text}:r.example/app:v1");
        assert_eq!(split(Path::new(&named)), (path.clone(), Some("r.example/app:v1".to_owned())));
        let absent = Path::new("not-there:v1");
        assert_eq!(split(absent), (absent.to_owned(), None));
    }
}
