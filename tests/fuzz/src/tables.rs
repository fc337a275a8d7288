//! Comparing tables of contents field by field, through what the library shows of them.

use soci_layout::ztoc::toc::Toc;

/// Panics where two tables differ.
pub(crate) fn assert_same(left: &Toc, right: &Toc, what: &str) {
    assert_eq!(left.len(), right.len(), "{what}: number of entries");
    for (index, (a, b)) in left.iter().zip(right.iter()).enumerate() {
        let numbers = |f: &soci_layout::ztoc::toc::FileRef<'_>| {
            (
                (f.uncompressed_offset(), f.uncompressed_size(), f.mode(), f.uid(), f.gid()),
                (f.file_type(), f.mod_time(), f.devmajor(), f.devminor()),
            )
        };
        assert_eq!(numbers(&a), numbers(&b), "{what}: entry {index}");
        assert_eq!(
            [a.name(), a.linkname(), a.uname(), a.gname()],
            [b.name(), b.linkname(), b.uname(), b.gname()],
            "{what}: entry {index}"
        );
        assert!(a.pax().eq(b.pax()), "{what}: PAX records of entry {index}");
    }
}
