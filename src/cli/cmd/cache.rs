//! `soci-layout cache ls`, `prune` and `verify`.

use std::fmt::Write as _;

use soci_layout::Error;
use soci_layout::cache::{Cache, Checked, Listing, Pruned, Reason};

use super::super::args::{CacheArgs, CacheCommand};
use super::super::show::{Bytes, escape};
use super::super::signals;
use super::{Exit, Printer, Talk};

/// Runs the command.
pub(crate) fn run(args: &CacheArgs, printer: Printer) -> Result<Exit, Exit> {
    let talk = Talk::silent(false, printer);
    let hint = "name it with --cache-dir DIR or in SOCI_LAYOUT_CACHE_DIR";
    let directory = args.command.directory();
    let directory = directory.ok_or_else(|| talk.misuse("no cache directory given", hint))?;
    let cache = Cache::new(directory);
    let cancelled = || signals::caught().is_some();
    let failed = |error| match error {
        Error::Cancelled => {
            talk.error("cancelled", &[], None);
            signals::caught().unwrap_or(Exit::Error)
        }
        error => talk.failed(&error),
    };
    match &args.command {
        CacheCommand::Ls(args) => listed(&cache.list().map_err(failed)?, args.json, talk),
        CacheCommand::Prune(args) => {
            let done = cache.prune(&args.options(), &cancelled).map_err(failed)?;
            talk.report(&done, args.json, None, pruned)
        }
        CacheCommand::Verify(args) => {
            let found = cache.verify(args.remove, &cancelled).map_err(failed)?;
            talk.report(&found, args.json, None, checked)?;
            Ok(if found.corrupt.is_empty() { Exit::Done } else { Exit::Error })
        }
    }
}

/// The list; what is no part of it is said on standard error.
fn listed(listing: &Listing, json: bool, talk: Talk) -> Result<Exit, Exit> {
    for entry in &listing.unusable {
        let hint = "`cache verify --remove` removes such entries";
        talk.warning(&format!("{}: {} ({hint})", entry.name, entry.problem));
    }
    if !json {
        talk.summary(&totals(listing));
    }
    talk.report(listing, json, None, table)
}

/// A line per entry, under a heading.
fn table(listing: &Listing) -> String {
    let mut out = String::new();
    if !listing.entries.is_empty() {
        let _ = writeln!(out, "USED      SIZE     SPANS  FORM  {:<71}  TOOL", "LAYER");
    }
    for entry in &listing.entries {
        let _ = writeln!(
            out,
            "{:<4} {:>9} {:>9}  {:<4}  {}  {}",
            age(entry.age_seconds),
            Bytes(entry.bytes),
            Bytes(entry.span_size),
            entry.compression,
            entry.layer,
            escape::text(&entry.build_tool_identifier)
        );
    }
    out
}

fn totals(listing: &Listing) -> String {
    let entries = listing.entries.len() as u64 + listing.other_versions;
    let mut out = format!(
        "{}, {} in {}",
        entries_word(entries + listing.unusable.len() as u64),
        Bytes(listing.bytes),
        escape::text(&listing.directory)
    );
    for (count, what) in [
        (listing.unusable.len() as u64, "corrupt"),
        (listing.other_versions, "of other versions"),
        (listing.temporary, "being written"),
        (listing.others, "other files"),
    ] {
        if count > 0 {
            let _ = write!(out, "; {count} {what}");
        }
    }
    out.push('\n');
    out
}

fn pruned(pruned: &Pruned) -> String {
    let mut out = String::new();
    for entry in &pruned.removed {
        let reason = match entry.reason {
            Reason::Age => "too old",
            Reason::Size => "beyond the size",
        };
        let (bytes, used) = (Bytes(entry.bytes), &entry.last_used);
        let _ = writeln!(out, "{} {bytes}, used {used}: {reason}", entry.name);
    }
    let done = if pruned.dry_run { "dry run: would remove" } else { "removed" };
    let _ = write!(
        out,
        "{done} {}, {}; kept {}, {}",
        entries_word(pruned.removed.len() as u64),
        Bytes(pruned.bytes_removed),
        pruned.kept,
        Bytes(pruned.bytes_kept)
    );
    if pruned.temporary_removed > 0 {
        let _ = write!(out, "; {} left by killed runs", pruned.temporary_removed);
    }
    out.push('\n');
    out
}

fn checked(checked: &Checked) -> String {
    let mut out = String::new();
    for entry in &checked.corrupt {
        let removed = if entry.removed { " (removed)" } else { "" };
        let _ = writeln!(out, "{}: {}{removed}", entry.name, escape::text(&entry.problem));
    }
    let _ = write!(
        out,
        "{} sound, {}; {} corrupt",
        entries_word(checked.sound),
        Bytes(checked.bytes),
        checked.corrupt.len()
    );
    if checked.other_versions > 0 {
        let _ = write!(out, "; {} of other versions, not judged", checked.other_versions);
    }
    out.push('\n');
    out
}

fn entries_word(count: u64) -> String {
    format!("{count} {}", if count == 1 { "entry" } else { "entries" })
}

/// A time span in its largest unit, to the day at least as exact as it is known.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => "now".to_owned(),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use soci_layout::Digest;

    use super::*;

    #[test]
    fn a_list() {
        let entry = |age_seconds, tool: &str| {
            json!({
                "name": "n",
                "bytes": 1 << 20,
                "last_used": "2026-01-02T03:04:05Z",
                "age_seconds": age_seconds,
                "layer": Digest::of(b"layer"),
                "layer_size": 9,
                "compression": "gzip",
                "span_size": 4 << 20,
                "build_tool_identifier": tool,
                "ztoc": Digest::of(b"ztoc"),
                "ztoc_size": 7,
            })
        };
        let listing: Listing = serde_json::from_value(json!({
            "version": 1,
            "directory": "D\u{202e}",
            "entries": [entry(7200, "tool"), entry(90_000, "evil\u{1b}")],
            "unusable": [{"name": "x", "bytes": 1, "problem": "bad"}],
            "other_versions": 0,
            "bytes": 3 << 20,
            "temporary": 1,
            "others": 2,
        }))
        .expect("a listing");
        let layer = Digest::of(b"layer");
        let expected = format!(
            "USED      SIZE     SPANS  FORM  {:<71}  TOOL\n\
             2h      1.0MiB    4.0MiB  gzip  {layer}  tool\n\
             1d      1.0MiB    4.0MiB  gzip  {layer}  evil\\u{{1b}}\n",
            "LAYER"
        );
        assert_eq!(table(&listing), expected);
        assert_eq!(
            totals(&listing),
            "3 entries, 3.0MiB in D\\u{202e}; 1 corrupt; 1 being written; 2 other files\n"
        );
    }

    #[test]
    fn ages() {
        for (seconds, text) in
            [(0, "now"), (59, "now"), (60, "1m"), (3600, "1h"), (86_399, "23h"), (200_000, "2d")]
        {
            assert_eq!(age(seconds), text);
        }
    }
}
