//! The list of findings: those that matter to the runtime, and not without bounds.

use super::report::{Finding, Kind, Place, Target};

/// Findings that are kept; the others are counted.
const MAX_FINDINGS: usize = 1000;

/// The list.
#[derive(Debug)]
pub(super) struct Findings {
    target: Option<Target>,
    list: Vec<Finding>,
    more: u64,
}

impl Findings {
    pub(super) fn new(target: Option<Target>) -> Self {
        Self { target, list: Vec::new(), more: 0 }
    }

    pub(super) fn add(
        &mut self,
        kind: Kind,
        place: Place,
        sentence: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if !kind.matters(self.target) {
            return;
        }
        if self.list.len() >= MAX_FINDINGS {
            self.more += 1;
            return;
        }
        let (sentence, remedy) = (sentence.into(), remedy.into());
        self.list.push(Finding { kind, place, sentence, remedy });
    }

    pub(super) fn target(&self) -> Option<Target> {
        self.target
    }

    pub(super) fn finish(self) -> (Vec<Finding>, u64) {
        (self.list, self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_findings_are_counted_and_others_left_to_other_runtimes() {
        let mut findings = Findings::new(Some(Target::Containerd));
        findings.add(Kind::SmallImage, Place::default(), "", "");
        for _ in 0..MAX_FINDINGS + 7 {
            findings.add(Kind::NoName, Place::default(), "", "");
        }
        let (list, more) = findings.finish();
        assert_eq!((list.len(), more), (MAX_FINDINGS, 7));
        assert!(list.iter().all(|finding| finding.kind == Kind::NoName));
    }
}
