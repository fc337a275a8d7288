//! `soci-layout index`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;

use soci_layout::archive::{Input, Output};
use soci_layout::report::Report;
use soci_layout::{Error, Options};

use super::super::archive::{Archive, Target};
#[cfg(feature = "registry")]
use super::super::args::registry::registry_image;
use super::super::args::{DisplayArgs, IndexArgs};
use super::super::progress::Progress;
use super::super::show::{escape, markdown, summary};
use super::super::talk::LAYOUT_DONE;
use super::gates::gates;
#[cfg(feature = "registry")]
use super::gates::stopped;
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &IndexArgs, printer: Printer) -> Result<Exit, Exit> {
    let DisplayArgs { progress, json, quiet } = args.display;
    let talk = Talk { writes: !args.dry_run, ..Talk::start(progress, quiet, printer)? };
    #[cfg(feature = "registry")]
    if let Some(list) = &args.list.from_file {
        return super::list::run(args, list, talk);
    }
    let archive = Archive::of(args).map_err(|(problem, hint)| talk.misuse(&problem, hint))?;
    #[cfg(feature = "registry")]
    if args.to.is_some() && registry_image(&args.layout).is_none() {
        let problem =
            format!("--to is for images in a registry, and {} is none", args.layout.display());
        let hint = "REPO:TAG names one; push sends a layout to a registry";
        return Err(talk.misuse(&problem, hint));
    }
    if archive.as_ref().is_some_and(|archive| archive.source.is_none()) && Printer::stdin_typed() {
        let hint =
            "docker buildx build --output type=oci,dest=- . | soci-layout index - --output DIR";
        return Err(talk.misuse("standard input is a terminal, not an archive", hint));
    }
    let options = args.options().map_err(|error| talk.failed(&error))?;
    let mut stdout = None;
    if archive.as_ref().is_some_and(|archive| archive.target == Target::Stdout) {
        stdout = Printer::out_bytes().map_err(|error| talk.unwritten(&error, None))?;
        if stdout.is_none() {
            let hint = "redirect standard output, or write the archive to a file: --output x.tar";
            let cause = "it is a terminal".to_owned();
            talk.error("no archive is written to standard output", &[cause], Some(hint));
            return Err(Exit::Usage);
        }
    }
    let report = talk.watch_closely(
        args.verbose,
        |report: &Report| &report.warnings,
        |progress| match &archive {
            None => in_place(args, &options, progress),
            Some(archive) => take_in(archive, args.force, stdout.as_mut(), &options, progress),
        },
    )?;
    talk.summary(&summary::text(&report, &options));
    #[cfg(feature = "registry")]
    if let Some(pushed) = &report.pushed {
        talk.summary(&super::push::summary(pushed));
    }
    let appended = append_summary(args, &report, &options, talk);
    if let Some(Target::Directory(path) | Target::Archive(path)) =
        archive.map(|archive| archive.target)
    {
        let path = path.display().to_string();
        talk.summary(&format!("the result is in {}\n", escape::text(&path)));
    }
    // Where the archive went to standard output, nothing else does.
    if stdout.is_none() {
        talk.report(&report, json, (!report.dry_run).then_some(LAYOUT_DONE), data)?;
    }
    Ok(if appended { gates(args, &report, talk) } else { Exit::Error })
}

/// Appends what `--summary` asks for to its file, which is made when it is not there: the steps of a job
/// share one. Says so and returns `false` where that fails.
#[expect(clippy::disallowed_methods, reason = "no part of a layout, and it may be shared")]
pub(super) fn append_summary(
    args: &IndexArgs,
    report: &Report,
    options: &Options,
    talk: Talk,
) -> bool {
    let Some(path) = &args.summary else { return true };
    let text = markdown::text(report, options);
    let file = OpenOptions::new().create(true).append(true).open(path);
    let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) else { return true };
    let path = path.display().to_string();
    let problem = format!("failed to write the summary {}", escape::text(&path));
    let done = "the layout itself is done; only the summary is missing";
    talk.error(&problem, &[error.to_string()], (!report.dry_run).then_some(done));
    false
}

/// Indexes a directory, or an image in a registry.
fn in_place(args: &IndexArgs, options: &Options, progress: &Progress) -> Result<Report, Error> {
    #[cfg(feature = "registry")]
    if let Some(from) = registry_image(&args.layout) {
        let accepts = |report: &Report| stopped(args, report).is_none();
        return soci_layout::index_registry(&from, args.to.as_ref(), options, &accepts, progress);
    }
    soci_layout::index(&args.layout, options, progress)
}

/// Indexes an archive.
fn take_in(
    archive: &Archive,
    force: bool,
    stdout: Option<&mut File>,
    options: &Options,
    progress: &Progress,
) -> Result<Report, Error> {
    let input = if let Some(path) = &archive.source {
        Input::open(path)?
    } else {
        let action = |source| Error::Io { action: "read", path: "standard input".into(), source };
        Input::stdin().map_err(action)?
    };
    let output = match (&archive.target, stdout) {
        (Target::Directory(path), _) => Output::Directory { path: path.clone(), force },
        (Target::Archive(path), _) => Output::Archive { path: path.clone(), force },
        (Target::Stdout, Some(writer)) => {
            Output::Stream { name: "standard output".to_owned(), writer }
        }
        (Target::Stdout, None) => unreachable!("it was opened before"),
    };
    soci_layout::archive::index(input, output, options, progress)
}

/// What goes to standard output without `--json`: the digests of the selected entries of `index.json`. A dry run
/// does not know them as they would be, so it gives none.
fn data(report: &Report) -> String {
    if report.dry_run { String::new() } else { summary::root_digests(&report.roots) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use soci_layout::Digest;

    use super::*;
    use crate::cli::show;

    #[test]
    fn standard_output() {
        let (before, after) = (Digest::of(b"1"), Digest::of(b"2"));
        let root = |name, after: Digest| json!({"name": name, "before": before, "after": after});
        let mut report: Report = serde_json::from_value(json!({
            "version": 1,
            "dry_run": false,
            "changed": true,
            "roots": [root(Some("a\u{202e}"), after), root(None, before), root(Some("b"), after)],
            "images": [],
            "layers": [],
            "prefetch": [],
            "warnings": [],
            "stays_behind": [],
            "blobs_written": 0,
            "bytes_written": 0,
            "blobs_pruned": 0,
            "bytes_pruned": 0,
            "seconds": 0.5,
        }))
        .expect("a report");
        assert_eq!(data(&report), format!("{after}\n{before}\n"));
        report.dry_run = true;
        assert_eq!(data(&report), "");
        let json = show::json::document(&report);
        assert!(json.contains("\"a\\u202e\"") && json.ends_with("}\n"), "{json}");
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value["roots"][0]["name"], "a\u{202e}");
    }
}
