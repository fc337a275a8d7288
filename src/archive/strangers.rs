//! What lies in a directory besides a layout's own files, so that nothing else is lost with the layout.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::layout::commit::is_temporary;

/// Strangers that are named; the others are counted.
const NAMED: usize = 5;

/// What a directory is.
#[derive(Debug)]
pub(super) enum Directory {
    /// A layout and nothing else, or empty.
    Layout,
    /// A layout, and these files of somebody else.
    Shared(String),
    /// Something else.
    Other,
}

/// Looks at the directory `path`.
///
/// # Errors
/// [`Error::Io`] when it cannot be listed.
pub(super) fn look(path: &Path) -> Result<Directory, Error> {
    let mut strangers = Strangers::default();
    let mut empty = true;
    strangers.list(path, "", &mut |name, is_directory| {
        empty = false;
        match name.to_str() {
            // Docker adds the last three, `ingest` is where BuildKit writes.
            Some(
                "oci-layout" | "index.json" | "index.json.lock" | "manifest.json" | "repositories",
            ) => !is_directory,
            Some("blobs" | "ingest") => is_directory,
            _ => is_temporary(Path::new(name)),
        }
    })?;
    if empty {
        return Ok(Directory::Layout);
    }
    if !path.join("oci-layout").is_file() {
        return Ok(Directory::Other);
    }
    let mut algorithms = Vec::new();
    strangers.list(&path.join("blobs"), "blobs/", &mut |name, is_directory| {
        let name = name.to_str().unwrap_or_default();
        let digits = match name {
            "sha256" => 64,
            "sha512" => 128,
            _ => return false,
        };
        algorithms.push((name.to_owned(), digits));
        is_directory
    })?;
    for (algorithm, digits) in algorithms {
        let directory = path.join("blobs").join(&algorithm);
        strangers.list(&directory, &format!("blobs/{algorithm}/"), &mut |name, is_directory| {
            let is_hex = |name: &str| name.bytes().all(|b| b.is_ascii_hexdigit());
            let blob = name.to_str().is_some_and(|name| name.len() == digits && is_hex(name));
            (blob && !is_directory) || is_temporary(Path::new(name))
        })?;
    }
    Ok(strangers.finish().map_or(Directory::Layout, Directory::Shared))
}

/// The first few in the order of their names, whatever the directory's order, and how many there are.
#[derive(Default)]
struct Strangers {
    names: Vec<String>,
    count: usize,
}

impl Strangers {
    /// Lists a directory that may be absent; `is_ours` says what belongs there, by name and whether it is a
    /// directory.
    fn list(
        &mut self,
        directory: &Path,
        prefix: &str,
        is_ours: &mut dyn FnMut(&OsStr, bool) -> bool,
    ) -> Result<(), Error> {
        // A link to a directory is a place of its own, which is not removed with the layout.
        if !fs::symlink_metadata(directory).is_ok_and(|found| found.is_dir()) {
            return Ok(());
        }
        for entry in fs::read_dir(directory).map_err(Error::io("list", directory))? {
            let entry = entry.map_err(Error::io("list", directory))?;
            let metadata = fs::metadata(entry.path());
            if is_ours(&entry.file_name(), metadata.is_ok_and(|found| found.is_dir())) {
                continue;
            }
            self.count += 1;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let at = self.names.partition_point(|known| *known < name);
            self.names.insert(at, name);
            self.names.truncate(NAMED);
        }
        Ok(())
    }

    fn finish(self) -> Option<String> {
        let named = self.names.join(", ");
        match self.count - self.names.len() {
            _ if self.count == 0 => None,
            0 => Some(named),
            more => Some(format!("{named} and {more} more")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_named_a_few_and_counted() {
        let temp = tempfile::TempDir::new().expect("temporary");
        let put = |name: &str| {
            let path = temp.path().join(name);
            fs::create_dir_all(path.parent().expect("inside")).expect("temporary");
            fs::write(path, "x").expect("temporary");
        };
        let found = || look(temp.path()).expect("there");
        assert!(matches!(found(), Directory::Layout));
        put("index.json");
        assert!(matches!(found(), Directory::Other));
        for name in ["oci-layout", "manifest.json", "repositories", "index.json.lock"] {
            put(name);
        }
        put(".soci-layout-x.tmp");
        put(&format!("blobs/sha256/{}", "a".repeat(64)));
        put(&format!("blobs/sha512/{}", "a".repeat(128)));
        put("blobs/sha256/.soci-layout-y.tmp");
        fs::create_dir(temp.path().join("ingest")).expect("temporary");
        assert!(matches!(found(), Directory::Layout));
        let shared = |name: &str, expected: &str| {
            put(name);
            match found() {
                Directory::Shared(names) => assert_eq!(names, expected),
                other => panic!("{name}: {other:?}"),
            }
        };
        shared("blobs/notes", "blobs/notes");
        shared("blobs/sha256/short", "blobs/notes, blobs/sha256/short");
        shared("work/a", "blobs/notes, blobs/sha256/short, work");
        shared("Dockerfile", "Dockerfile, blobs/notes, blobs/sha256/short, work");
        shared("a", "Dockerfile, a, blobs/notes, blobs/sha256/short, work");
        shared("z", "Dockerfile, a, blobs/notes, blobs/sha256/short, work and 1 more");
    }
}
