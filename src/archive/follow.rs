//! How far a file is written, for the scan that reads it meanwhile.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes that are in the file, and whether more will come.
#[derive(Debug, Default)]
pub(super) struct Written {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    bytes: u64,
    ended: bool,
    complete: bool,
}

impl Written {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until more than `offset` bytes are in the file, or all of them. `None` when the file was
    /// given up.
    pub(super) fn beyond(&self, offset: u64) -> Option<u64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |state: &mut State| state.bytes <= offset && !state.ended;
        let state = self.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        (state.bytes > offset || state.complete).then_some(state.bytes)
    }
}

/// The writer's end. Dropping it gives the file up.
#[derive(Debug)]
pub(super) struct Writing(pub(super) Arc<Written>);

impl Writing {
    /// So many bytes more are in the file.
    pub(super) fn advance(&self, bytes: u64) {
        self.0.change(|state| state.bytes += bytes);
    }

    /// All is written.
    pub(super) fn complete(self) {
        self.0.change(|state| state.complete = true);
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.change(|state| state.ended = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_wait_for_bytes_and_learn_of_the_end() {
        for complete in [true, false] {
            let written = Arc::<Written>::default();
            let writing = Writing(Arc::clone(&written));
            std::thread::scope(|scope| {
                let reader =
                    scope.spawn(|| [written.beyond(0), written.beyond(3), written.beyond(5)]);
                writing.advance(3);
                writing.advance(2);
                if complete {
                    writing.complete();
                } else {
                    drop(writing);
                }
                let [first, second, end] = reader.join().expect("no panic");
                assert!(first.is_some_and(|bytes| bytes >= 3), "{first:?}");
                assert_eq!((second, end), (Some(5), complete.then_some(5)));
            });
        }
    }
}
