//! `BuildKit`'s picture of a run, redrawn in place on a terminal.
//!
//! ```text
//! [+] Indexing 3.4s (3/6)
//!  => [resolve] /tmp/oci                                                    0.0s
//!  => CACHED [scan 1/3] linux/amd64 sha256:0123456789ab                     0.2s
//!  => [scan 2/3] linux/amd64 sha256:23456789abcd    45.2MiB / 108.0MiB      3.1s
//! ```
//!
//! [`Picture::lines`] is a pure function of steps, time and size. indicatif does the drawing: one bar
//! whose message is the whole picture, because a bar per step would be drawn one after the other and
//! show states that never were. Log lines and warnings go above it. The cursor is not hidden and no
//! mode of the terminal is changed, so there is nothing to restore when the program is killed.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use soci_layout::event::{Outcome, StepId};

use super::state::{Changes, Note, StepState};
use super::{Display, bar};
use crate::cli::show::style::{BOLD, CACHED, DIM, ERROR, WARNING};
use crate::cli::show::{Bytes as Size, columns, escape, message, printer::Printer};

/// Nothing is drawn before: what is over in an instant shall not flash.
const DELAY: Duration = Duration::from_millis(500);

/// Terminals with fewer columns show names only: counters and times would take them all.
const NARROW: usize = 24;

/// The display on a terminal.
#[derive(Debug)]
pub(super) struct Tty {
    printer: Printer,
    steps: BTreeMap<StepId, StepState>,
    screen: MultiProgress,
    picture: Option<ProgressBar>,
}

impl Tty {
    pub(super) fn new(printer: Printer) -> Self {
        Self { printer, steps: BTreeMap::new(), screen: MultiProgress::new(), picture: None }
    }

    fn note(&self, note: &Note) {
        let line = if note.warning {
            message::warning(&note.message)
        } else {
            format!("{DIM}#{} {}{DIM:#}", note.step, escape::text(&note.message))
        };
        // Where drawing fails there is no terminal any more.
        let _ = self.screen.println(styled(line.trim_end(), self.printer.stderr_colour()));
    }

    fn draw(&mut self, text: String) {
        let screen = &self.screen;
        let picture = self.picture.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg}").expect("a sound template");
            screen.add(ProgressBar::no_length().with_style(style))
        });
        picture.set_message(text);
    }
}

impl Display for Tty {
    fn show(&mut self, changes: Changes, now: Duration, last: bool) -> String {
        self.steps.extend(changes.steps.into_iter().map(|state| (state.step.id, state)));
        for note in &changes.notes {
            self.note(note);
        }
        let (columns, rows) = self.printer.stderr_size();
        let colour = self.printer.stderr_colour();
        if last {
            if let Some(picture) = self.picture.take() {
                picture.finish_and_clear();
            }
            if self.steps.values().all(|step| step.started.is_none()) {
                return String::new();
            }
            // As ordinary text, so that all of it stays to be scrolled back to and copied.
            let picture = Picture { steps: &self.steps, now, columns, rows: usize::MAX, colour };
            return picture.lines(true).join("\n") + "\n";
        }
        if now >= DELAY {
            let picture = Picture { steps: &self.steps, now, columns, rows, colour };
            self.draw(picture.lines(false).join("\n"));
        }
        String::new()
    }
}

/// What is to be drawn, and where.
struct Picture<'a> {
    steps: &'a BTreeMap<StepId, StepState>,
    now: Duration,
    columns: usize,
    rows: usize,
    colour: bool,
}

impl Picture<'_> {
    fn lines(&self, last: bool) -> Vec<String> {
        let done = self.steps.values().filter(|step| step.finished.is_some()).count();
        let all = self.steps.len();
        let failed = |step: &StepState| matches!(step.outcome(), Some(Outcome::Failed { .. }));
        let whole = last && done == all && !self.steps.values().any(failed);
        let finished = if whole { " FINISHED" } else { "" };
        let seconds = self.now.as_secs_f64();
        let header = format!("[+] Indexing {seconds:.1}s ({done}/{all}){finished}");
        let mut lines = vec![bar::fit(&header, self.columns).into_owned()];
        let line = |step| styled(&self.line(step, last), self.colour);
        lines.extend(self.visible().into_iter().map(line));
        lines
    }

    /// The steps for which there is room, in their order: those that run, then the last that ended.
    fn visible(&self) -> Vec<&StepState> {
        // One row for the header, one so that the picture never scrolls.
        let room = self.rows.saturating_sub(2);
        let mut steps: Vec<_> = self.steps.values().filter(|step| step.started.is_some()).collect();
        if steps.len() > room {
            steps.sort_by_key(|step| {
                (
                    step.finished.is_some(),
                    step.finished.as_ref().map(|(at, _)| std::cmp::Reverse(*at)),
                )
            });
            steps.truncate(room);
            steps.sort_by_key(|step| step.step.id);
        }
        steps
    }

    fn line(&self, step: &StepState, last: bool) -> String {
        const ARROW: &str = " => ";
        // Wide enough for most, so that the column before it stays in place.
        let seconds = format!("{:>6.1}s", step.seconds(self.now));
        // A step that is left running at the end was told to stop.
        let outcome = step.outcome().or(last.then_some(&Outcome::Cancelled));
        let (word, style, reason) = match outcome {
            None => ("", BOLD, ""),
            Some(Outcome::Cached) => ("CACHED ", CACHED, ""),
            Some(Outcome::Skipped { reason }) => ("SKIPPED ", WARNING, reason.as_str()),
            Some(Outcome::Failed { .. }) => ("ERROR ", ERROR, ""),
            Some(Outcome::Cancelled) => ("CANCELED ", WARNING, ""),
            // `Done`, and whatever the library may add.
            Some(_) => ("", DIM, ""),
        };
        if self.columns < NARROW {
            let text = format!("{ARROW}{word}{}", escape::text(&step.step.name));
            return bar::fit(&text, self.columns).into_owned();
        }
        let room = self.columns.saturating_sub(ARROW.len() + seconds.len());
        let status = if outcome.is_none() { status(step, room) } else { String::new() };
        let name = if reason.is_empty() {
            step.step.name.clone()
        } else {
            format!("{}: {reason}", bar::short_digests(&step.step.name))
        };
        let name = escape::text(&name);
        let room = room.saturating_sub(status.len() + word.len());
        let name = bar::fit(&name, room);
        let space = " ".repeat(room.saturating_sub(columns(&name)));
        if outcome.is_none() {
            format!("{style}{ARROW}{style:#}{name}{space}{status}{seconds}")
        } else if word.is_empty() {
            format!("{style}{ARROW}{name}{space}{seconds}{style:#}")
        } else {
            format!("{DIM}{ARROW}{DIM:#}{style}{word}{style:#}{DIM}{name}{space}{seconds}{DIM:#}")
        }
    }
}

