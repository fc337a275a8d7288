//! Options whose value is one of a few words, each with a line of help.

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
