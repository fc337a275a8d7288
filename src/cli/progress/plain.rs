//! Lines in the style of `BuildKit`'s plain progress, for logs and pipes.
//!
//! ```text
//! #3 [scan 2/3] linux/amd64 sha256:…
//! #3 45.2MiB / 108.0MiB 41%
//! #3 DONE 1.2s
//!
//! #4 …
//! ```
//!
//! Steps run at the same time, a log has one line after the other. So one running step is in the
//! foreground, for at least [`TURN`]; the others keep what they have to say until it is their turn or
//! they end. `#3 ...` marks a step that is left while it is running.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use soci_layout::event::{Outcome, StepId};

use super::state::{Changes, Note, StepState};
use super::{Display, bar};
use crate::cli::show::{Bytes as Size, escape};

/// Least time between two counter lines of a step.
const COUNTER: Duration = Duration::from_secs(1);
/// How long a running step stays in the foreground when others wait.
const TURN: Duration = Duration::from_secs(5);

/// The plain display.
#[derive(Debug, Default)]
pub(super) struct Plain {
    steps: BTreeMap<StepId, Section>,
    foreground: Option<StepId>,
    /// Whether anything was written.
    begun: bool,
}

/// What is written about one step.
#[derive(Debug)]
struct Section {
    state: StepState,
    notes: Vec<Note>,
    closed: bool,
    /// When it came to the foreground last.
    shown: Option<Duration>,
    /// Time and value of the last counter line.
    counter: Option<(Duration, u64)>,
}

impl Display for Plain {
    fn show(&mut self, changes: Changes, now: Duration, last: bool) -> String {
        self.merge(changes);
        let mut out = String::new();
        for id in self.ended(last) {
            self.open(&mut out, id, now);
            self.close(&mut out, id, now);
        }
        if let Some(id) = self.next(now) {
            self.open(&mut out, id, now);
            self.counter(&mut out, id, now);
        }
        out
    }
}

impl Plain {
    fn merge(&mut self, changes: Changes) {
        for state in changes.steps {
            if let Some(section) = self.steps.get_mut(&state.step.id) {
                section.state = state;
            } else {
                let (id, notes) = (state.step.id, Vec::new());
                let section = Section { state, notes, closed: false, shown: None, counter: None };
                self.steps.insert(id, section);
            }
        }
        for note in changes.notes {
            if let Some(section) = self.steps.get_mut(&note.step) {
                section.notes.push(note);
            }
        }
    }

    /// Steps to close: first the one in the foreground, then in the order in which they ended. At the
    /// end also those that were left running.
    fn ended(&self, last: bool) -> Vec<StepId> {
        let mut ended: Vec<_> = self
            .steps
            .iter()
            .filter(|(_, section)| !section.closed)
            .filter_map(|(id, Section { state, .. })| match &state.finished {
                Some((at, _)) => Some((Some(*id) != self.foreground, *at, *id)),
                None if last && state.running() => Some((true, Duration::MAX, *id)),
                None => None,
            })
            .collect();
        ended.sort_unstable();
        ended.into_iter().map(|(.., id)| id).collect()
    }

    /// The step that belongs in the foreground now.
    fn next(&self, now: Duration) -> Option<StepId> {
        let waiting = self
            .steps
            .iter()
            .filter(|(id, section)| {
                section.state.running() && !section.closed && Some(**id) != self.foreground
            })
            .min_by_key(|(id, section)| (section.shown, **id))
            .map(|(id, _)| *id);
        let turn_is_over = |id: StepId| {
            self.steps[&id].shown.is_none_or(|since| now.saturating_sub(since) >= TURN)
        };
        match self.foreground {
            Some(current) if waiting.is_none() || !turn_is_over(current) => Some(current),
            _ => waiting,
        }
    }

