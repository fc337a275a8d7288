//! How values are read that several commands take.

use std::num::NonZeroUsize;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// A word, its help, and what it means to the library.
pub(super) type Choice<T> = (&'static str, &'static str, T);

/// Reads one of the words of a table.
pub(super) fn choice<T: Clone + Send + Sync>(
    table: &'static [Choice<T>],
) -> impl TypedValueParser<Value = T> {
    let words = table.iter().map(|(word, help, _)| PossibleValue::new(*word).help(*help));
    PossibleValuesParser::new(words).map(|word| {
        let known = table.iter().find(|(known, ..)| *known == word);
        known.expect("the parser took it").2.clone()
    })
}

/// Most threads that may be asked for: far above any machine that indexes images, far below where
/// starting them does harm.
const MAX_JOBS: usize = 1024;

/// Reads the value of `--jobs`.
pub(super) fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(jobs) if jobs.get() <= MAX_JOBS => Ok(jobs),
        _ => Err(format!("expected a number from 1 to {MAX_JOBS}")),
    }
}
