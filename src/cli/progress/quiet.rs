//! No progress; only warnings, as they come.

use std::time::Duration;

use super::Display;
use super::state::Changes;
use crate::cli::show::message;

/// The display of those who do not want one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quiet;

impl Display for Quiet {
    fn show(&mut self, changes: Changes, _now: Duration, _last: bool) -> String {
        let warnings = changes.notes.iter().filter(|note| note.warning);
        warnings.map(|note| message::warning(&note.message)).collect()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn story() {
        let text = anstream::adapter::strip_str(&super::super::testing::show(&mut super::Quiet))
            .to_string();
        assert_eq!(text, "warning: zTOC made anew\n");
    }
}
