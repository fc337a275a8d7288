//! The running display: chosen, started, fed by events, ended.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use soci_layout::event::{Event, Observer};

use super::super::{args, signals};
use super::state::{Changes, State};
use super::{plain, rawjson, tty};
use crate::cli::show::{message, printer::Printer};

/// How often a display is refreshed.
const INTERVAL: Duration = Duration::from_millis(100);

/// A display that was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Steps with bars, redrawn in place.
    Tty,
    /// Lines in `BuildKit`'s plain style.
    Plain,
    /// Lines of JSON, see `docs/progress.md`.
    RawJson,
    /// Warnings only.
    Quiet,
}

impl Mode {
    /// Decides what `asked` means here. On a terminal that cannot be drawn on, `tty` is an error, as it
    /// is in `BuildKit`, which shows it when asked.
    pub(crate) fn choose(
        asked: args::Progress,
        drawable: bool,
        ci: bool,
    ) -> Result<Self, &'static str> {
        match asked {
            args::Progress::Tty if !drawable => {
                Err("standard error is not a terminal that can be drawn on; try --progress plain")
            }
            args::Progress::Tty => Ok(Self::Tty),
            args::Progress::Auto if drawable && !ci => Ok(Self::Tty),
            args::Progress::Auto | args::Progress::Plain => Ok(Self::Plain),
            args::Progress::Rawjson => Ok(Self::RawJson),
            args::Progress::Quiet => Ok(Self::Quiet),
        }
    }
}

/// Whether a build service runs this program: they all set `CI`, and their logs keep every redraw.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false" && ci != "0")
}

/// Shows what is new.
pub(super) trait Display: Send {
    /// Takes what changed up to `now` (time since the start) and gives the text to write, if any. The
    /// `last` call ends the display.
    fn show(&mut self, changes: Changes, now: Duration, last: bool) -> String;
}

/// The display of those who want no progress: warnings, as they come.
struct Quiet;

impl Display for Quiet {
    fn show(&mut self, changes: Changes, _now: Duration, _last: bool) -> String {
        let warnings = changes.notes.iter().filter(|note| note.warning);
        warnings.map(|note| message::warning(&note.message)).collect()
    }
}

/// A running display; the [`Observer`] of a run.
#[derive(Debug)]
pub(crate) struct Progress {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    start: Instant,
    state: Mutex<State>,
    stop: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of a worker is reported elsewhere; the state is whole after each event.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// Starts the display; `logs` are shown or dropped.
    pub(crate) fn start(mode: Mode, logs: bool, printer: Printer) -> Self {
        let display: Box<dyn Display> = match mode {
            Mode::Tty => Box::new(tty::Tty::new(printer)),
            Mode::Plain => Box::<plain::Plain>::default(),
            Mode::RawJson => Box::new(rawjson::RawJson::new(SystemTime::now())),
            Mode::Quiet => Box::new(Quiet),
        };
        Self::with(display, logs, printer)
    }

    fn with(display: Box<dyn Display>, logs: bool, printer: Printer) -> Self {
        let shared = Arc::new(Shared {
            start: Instant::now(),
            state: Mutex::new(State::new(logs)),
            stop: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || run(&theirs, display, printer));
        // Without a thread there is no progress to be seen, which is no reason not to work.
        Self { shared, thread: thread.ok() }
    }

    /// Ends the display and gives the warnings that it has shown.
    pub(crate) fn finish(mut self) -> Vec<String> {
        // Without a thread none was shown.
        let shown = self.thread.is_some();
        self.stop();
        let warned = std::mem::take(&mut self.shared.lock().warned);
        if shown { warned } else { Vec::new() }
    }

    fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.lock().stopped = true;
        self.shared.stop.notify_all();
        let _ = thread.join();
    }
}

impl Drop for Progress {
    /// Also a panic must not leave half a screen behind.
    fn drop(&mut self) {
        self.stop();
    }
}

impl Observer for Progress {
    fn event(&self, event: &Event) {
        let mut state = self.shared.lock();
        // Taken under the lock, so that times never run backwards.
        let now = self.shared.start.elapsed();
        state.fold(event, now);
    }

    fn cancelled(&self) -> bool {
        signals::caught().is_some()
    }
}

fn run(shared: &Shared, mut display: Box<dyn Display>, printer: Printer) {
    loop {
        let state = shared.lock();
        let waited = shared.stop.wait_timeout_while(state, INTERVAL, |state| !state.stopped);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (changes, last) = (state.take(), state.stopped);
        drop(state);
        printer.err(&display.show(changes, shared.start.elapsed(), last));
        if last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn displays_are_chosen_by_the_surroundings() {
        use args::Progress::{Auto, Plain, Quiet, Rawjson, Tty};
        for (asked, drawable, ci, mode) in [
            (Auto, true, false, Ok(Mode::Tty)),
            (Auto, true, true, Ok(Mode::Plain)),
            (Auto, false, false, Ok(Mode::Plain)),
            (Tty, true, true, Ok(Mode::Tty)),
            (Plain, true, false, Ok(Mode::Plain)),
            (Rawjson, true, false, Ok(Mode::RawJson)),
            (Quiet, true, false, Ok(Mode::Quiet)),
        ] {
            assert_eq!(Mode::choose(asked, drawable, ci), mode);
        }
        assert!(Mode::choose(Tty, false, false).is_err());
    }

    #[test]
    fn story_told_quietly() {
        let text = anstream::adapter::strip_str(&testing::show(&mut Quiet)).to_string();
        assert_eq!(text, "warning: zTOC made anew\n");
    }

    /// A display that counts what it is shown.
    struct Counter(Arc<Mutex<(usize, usize)>>);

    impl Display for Counter {
        fn show(&mut self, changes: Changes, _now: Duration, last: bool) -> String {
            let mut counts = self.0.lock().expect("no panic");
            counts.0 += changes.steps.len();
            counts.1 += usize::from(last);
            String::new()
        }
    }

    #[test]
    fn the_end_is_shown_once_whoever_ends_it() {
        for drop_it in [false, true] {
            let counts = Arc::default();
            let display = Box::new(Counter(Arc::clone(&counts)));
            let progress = Progress::with(display, false, Printer::new());
            progress.event(&Event::Planned(testing::step(1, "[resolve] x")));
            progress.event(&Event::Warning { step: 1, message: "careful".into() });
            if drop_it {
                drop(progress);
            } else {
                assert_eq!(progress.finish(), ["careful"]);
            }
            assert_eq!(*counts.lock().expect("no panic"), (1, 1));
        }
    }
}
