//! The committed seeds hold, and the dictionaries are read whole.

use soci_layout_fuzz::{TARGETS, Target};

#[test]
fn dictionaries_are_read_whole() {
    let dictionary = "# no word\n\"a\\x00\\\"\\\\b\"\n";
    let target = Target { dictionary, ..TARGETS[0] };
    assert_eq!(target.words(), [b"a\0\"\\b"]);
    for target in TARGETS {
        let lines = target.dictionary.lines().filter(|line| line.starts_with('"')).count();
        assert_eq!(target.words().len(), lines, "{}", target.name);
        assert!(lines > 5, "{}", target.name);
    }
}

#[test]
fn seeds_hold() {
    for target in TARGETS {
        let seeds = target.seeds().expect("readable");
        assert!(seeds.len() > 3, "{}", target.name);
        for (_, seed) in seeds {
            (target.check)(&seed);
        }
    }
}
