//! Numbers steps and tells the observer when they begin and how they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::error::Error;
use crate::layer::ScanObserver;
use crate::oci::digest::Digest;
use crate::progress::event::{Event, Observer, Outcome, Step};
use crate::threads::Slots;

/// The steps of one run.
pub(crate) struct Steps<'a> {
    observer: &'a dyn Observer,
    next: AtomicU32,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(observer: &'a dyn Observer) -> Self {
        Self { observer, next: AtomicU32::new(1) }
    }

    /// Announces a step. `content` is everything besides the inputs that decides its result.
    pub(crate) fn announce(&self, name: String, content: &str, inputs: &[Digest]) -> Arc<Step> {
        let mut text = content.to_owned();
        for input in inputs {
            text.push('\n');
            text.push_str(&input.to_string());
        }
        let step = Arc::new(Step {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            digest: Digest::of(text.as_bytes()),
            inputs: inputs.to_vec(),
            name,
        });
        self.observer.event(&Event::Planned(Arc::clone(&step)));
        step
    }

    /// Runs a step's work between its beginning and its end.
    pub(crate) fn run<T>(
        &self,
        step: &Step,
        work: impl FnOnce() -> Result<(T, Outcome), Error>,
    ) -> Result<T, Error> {
        self.observer.event(&Event::Started(step.id));
        let worked = if self.cancelled() { Err(Error::Cancelled) } else { work() };
        let (result, outcome) = match worked {
            Ok((value, outcome)) => (Ok(value), outcome),
            Err(Error::Cancelled) => (Err(Error::Cancelled), Outcome::Cancelled),
            Err(error) => {
                let outcome = Outcome::Failed { error: error.to_string() };
                (Err(error), outcome)
            }
        };
        self.observer.event(&Event::Finished { step: step.id, outcome });
        result
    }

    /// Whether the observer wants the run to end.
    pub(crate) fn cancelled(&self) -> bool {
        self.observer.cancelled()
    }

    pub(crate) fn progress(&self, step: &Step, current: u64, total: u64) {
        self.observer.event(&Event::Progress { step: step.id, current, total });
    }

    pub(crate) fn log(&self, step: &Step, message: String) {
        self.observer.event(&Event::Log { step: step.id, message });
    }

    pub(crate) fn warn(&self, step: &Step, message: &str) {
        self.observer.event(&Event::Warning { step: step.id, message: message.to_owned() });
    }
}

/// Tells a step how far the work on a blob has come, and the work whether to give up.
#[derive(Clone, Copy)]
pub(crate) struct BlobProgress<'a> {
    pub(crate) steps: &'a Steps<'a>,
    pub(crate) step: &'a Step,
    /// Bytes of the blob.
    pub(crate) size: u64,
    /// Whether other work failed, so that this is in vain.
    pub(crate) failed: Option<&'a AtomicBool>,
    /// The threads that all layers share, if they do.
    pub(crate) slots: Option<&'a Slots>,
}

impl ScanObserver for BlobProgress<'_> {
    fn progress(&self, bytes: u64) {
        self.steps.progress(self.step, bytes, self.size);
    }

    fn cancelled(&self) -> bool {
        self.failed.is_some_and(|failed| failed.load(Ordering::Relaxed)) || self.steps.cancelled()
    }

    fn threads(&self) -> usize {
        self.slots.map_or(1, Slots::share)
    }
}

/// Stops work that has no steps.
///
/// # Errors
/// [`Error::Cancelled`] when the observer wants that.
pub(crate) fn proceed(observer: &dyn Observer) -> Result<(), Error> {
    if observer.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}
