//! Warnings without end: of each kind the first few are kept, the others counted.

use crate::limits::MAX_WARNINGS;

/// Warnings of one kind.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    kept: Vec<String>,
    more: usize,
}

impl Warnings {
    /// Takes one in; its text is made only when it is kept.
    pub(crate) fn add(&mut self, text: impl FnOnce() -> String) {
        if self.kept.len() < MAX_WARNINGS {
            self.kept.push(text());
        } else {
            self.more += 1;
        }
    }

    /// Those that were kept and, if there were others, one that tells how many.
    pub(crate) fn finish(mut self, others: impl FnOnce(usize) -> String) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(others(self.more));
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_it_does_not_keep() {
        for (count, expected) in [(0, 0), (MAX_WARNINGS, MAX_WARNINGS), (30, MAX_WARNINGS + 1)] {
            let mut warnings = Warnings::default();
            for number in 0..count {
                warnings.add(|| format!("no. {number}"));
            }
            let all = warnings.finish(|more| format!("{more} more"));
            assert_eq!(all.len(), expected);
            assert!(count < 30 || all[MAX_WARNINGS] == "10 more");
        }
    }
}