/// A line with its styles, or without them.
fn styled(line: &str, colour: bool) -> String {
    if colour { line.to_owned() } else { anstream::adapter::strip_str(line).to_string() }
}

/// The longest form of the counter that leaves room for the name; the shortest if none does.
fn status(step: &StepState, room: usize) -> String {
    let Some(bytes) = step.bytes else { return String::new() };
    // The length of a pipe is unknown.
    if bytes.total == 0 {
        return format!(" {:>9}", Size(bytes.current).to_string());
    }
    let total = Size(bytes.total).to_string();
    // As wide as it will get, so that the name beside it does not move.
    let counter = format!(" {:>9} / {total}", Size(bytes.current).to_string());
    let bar = |width| format!(" {}{counter}", bar::draw(bytes.current, bytes.total, width));
    let percent = format!(" {:>3}%", bar::percent(bytes.current, bytes.total));
    let name = columns(&bar::short_digests(&escape::text(&step.step.name)));
    let fits = |status: &String| name + status.len() <= room;
    [bar(32), bar(16), counter.clone()].into_iter().find(fits).unwrap_or(percent)
}

#[cfg(test)]
mod tests {
    use super::super::state::State;
    use super::super::testing::{ms, story};
    use super::*;

    /// The picture of the story after `ticks` of its ticks.
    fn picture(ticks: usize, columns: usize, rows: usize, last: bool) -> Vec<String> {
        let mut state = State::new(false);
        let mut now = Duration::ZERO;
        for (at, events) in story().into_iter().take(ticks) {
            now = ms(at);
            for event in &events {
                state.fold(event, now);
            }
        }
        let steps = state.take().steps.into_iter().map(|step| (step.step.id, step)).collect();
        Picture { steps: &steps, now, columns, rows, colour: false }.lines(last)
    }

    #[test]
    fn pictures() {
        assert_eq!(
            picture(4, 72, 24, false),
            [
                "[+] Indexing 1.3s (1/4)",
                " => [resolve] /tmp/oci                                              0.0s",
                " => [scan 1/3] linux/amd64 sha256:aa           45.0MiB / 108.0MiB   1.2s",
                " => [scan 2/3] linux/amd64 sha256:bb            1.0MiB / 108.0MiB   1.2s",
            ]
        );
        assert_eq!(
            picture(4, 100, 24, false)[2],
            " => [scan 1/3] linux/amd64 sha256:aa    [============>                 ]   45.0MiB / 108.0MiB   1.2s"
        );
        assert_eq!(picture(4, 32, 24, false)[2], " => [scan 1/3] lin..  41%   1.2s");
        assert_eq!(
            picture(7, 72, usize::MAX, true),
            [
                "[+] Indexing 2.1s (4/4) FINISHED",
                " => [resolve] /tmp/oci                                              0.0s",
                " => [scan 1/3] linux/amd64 sha256:aa                                1.9s",
                " => CACHED [scan 2/3] linux/amd64 sha256:bb                         1.3s",
                " => SKIPPED [scan 3/3] linux/arm64 sha256:cc: zstd\\u{1b} is not..   0.7s",
            ]
        );
    }

    #[test]
    fn no_line_is_too_long_and_running_steps_are_seen_first() {
        for width in 0..120 {
            for ticks in 0..=7 {
                let lines = picture(ticks, width, 24, false);
                let longest = lines.iter().map(|line| columns(line)).max().unwrap_or(0);
                assert!(longest <= width, "{width}: {lines:?}");
            }
        }
        let lines = picture(5, 72, 4, false);
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("scan 1/3") && lines[2].contains("scan 3/3"), "{lines:?}");
        assert!(picture(5, 72, 0, false).len() == 1);
    }
}
