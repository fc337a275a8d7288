//! What the tests of the displays share: events with a clock of their own.

use std::sync::Arc;
use std::time::Duration;

use soci_layout::Digest;
use soci_layout::event::{Event, Outcome, Step, StepId};

use super::Display;
use super::state::State;

/// Milliseconds since the start.
pub(super) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A step whose digest is that of its name.
pub(super) fn step(id: StepId, name: &str) -> Arc<Step> {
    let digest = Digest::of(name.as_bytes());
    Arc::new(Step { id, digest, inputs: Vec::new(), name: name.to_owned() })
}

pub(super) fn finished(step: StepId, outcome: Outcome) -> Event {
    Event::Finished { step, outcome }
}

/// A run of four steps: a scan with progress, a log and a warning beside a cached one, a skipped layer.
/// Two scans run at once. Each item is a tick of the display: its time and the events before it.
pub(super) fn story() -> Vec<(u64, Vec<Event>)> {
    let progress = |step, mib: u64| Event::Progress { step, current: mib << 20, total: 108 << 20 };
    let skipped = Outcome::Skipped { reason: "zstd\u{1b} is not supported".to_owned() };
    vec![
        (
            100,
            vec![
                Event::Planned(step(1, "[resolve] /tmp/oci")),
                Event::Started(1),
                finished(1, Outcome::Done),
                Event::Planned(step(2, "[scan 1/3] linux/amd64 sha256:aa")),
                Event::Planned(step(3, "[scan 2/3] linux/amd64 sha256:bb")),
                Event::Planned(step(4, "[scan 3/3] linux/arm64 sha256:cc")),
                Event::Started(2),
                Event::Started(3),
            ],
        ),
        (200, vec![progress(2, 1), progress(2, 2), progress(3, 1), progress(2, 10)]),
        (900, vec![progress(2, 20)]),
        (
            1300,
            vec![
                progress(2, 45),
                Event::Log { step: 2, message: "a detail".to_owned() },
                Event::Warning { step: 3, message: "zTOC made anew".to_owned() },
            ],
        ),
        (1400, vec![finished(3, Outcome::Cached), Event::Started(4)]),
        (2000, vec![finished(2, Outcome::Done)]),
        (2100, vec![finished(4, skipped)]),
    ]
}

/// What a display shows of [`story`], tick by tick.
pub(super) fn show(display: &mut dyn Display) -> String {
    let mut state = State::new(true);
    let mut text = String::new();
    let story = story();
    let end = story.len() - 1;
    for (position, (at, events)) in story.iter().enumerate() {
        for event in events {
            state.fold(event, ms(*at));
        }
        text += &display.show(state.take(), ms(*at), position == end);
    }
    text
}
