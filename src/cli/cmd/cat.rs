//! `soci-layout cat`.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;

use soci_layout::Error;
use soci_layout::files::{EntryKind, ReadError, ReadReport};

use super::super::args::CatArgs;
use super::super::show::{Bytes, escape};
use super::files::{self, Interruptible};
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &CatArgs, printer: Printer) -> Result<Exit, Exit> {
    let (image, talk) = files::open(&args.layout, &args.image, printer)?;
    let root = image.root().map_err(|error| talk.failed(&error))?;
    let mut out = Printer::raw();
    let mut exit = Exit::Done;
    for path in &args.paths {
        let path = path.as_bytes();
        let shown = escape::bytes(path);
        let node = match root.lookup(path, true) {
            Ok(node) => node,
            Err(error) => {
                talk.error(&format!("{shown}: {error}"), &[], None);
                exit = Exit::Error;
                continue;
            }
        };
        let error = match root.read(node, &mut out, &Interruptible) {
            Ok(report) => {
                tell(&shown, &report, args.image.verbose, talk);
                continue;
            }
            Err(error) => error,
        };
        match &error {
            // A reader that went away has what it wanted.
            ReadError::Output(gone) if gone.kind() == ErrorKind::BrokenPipe => return Ok(exit),
            ReadError::Output(cause) => return Err(talk.unwritten(cause, None)),
            ReadError::Layout(cause @ Error::Cancelled) => return Err(talk.failed(cause)),
            ReadError::Layout(cause) => talk.about(&format!("{shown}: {cause}"), cause),
            ReadError::NotAFile(kind) => {
                let hint = match kind {
                    EntryKind::Directory => "soci-layout ls lists what is in it",
                    _ => "only regular files have content in an image",
                };
                talk.error(&format!("{shown}: {error}"), &[], Some(hint));
            }
            _ => talk.error(&format!("{shown}: {error}"), &[], None),
        }
        exit = Exit::Error;
    }
    Ok(exit)
}

/// Says what it took to read a file, where that is much or details are asked for.
fn tell(shown: &str, report: &ReadReport, verbose: bool, talk: Talk) {
    if report.ztoc.is_none() {
        let (number, digest, read) = (report.layer_number, report.layer, share(report));
        talk.note(&format!(
            "{shown}: layer {number} ({digest}) has no zTOC, {read} were read straight"
        ));
    } else if verbose {
        talk.note(&format!("{shown}: {}", spans(report)));
    }
}

/// How much of the layer's blob was needed.
fn share(report: &ReadReport) -> String {
    format!("{} of its {}", Bytes(report.compressed), Bytes(report.layer_size))
}

fn spans(report: &ReadReport) -> String {
    let (number, digest, count) = (report.layer_number, report.layer, report.span_count);
    let spans = match &report.spans {
        Some(spans) if spans.start() == spans.end() => format!("span {}", spans.start()),
        Some(spans) => format!("spans {} to {}", spans.start(), spans.end()),
        None => "no span".to_owned(),
    };
    let (size, share) = (Bytes(report.size), share(report));
    format!(
        "{size} from {spans} (0 to {}) of layer {number} ({digest}): {share}",
        count.saturating_sub(1)
    )
}
