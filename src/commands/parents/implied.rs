//! Which directories a zTOC implies without an entry.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::num::NonZeroUsize;

use super::watched::{Budget, Watched};
use super::{Stack, ZtocKey};
use crate::error::Error;
use crate::limits::{MAX_PATH, MAX_WATCHED_SIZE};
use crate::progress::steps::Steps;
use crate::threads::{self, each};
use crate::ztoc::Ztoc;
use crate::ztoc::paths::{cleaned, is_name, split};
use crate::ztoc::toc::{FileType, Toc};

/// Bytes that a path takes in a set, besides its own.
const PATH_COST: usize = 64;

/// Reads the zTOCs of all layers that have one below them, several at a time, for the directories that they
/// imply. `read` gives a zTOC, or nothing when it is wrong, which is for others to say.
///
/// # Errors
/// [`Error::Cancelled`], and those of `read`.
pub(in crate::commands) fn watch(
    stacks: &[Stack],
    read: &(dyn Fn(ZtocKey) -> Result<Option<Ztoc>, Error> + Sync),
    threads: Option<NonZeroUsize>,
    steps: &Steps<'_>,
) -> Result<Watched, Error> {
    let above = stacks.iter().flat_map(|stack| stack.layers.iter().skip(1));
    let ztocs: BTreeSet<ZtocKey> = above.filter_map(|layer| layer.ztoc).collect();
    let ztocs: Vec<ZtocKey> = ztocs.into_iter().collect();
    let budget = Budget::new(MAX_WATCHED_SIZE);
    let read = each(threads::wanted(threads), ztocs.len(), |number| {
        if steps.cancelled() {
            return Err(Error::Cancelled);
        }
        let ztoc = read(ztocs[number])?;
        Ok((ztocs[number], ztoc.map(|ztoc| implied(&ztoc.toc, &budget)).unwrap_or_default()))
    });
    let found = read.into_iter().collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(Watched::new(found, budget))
}

/// Whether a table of contents implies any directory.
pub(in crate::commands) fn implies(toc: &Toc) -> bool {
    !implied(toc, &Budget::new(MAX_WATCHED_SIZE)).is_empty()
}

/// The directories that names lead through and that are no names themselves, without the root.
fn implied(toc: &Toc, budget: &Budget) -> BTreeSet<Vec<u8>> {
    let directories = toc.iter().filter(|file| file.file_type() == FileType::Directory);
    let own: HashSet<Cow<'_, [u8]>> = directories.map(|file| cleaned(file.name())).collect();
    let mut found = BTreeSet::new();
    let mut last: Option<&[u8]> = None;
    // No runtime could unpack a longer name.
    for file in toc.iter().filter(|file| file.name().len() <= MAX_PATH) {
        let (spelled, base) = split(file.name());
        let plain = is_name(base);
        // Most entries lie beside the one before.
        if plain && last == Some(spelled) {
            continue;
        }
        last = plain.then_some(spelled);
        let name = cleaned(file.name());
        let mut path: &[u8] = &name;
        while let Some(at) = path.iter().rposition(|byte| *byte == b'/') {
            path = &path[..at];
            // What is above one that has an entry, or that was found, has had its turn or will have it.
            if own.contains(path) || found.contains(path) {
                break;
            }
            if !budget.take(path.len() + PATH_COST) {
                return found;
            }
            found.insert(path.to_vec());
        }
    }
    if !found.is_empty() {
        // A name below one that is no directory. Nothing is made up for it.
        for file in toc.iter().filter(|file| file.file_type() != FileType::Directory) {
            found.remove(&*cleaned(file.name()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ztoc::toc::Entry;

    /// Names; those that end with a slash are directories.
    fn table(names: &str) -> Toc {
        let mut toc = Toc::new();
        for name in names.split_whitespace() {
            let directory = name.ends_with('/');
            let file_type = if directory { FileType::Directory } else { FileType::Regular };
            toc.push(&Entry { mode: 0o755, ..Entry::plain(name.as_bytes(), file_type) })
                .expect("few");
        }
        toc
    }

    #[test]
    fn directories_without_an_entry() {
        for (names, expected) in [
            ("", ""),
            ("a b", ""),
            ("a/ a/b", ""),
            ("a/b", "a"),
            ("a/b a/c a/d/", "a"),
            ("a/b a/", ""),
            ("a/b/c/d", "a a/b a/b/c"),
            ("a/b/ a/b/c/d x", "a a/b/c"),
            ("a/ a/b/c/d", "a/b a/b/c"),
            ("a/b/c a/b/", "a"),
            ("./a/b", "a"),
            ("/a/b", "a"),
            ("./a/ a/b", ""),
            ("/a/ ./a/b", ""),
            (".//a/./ a//b", ""),
            ("a//b/./c", "a a/b"),
            ("x/../a/b", "a"),
            ("../a/b", "a"),
            ("a/b/x a/b/.. a/b/../c/d", "a/b a/c"),
            ("a/b/../c", "a"),
            // Whiteouts lie in directories, too.
            ("a/.wh.b", "a"),
            ("a/.wh..wh..opq", "a"),
            // A file or link in the place of the directory.
            ("a a/b", ""),
            ("a/b a", ""),
            ("./ a", ""),
        ] {
            let found = implied(&table(names), &Budget::new(1 << 20));
            let found: Vec<_> = found.iter().map(|path| path.escape_ascii().to_string()).collect();
            let mut sorted: Vec<_> = expected.split_whitespace().collect();
            sorted.sort_unstable();
            assert_eq!(found, sorted, "{names}");
        }
    }

    #[test]
    fn a_deep_name_cannot_fill_the_memory() {
        let deep = |n: usize| format!("{n}/{}x", "a/".repeat(1000));
        let names = (0..500).map(deep).collect::<Vec<_>>().join(" ");
        let budget = Budget::new(1 << 20);
        let found = implied(&table(&names), &budget);
        assert!(budget.is_spent());
        assert!(found.iter().map(Vec::len).sum::<usize>() <= 1 << 20);
        // Nor can one that nothing could unpack.
        let budget = Budget::new(1 << 20);
        assert_eq!(implied(&table(&"a/".repeat(3000)), &budget).len(), 0);
        assert!(!budget.is_spent());
    }
}
