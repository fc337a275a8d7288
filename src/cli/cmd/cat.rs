//! `soci-layout cat`.

use std::io::{ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use soci_layout::Error;
use soci_layout::files::{EntryKind, ReadError, ReadReport};

use super::super::args::CatArgs;
use super::super::exit::Exit;
use super::files::{self, Interruptible};
use crate::cli::show::escape;
use crate::cli::show::printer::Printer;
use crate::cli::show::size::Bytes;

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
        let read = root.read(node, &mut out, &Interruptible);
        let read = read.and_then(|report| {
            out.flush().map_err(ReadError::Output)?;
            Ok(report)
        });
        match read {
            Ok(report) if report.ztoc.is_none() => {
                let (number, digest) = (report.layer_number, report.layer);
                let read = share(&report);
                talk.note(&format!(
                    "{shown}: layer {number} ({digest}) has no zTOC, {read} were read straight"
                ));
            }
            Ok(report) if args.image.verbose => talk.note(&format!("{shown}: {}", spans(&report))),
            Ok(_) => {}
            // A reader that went away has what it wanted.
            Err(ReadError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
                return Ok(exit);
            }
            Err(ReadError::Output(error)) => return Err(talk.unwritten(&error, None)),
            Err(ReadError::NotAFile(kind)) => {
                let hint = match kind {
                    EntryKind::Directory => "soci-layout ls lists what is in it",
                    _ => "only regular files have content in an image",
                };
                let message = format!("{shown}: {}", ReadError::NotAFile(kind));
                talk.error(&message, &[], Some(hint));
                exit = Exit::Error;
            }
            Err(ReadError::Layout(error @ Error::Cancelled)) => return Err(talk.failed(&error)),
            Err(ReadError::Layout(error)) => {
                talk.about(&format!("{shown}: {error}"), &error);
                exit = Exit::Error;
            }
            Err(error) => {
                talk.error(&format!("{shown}: {error}"), &[], None);
                exit = Exit::Error;
            }
        }
    }
    Ok(exit)
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
