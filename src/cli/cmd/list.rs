//! `soci-layout index --from-file`: one line of JSON for each image.

use std::io::Read;
use std::path::Path;

use soci_layout::many::{ImageRecord, ImageResult, index_list};
use soci_layout::registry::Reference;
use soci_layout::report::Report;

use super::super::args::IndexArgs;
use super::super::args::registry::images;
use super::super::show::{count, escape, json};
use super::gates::stopped;
use super::{Exit, Talk};

/// Largest list, in bytes.
const MAX_LIST_SIZE: u64 = 64 << 20;

/// Runs the command for the images of the list at `path`.
pub(super) fn run(args: &IndexArgs, path: &Path, talk: Talk) -> Result<Exit, Exit> {
    let options = args.options().map_err(|error| talk.failed(&error))?;
    let list = read(args, path).map_err(|problem| {
        talk.error(&problem, &[], None);
        Exit::Error
    })?;
    let accepts = |report: &Report| stopped(args, report).is_none();
    let (mut ended, mut failed, mut unwritten) = (0_u64, 0_u64, None);
    let mut tell = |record: &ImageRecord| {
        ended += 1;
        failed += u64::from(matches!(record.result, ImageResult::Failed | ImageResult::Refused));
        if let Err(error) = talk.printer.out(&(json::line(record) + "\n")) {
            unwritten.get_or_insert(error);
        }
    };
    talk.watch_closely(
        args.verbose,
        |()| &[],
        |progress| index_list(&list, &options, &accepts, &mut tell, progress),
    )?;
    if let Some(error) = unwritten {
        return Err(talk.unwritten(&error, Some("the images are done all the same")));
    }
    talk.summary(&format!("{}, {failed} failed\n", count(ended, "image")));
    if failed > 0 {
        let what = count(failed, "image");
        talk.error(&format!("{what} of {ended} failed; their lines say why"), &[], None);
        return Err(Exit::SomeFailed);
    }
    Ok(Exit::Done)
}

/// The part of the list that is this run's.
fn read(args: &IndexArgs, path: &Path) -> Result<Vec<(Reference, Option<Reference>)>, String> {
    let shown = escape::text(&path.display().to_string()).into_owned();
    let told = |problem: String| format!("the list {shown}: {problem}");
    let failed = |error: std::io::Error| told(format!("failed to read: {error}"));
    let from: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?)
    };
    let mut text = String::new();
    from.take(MAX_LIST_SIZE + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_LIST_SIZE {
        return Err(told(format!("more than {MAX_LIST_SIZE} bytes")));
    }
    let mut list = images(&text).map_err(told)?;
    if let Some(shard) = args.list.shard {
        let part = shard.part(list.len(), &|name| std::env::var(name).ok())?;
        list = list.drain(part).collect();
    }
    Ok(list)
}
