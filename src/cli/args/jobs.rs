//! `--jobs`, which several commands have.

use std::num::NonZeroUsize;

/// Most threads that may be asked for: far above any machine that indexes images, far below where
/// starting them does harm.
const MAX_JOBS: usize = 1024;

/// Reads its value.
pub(super) fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(jobs) if jobs.get() <= MAX_JOBS => Ok(jobs),
        _ => Err(format!("expected a number from 1 to {MAX_JOBS}")),
    }
}