    /// Brings a step to the foreground and writes what it has kept.
    fn open(&mut self, out: &mut String, id: StepId, now: Duration) {
        let Some(section) = self.steps.get_mut(&id) else { return };
        if self.foreground != Some(id) {
            if let Some(left) = self.foreground.replace(id) {
                let _ = writeln!(out, "#{left} ...");
            }
            if std::mem::replace(&mut self.begun, true) {
                out.push('\n');
            }
            let _ = writeln!(out, "#{id} {}", escape::text(&section.state.step.name));
            section.shown = Some(now);
        }
        let start = section.state.started.unwrap_or(now);
        for note in section.notes.drain(..) {
            let message = escape::text(&note.message);
            let _ = if note.warning {
                writeln!(out, "#{id} WARN: {message}")
            } else {
                writeln!(out, "#{id} {:.3} {message}", note.at.saturating_sub(start).as_secs_f64())
            };
        }
    }

    fn counter(&mut self, out: &mut String, id: StepId, now: Duration) {
        let Some(section) = self.steps.get_mut(&id) else { return };
        let Some(bytes) = section.state.bytes else { return };
        let due = section.counter.is_none_or(|(at, current)| {
            current != bytes.current && now.saturating_sub(at) >= COUNTER
        });
        if due {
            section.counter = Some((now, bytes.current));
            let current = Size(bytes.current);
            // The length of a pipe is unknown.
            if bytes.total == 0 {
                let _ = writeln!(out, "#{id} {current}");
                return;
            }
            let (total, percent) = (Size(bytes.total), bar::percent(bytes.current, bytes.total));
            let _ = writeln!(out, "#{id} {current} / {total} {percent}%");
        }
    }

    /// Says how a step in the foreground ended.
    fn close(&mut self, out: &mut String, id: StepId, now: Duration) {
        let Some(section) = self.steps.get_mut(&id) else { return };
        section.closed = true;
        self.foreground = None;
        let _ = match section.state.outcome().unwrap_or(&Outcome::Cancelled) {
            Outcome::Cached => writeln!(out, "#{id} CACHED"),
            Outcome::Skipped { reason } => writeln!(out, "#{id} SKIPPED {}", escape::text(reason)),
            Outcome::Failed { error } => writeln!(out, "#{id} ERROR {}", escape::text(error)),
            Outcome::Cancelled => writeln!(out, "#{id} CANCELED"),
            // `Done`, and whatever the library may add.
            _ => writeln!(out, "#{id} DONE {:.1}s", section.state.seconds(now)),
        };
    }
}

#[cfg(test)]
mod tests {
    use soci_layout::event::{Event, Outcome};

    use super::super::state::State;
    use super::super::testing::{finished, ms, show, step};
    use super::*;

    #[test]
    fn story() {
        let expected = "\
#1 [resolve] /tmp/oci
#1 DONE 0.0s

#2 [scan 1/3] linux/amd64 sha256:aa
#2 10.0MiB / 108.0MiB 9%
#2 1.200 a detail
#2 45.0MiB / 108.0MiB 41%
#2 ...

#3 [scan 2/3] linux/amd64 sha256:bb
#3 WARN: zTOC made anew
#3 CACHED

#4 [scan 3/3] linux/arm64 sha256:cc
#4 ...

#2 [scan 1/3] linux/amd64 sha256:aa
#2 DONE 1.9s

#4 [scan 3/3] linux/arm64 sha256:cc
#4 SKIPPED zstd\\u{1b} is not supported
";
        assert_eq!(show(&mut Plain::default()), expected);
    }

    #[test]
    fn running_steps_take_turns_and_an_error_ends_them() {
        let (mut plain, mut state, mut text) = (Plain::default(), State::new(false), String::new());
        for id in [1, 2] {
            state.fold(&Event::Planned(step(id, "scan")), ms(0));
            state.fold(&Event::Started(id), ms(0));
        }
        for at in [100, 4000, 5200, 10_400] {
            text += &plain.show(state.take(), ms(at), false);
        }
        let error = "layer is\ncorrupt".to_owned();
        state.fold(&finished(2, Outcome::Failed { error }), ms(11_000));
        text += &plain.show(state.take(), ms(11_000), true);
        let expected = "\
#1 scan
#1 ...

#2 scan
#2 ...

#1 scan
#1 ...

#2 scan
#2 ERROR layer is\\ncorrupt

#1 scan
#1 CANCELED
";
        assert_eq!(text, expected);
    }
}
