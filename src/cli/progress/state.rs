//! Folds events into the latest state of each step. The latest wins: a reader sees where things
//! are, not how they came there, so a display may look as rarely as it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use soci_layout::event::{Event, Outcome, Step, StepId};

/// A step and where it is. Times count from the start of the run.
#[derive(Clone, Debug)]
pub(super) struct StepState {
    pub(super) step: Arc<Step>,
    pub(super) started: Option<Duration>,
    pub(super) finished: Option<(Duration, Outcome)>,
    pub(super) bytes: Option<Bytes>,
}

/// Bytes worked through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes {
    pub(super) current: u64,
    pub(super) total: u64,
    pub(super) at: Duration,
}

impl StepState {
    /// Whether it has begun and not ended.
    pub(super) fn running(&self) -> bool {
        self.started.is_some() && self.finished.is_none()
    }

    /// How long it took, or takes so far.
    pub(super) fn seconds(&self, now: Duration) -> f64 {
        let end = self.finished.as_ref().map_or(now, |(at, _)| *at);
        end.saturating_sub(self.started.unwrap_or(end)).as_secs_f64()
    }

    /// How it ended.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.finished.as_ref().map(|(_, outcome)| outcome)
    }
}

/// A line of text that belongs to a step.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) step: StepId,
    pub(super) at: Duration,
    pub(super) warning: bool,
    pub(super) message: String,
}

/// What changed since the last look.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// Steps that changed, by number.
    pub(super) steps: Vec<StepState>,
    /// New notes, oldest first. Never thinned out, unlike counters: there are a handful per step.
    pub(super) notes: Vec<Note>,
}

/// The latest state of all steps.
#[derive(Debug, Default)]
pub(super) struct State {
    steps: BTreeMap<StepId, StepState>,
    changed: BTreeSet<StepId>,
    notes: Vec<Note>,
    logs: bool,
    /// All warnings so far.
    pub(super) warned: Vec<String>,
    /// Whether the run is over.
    pub(super) stopped: bool,
}

impl State {
    /// A state without steps, which keeps logs or drops them.
    pub(super) fn new(logs: bool) -> Self {
        Self { logs, ..Self::default() }
    }

    /// Takes one event in.
    pub(super) fn fold(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Planned(step) => {
                let step = Arc::clone(step);
                self.changed.insert(step.id);
                let state = StepState { started: None, finished: None, bytes: None, step };
                self.steps.insert(state.step.id, state);
            }
            Event::Started(id) => self.change(*id, |step| step.started = Some(now)),
            Event::Progress { step, current, total } => self.change(*step, |step| {
                step.bytes = Some(Bytes { current: *current, total: *total, at: now });
            }),
            Event::Finished { step, outcome } => self.change(*step, |step| {
                step.started.get_or_insert(now);
                step.finished = Some((now, outcome.clone()));
            }),
            Event::Log { step, message } if self.logs => self.note(*step, now, false, message),
            Event::Warning { step, message } => {
                self.warned.push(message.clone());
                self.note(*step, now, true, message);
            }
            // Logs that were not asked for, and what the library may add.
            _ => {}
        }
    }

    fn change(&mut self, id: StepId, change: impl FnOnce(&mut StepState)) {
        if let Some(step) = self.steps.get_mut(&id) {
            change(step);
            self.changed.insert(id);
        }
    }

    fn note(&mut self, step: StepId, at: Duration, warning: bool, message: &str) {
        self.notes.push(Note { step, at, warning, message: message.to_owned() });
    }

    /// What changed since the last call.
    pub(super) fn take(&mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed);
        Changes {
            steps: changed.iter().filter_map(|id| self.steps.get(id)).cloned().collect(),
            notes: std::mem::take(&mut self.notes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{finished, ms, step};
    use super::*;

    #[test]
    fn the_latest_wins_and_is_told_once() {
        let mut state = State::new(false);
        state.fold(&Event::Planned(step(1, "one")), ms(0));
        state.fold(&Event::Planned(step(2, "two")), ms(0));
        assert_eq!(state.take().steps.len(), 2);
        state.fold(&Event::Started(1), ms(10));
        for current in 0..1000 {
            state.fold(&Event::Progress { step: 1, current, total: 1000 }, ms(20 + current));
        }
        let changes = state.take();
        let [one] = changes.steps.as_slice() else { panic!("{changes:?}") };
        assert!(one.running());
        assert_eq!(one.bytes.map(|bytes| bytes.current), Some(999));
        assert!(state.take().steps.is_empty());
        state.fold(&finished(1, Outcome::Cached), ms(2010));
        let one = &state.take().steps[0];
        assert_eq!(one.outcome(), Some(&Outcome::Cached));
        assert!((one.seconds(ms(9000)) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn logs_are_kept_on_request_and_unknown_steps_ignored() {
        for logs in [false, true] {
            let mut state = State::new(logs);
            state.fold(&Event::Log { step: 1, message: "detail".into() }, ms(0));
            state.fold(&Event::Warning { step: 1, message: "careful".into() }, ms(0));
            state.fold(&Event::Started(7), ms(0));
            let changes = state.take();
            assert_eq!(changes.notes.len(), 1 + usize::from(logs));
            assert!(changes.steps.is_empty());
            assert_eq!(state.warned, ["careful"]);
        }
    }

    #[test]
    fn being_told_to_stop_is_no_failure() {
        let mut state = State::new(false);
        state.fold(&Event::Planned(step(1, "one")), ms(0));
        state.fold(&finished(1, Outcome::Cancelled), ms(0));
        assert_eq!(state.take().steps[0].outcome(), Some(&Outcome::Cancelled));
    }
}
