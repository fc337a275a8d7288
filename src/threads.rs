//! Threads, as many as can be had: a system that grants no more (`ulimit -u`, a container's limit) makes the
//! work slower, not impossible.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// As many threads as are asked for; without a wish, one per processor.
pub(crate) fn wanted(asked: Option<NonZeroUsize>) -> usize {
    asked.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
}

/// The threads that a run may use, and how many layers are in work.
#[derive(Debug)]
pub(crate) struct Slots {
    threads: usize,
    running: AtomicUsize,
}

impl Slots {
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads, running: AtomicUsize::new(0) }
    }

    /// Does the work on a layer.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        self.running.fetch_add(1, Ordering::Relaxed);
        let result = work();
        self.running.fetch_sub(1, Ordering::Relaxed);
        result
    }

    /// Threads for each layer in work, at least one.
    pub(crate) fn share(&self) -> usize {
        (self.threads / self.running.load(Ordering::Relaxed).max(1)).max(1)
    }
}

/// Starts a thread that ends before the scope does.
///
/// # Errors
/// When the system grants none; `Scope::spawn` would panic.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    Builder::new().name(name.to_owned()).spawn_scoped(scope, work)
}

/// Calls `work` with each number below `count`, in order, on up to `threads` threads. The results come in that order,
/// too.
pub(crate) fn each<T: Send>(
    threads: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    let loops = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            let result = work(number);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
        }
    };
    match pool(threads.min(count)) {
        Some(pool) => drop(pool.broadcast(|_| loops())),
        None => loops(),
    }
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// A pool of so many threads, or of the most that can be had; none for less than two.
fn pool(mut threads: usize) -> Option<rayon::ThreadPool> {
    while threads > 1 {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        if let Ok(pool) = builder.thread_name(|number| format!("work-{number}")).build() {
            return Some(pool);
        }
        threads /= 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn each_number_once() {
        for (threads, count) in [(0, 0), (0, 3), (1, 3), (4, 3), (4, 1000)] {
            let done = each(threads, count, |number| number);
            assert_eq!(done, (0..count).collect::<Vec<_>>());
        }
    }
}
