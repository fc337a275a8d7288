//! Tells the directories whose attributes a lazy layer hides.

use std::collections::BTreeMap;

use super::Findings;
use super::finding::Consequence::{Misleading, WrongBytes};
use crate::commands::parents::{Attributes, Hidden, Seen, Stack, Watched, hidden};
use crate::limits::MAX_WATCHED_SIZE;
use crate::oci::digest::Digest;

pub(super) fn check(
    stacks: &[Stack],
    watched: &Watched,
    seen: &BTreeMap<Digest, Seen>,
    findings: &mut Findings,
) {
    let Some(found) = hidden(stacks, watched, seen, &|(ztoc, _)| !findings.has_eager(ztoc)) else {
        let place = "directories that lazy layers have no entry for";
        let expected = format!("what can be held in {MAX_WATCHED_SIZE} bytes");
        let found = "more: whether they hide a lower layer's attributes was not checked";
        findings.add(Misleading, None, place, expected, found);
        return;
    };
    for Hidden { image, layer, path, lower, attributes } in found {
        let place = format!("directory {path}, which it has no entry for, in image {image}");
        let expected = format!("{attributes}, as in layer {lower}");
        let found = format!("{}, which the reader makes up", Attributes::MADE_UP);
        findings.add(WrongBytes, layer, place, expected, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::parents::{Budget, StackLayer};

    #[test]
    fn too_much_is_told_and_nothing_else() {
        let digest = Digest::of(b"");
        let layer = || StackLayer { digest, size: 0, ztoc: Some((digest, 0)) };
        let stacks = [Stack { image: digest, layers: vec![layer(), layer()] }];
        let told = |limit: usize| {
            let paths = [b"a".to_vec(), b"b".to_vec()].into_iter().collect();
            let watched = Watched::new(BTreeMap::from([((digest, 0), paths)]), Budget::new(limit));
            let mut findings = Findings::default();
            check(&stacks, &watched, &BTreeMap::new(), &mut findings);
            findings.finish()
        };
        assert_eq!(told(1 << 20), []);
        let [only] = told(200).try_into().expect("one finding");
        assert_eq!(only.consequence, Misleading);
        assert!(only.found.contains("not checked"), "{}", only.found);
    }
}
