//! `soci-layout trace`.

use soci_layout::prefetch::read_trace;

use super::super::args::TraceArgs;
use super::files;
use super::{Exit, Printer};

/// Runs the command.
pub(crate) fn run(args: &TraceArgs, printer: Printer) -> Result<Exit, Exit> {
    let (image, talk) = files::open(&args.layout, &args.image, printer)?;
    let (mut ranges, mut files) = (Vec::new(), Vec::new());
    for log in &args.logs {
        let trace = read_trace(log).map_err(|error| talk.failed(&error))?;
        ranges.extend(trace.ranges);
        files.extend(trace.files);
    }
    let recorded = image.recorded(&ranges).map_err(|error| talk.failed(&error))?;
    if recorded.not_found > 0 {
        let (gone, all) = (recorded.not_found, ranges.len());
        talk.warning(&format!(
            "{gone} of {all} recorded ranges are of layers that have no zTOC in this image"
        ));
    }
    files.extend(recorded.files);
    let mut out = String::new();
    for file in &files {
        out.push_str(&serde_json::to_string(file).unwrap_or_default());
        out.push('\n');
    }
    talk.data(&out, None)
}
