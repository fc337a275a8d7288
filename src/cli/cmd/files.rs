//! What `ls` and `cat` have in common: the image is opened, and people are told what it took.

use std::path::Path;

use soci_layout::event::{Event, Observer};
use soci_layout::files::ImageFiles;

use super::super::args::ImageArgs;
use super::super::progress::Progress;
use super::super::show::Bytes;
use super::super::signals;
use super::{Exit, Printer, Talk};

/// Opens the image that the arguments choose.
///
/// # Errors
/// The exit; what is wrong has been said.
pub(super) fn open(
    layout: &Path,
    args: &ImageArgs,
    printer: Printer,
) -> Result<(ImageFiles, Talk), Exit> {
    let talk = Talk::start(args.progress(printer), args.quiet, printer)?;
    let open = |progress: &Progress| ImageFiles::open(layout, &args.options(), progress);
    let image = talk.watch_closely(args.verbose, |_| &[], open)?;
    if !image.left_out().is_empty() {
        let (platform, others) = (image.platform(), image.left_out().join(", "));
        talk.note(&format!("showing {platform}, this machine's platform (also there: {others})"));
    }
    for layer in image.read_layers() {
        let (number, digest, size) = (layer.number, layer.digest, Bytes(layer.size));
        if let Some(problem) = &layer.ztoc_problem {
            talk.warning(&format!(
                "layer {number} ({digest}) was read without its zTOC, which cannot be used: {problem}"
            ));
        } else if args.verbose && layer.ztoc.is_none() {
            talk.note(&format!(
                "layer {number} ({digest}, {size}) has no zTOC, all of it was read"
            ));
        }
    }
    Ok((image, talk))
}

/// Ends what takes long after a signal, without a display.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interruptible;

impl Observer for Interruptible {
    fn event(&self, _event: &Event) {}

    fn cancelled(&self) -> bool {
        signals::caught().is_some()
    }
}
