//! How the files of two layers differ, by their tables of contents.

use std::borrow::Cow;
use std::collections::HashMap;

use super::report::{Change, FileChange, FileDifference};
use crate::ztoc::compare::{Field, differences};
use crate::ztoc::paths::cleaned;
use crate::ztoc::toc::{FileRef, FileType, Toc};

/// Names that are kept as examples.
const MAX_EXAMPLES: usize = 200;

/// Compares by name. Of an archive that has a name twice the last entry counts, as it does for a file system.
pub(super) fn compare(a: &Toc, b: &Toc) -> FileDifference {
    let (before, after) = (by_name(a), by_name(b));
    let mut difference = FileDifference::default();
    let mut changes: Vec<(&[u8], Change)> = Vec::new();
    for (name, old) in &before {
        match after.get(name) {
            None => changes.push((name, Change::Removed)),
            Some(new) if same(old, new) => difference.unchanged += 1,
            Some(_) => changes.push((name, Change::Changed)),
        }
    }
    let added = after.keys().filter(|name| !before.contains_key(*name));
    changes.extend(added.map(|name| (&**name, Change::Added)));
    changes.sort_unstable_by_key(|(name, _)| *name);
    for (_, change) in &changes {
        match change {
            Change::Added => difference.added += 1,
            Change::Removed => difference.removed += 1,
            _ => difference.changed += 1,
        }
    }
    let examples = changes.iter().take(MAX_EXAMPLES).map(|(name, change)| FileChange {
        change: *change,
        name: String::from_utf8_lossy(name).into_owned(),
    });
    difference.examples = examples.collect();
    difference
}

fn by_name(toc: &Toc) -> HashMap<Cow<'_, [u8]>, FileRef<'_>> {
    toc.iter().map(|file| (cleaned(file.name()), file)).collect()
}

/// Whether two entries give the same file, wherever it lies in its archive and whatever its owner is called.
fn same(a: &FileRef<'_>, b: &FileRef<'_>) -> bool {
    let is_device = matches!(a.file_type(), FileType::CharDevice | FileType::BlockDevice);
    differences(&Field::READ, a, b).all(|field| field == Field::Name)
        && (!is_device || Field::Device.is_same(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ztoc::toc::Entry;

    fn toc(files: &[(&str, i64)]) -> Toc {
        let mut toc = Toc::new();
        for (name, size) in files {
            toc.push(&Entry {
                uncompressed_offset: 512,
                uncompressed_size: *size,
                ..Entry::plain(name.as_bytes(), FileType::Regular)
            })
            .expect("room");
        }
        toc
    }

    #[test]
    fn counted_by_clean_names() {
        let a = toc(&[("./a", 1), ("d/", 0), ("gone", 1), ("twice", 1), ("twice", 2)]);
        let b = toc(&[("a", 2), ("/d", 0), ("new", 1), ("twice", 2)]);
        let found = compare(&a, &b);
        assert_eq!((found.added, found.removed, found.changed, found.unchanged), (1, 1, 1, 2));
        let names: Vec<_> = found.examples.iter().map(|e| (e.change, e.name.as_str())).collect();
        let expected = [(Change::Changed, "a"), (Change::Removed, "gone"), (Change::Added, "new")];
        assert_eq!(names, expected);
    }
}
