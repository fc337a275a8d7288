//! Names in a layer: how they are split and cleaned, and the two kinds of names that mean something else.
//!
//! Names are bytes. `..` takes a name away whatever it stands for, as Go's `filepath.Clean` has it and with it
//! the reference's reader (`cleanEntryPath`).

use std::borrow::Cow;

/// Beginning of a PAX record's key that gives an extended attribute.
pub(crate) const XATTR: &[u8] = b"SCHILY.xattr.";
/// Beginning of the name of an entry that removes another name (OCI image specification, `layer.md`).
const WHITEOUT: &[u8] = b".wh.";
/// Name of an entry that hides what lower layers have in its directory.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// What an entry removes instead of being something itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whiteout<'a> {
    /// All that lower layers have in its directory.
    Opaque,
    /// This name beside it, which may be none.
    Of(&'a [u8]),
}

/// What an entry with this last component removes.
pub(crate) fn whiteout(base: &[u8]) -> Option<Whiteout<'_>> {
    let hidden = base.strip_prefix(WHITEOUT)?;
    Some(if base == OPAQUE { Whiteout::Opaque } else { Whiteout::Of(hidden) })
}

/// The directory as it is spelled in front of the last component, and that component without slashes behind it.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let start = path[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    (&path[..start], &path[start..end])
}

/// Whether a component is a name, and no way to a directory.
pub(crate) fn is_name(component: &[u8]) -> bool {
    !matches!(component, b"" | b"." | b"..")
}

/// The components of a path, without empty ones and `.`.
pub(crate) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."))
}

/// The components of a path that is cleaned.
pub(crate) fn clean(path: &[u8]) -> Vec<&[u8]> {
    let mut names = Vec::new();
    clean_into(path, &mut names);
    names
}

/// As [`clean`], into a list that was used before.
pub(crate) fn clean_into<'a>(path: &'a [u8], names: &mut Vec<&'a [u8]>) {
    names.clear();
    for name in components(path) {
        if name == b".." {
            names.pop();
        } else {
            names.push(name);
        }
    }
}

/// A path that is cleaned, without slashes at its ends.
pub(crate) fn cleaned(path: &[u8]) -> Cow<'_, [u8]> {
    let mut plain = path;
    while let Some(rest) = plain.strip_prefix(b"./").or_else(|| plain.strip_prefix(b"/")) {
        plain = rest;
    }
    plain = plain.strip_suffix(b"/").unwrap_or(plain);
    if plain.split(|byte| *byte == b'/').all(is_name) {
        return Cow::Borrowed(plain);
    }
    Cow::Owned(clean(path).join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_and_cleaned() {
        for (path, directory, base, whole) in [
            ("", "", "", ""),
            ("/", "", "", ""),
            (".", "", ".", ""),
            ("./", "", ".", ""),
            ("a", "", "a", "a"),
            ("a/", "", "a", "a"),
            ("a//", "", "a", "a"),
            ("/a/b", "/a/", "b", "a/b"),
            ("./a//b", "./a//", "b", "a/b"),
            ("a/./b/", "a/./", "b", "a/b"),
            ("a/..", "a/", "..", ""),
            ("../a/../../b", "../a/../../", "b", "b"),
            ("..a/b..", "..a/", "b..", "..a/b.."),
        ] {
            let path = path.as_bytes();
            assert_eq!(split(path), (directory.as_bytes(), base.as_bytes()));
            assert_eq!(*cleaned(path), *whole.as_bytes(), "{}", path.escape_ascii());
            assert_eq!(clean(path).join(&b'/'), whole.as_bytes());
        }
    }

    #[test]
    fn whiteouts() {
        for (base, expected) in [
            ("a.wh.b", None),
            (".wh", None),
            (".wh.a", Some(Whiteout::Of(b"a"))),
            (".wh.", Some(Whiteout::Of(b""))),
            (".wh..wh..opq", Some(Whiteout::Opaque)),
            (".wh..wh.", Some(Whiteout::Of(b".wh."))),
        ] {
            assert_eq!(whiteout(base.as_bytes()), expected, "{base}");
        }
    }
}
