//! Threads, as many as can be had: a system that grants no more (`ulimit -u`, a container's limit) makes the
//! work slower, not impossible.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

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

/// Calls `work` with each number below `count`, in order, on up to `threads` threads, this one among them. The
/// results come in the order in which the calls ended.
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
            results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        }
    };
    std::thread::scope(|scope| {
        for number in 1..threads.min(count) {
            // Those that are there do the work of the others.
            if spawn(scope, &format!("work-{number}"), loops).is_err() {
                break;
            }
        }
        loops();
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn each_number_once() {
        for (threads, count) in [(0, 0), (0, 3), (1, 3), (4, 3), (4, 1000)] {
            let mut done = each(threads, count, |number| number);
            done.sort_unstable();
            assert_eq!(done, (0..count).collect::<Vec<_>>());
        }
    }
}
