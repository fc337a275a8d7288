//! Paths of a list to the files of an image: a file, all files below a directory, or what a glob matches.
//!
//! A path is first taken as a name, whatever signs are in it. Symbolic links are followed inside the image's root,
//! through all layers; a glob follows links to directories, but its `**` and a directory that is taken whole do not, so
//! that nothing is walked twice.

use std::collections::HashSet;

use globset::{Candidate, GlobBuilder, GlobMatcher};

use crate::commands::files::{EntryKind, NodeId, Root};
use crate::limits::MAX_PATH;

/// The path as the reference looks it up: cleaned as an absolute one by its text alone, without the slash in front
/// (`soci-formats` 5.4).
pub(super) fn cleaned(path: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join(&b'/')
}

/// The regular files that a cleaned path stands for, in the order of their names; or why there are none.
pub(super) fn files(root: &Root<'_>, path: &[u8]) -> Result<Vec<NodeId>, String> {
    if path.len() > MAX_PATH {
        return Err(format!("it has {} bytes, the limit of Linux is {MAX_PATH}", path.len()));
    }
    let found = match root.lookup(path, true) {
        Ok(node) => match root.entry(node).kind() {
            EntryKind::Directory => below(root, node),
            EntryKind::File => vec![node],
            _ => return Err("it is neither a file nor a directory".to_owned()),
        },
        Err(why) => match std::str::from_utf8(path) {
            Ok(pattern) if is_glob(pattern) => glob(root, pattern)?,
            _ => return Err(why.to_string()),
        },
    };
    if found.is_empty() {
        return Err("it stands for no file".to_owned());
    }
    Ok(found)
}

/// The regular file of this very name, as a trace has it; nothing for a directory, a device and what is not there.
pub(super) fn file(root: &Root<'_>, path: &[u8]) -> Result<Option<NodeId>, String> {
    let node = root.lookup(path, true).map_err(|why| why.to_string())?;
    Ok((root.entry(node).kind() == EntryKind::File).then_some(node))
}

/// All regular files below a directory, and those that links below it lead to.
fn below(root: &Root<'_>, directory: NodeId) -> Vec<NodeId> {
    let mut files = Files::new(root);
    walk(root, directory, &mut |node| files.add(node));
    files.found
}

/// Gives everything below a directory in the order of names, directories before what is in them.
fn walk(root: &Root<'_>, directory: NodeId, visit: &mut dyn FnMut(NodeId)) {
    let mut todo = vec![directory];
    while let Some(node) = todo.pop() {
        if node != directory {
            visit(node);
        }
        let from = todo.len();
        todo.extend(root.names(node).into_iter().flatten().map(|(_, child)| child));
        todo[from..].reverse();
    }
}

/// Regular files, each once.
struct Files<'a, 'b> {
    root: &'a Root<'b>,
    seen: HashSet<NodeId>,
    found: Vec<NodeId>,
}

impl<'a, 'b> Files<'a, 'b> {
    fn new(root: &'a Root<'b>) -> Self {
        Self { root, seen: HashSet::new(), found: Vec::new() }
    }

    /// Adds a file or the one that a link leads to. What leads nowhere is passed over.
    fn add(&mut self, node: NodeId) {
        if let Ok(node) = self.root.follow(node)
            && self.root.entry(node).kind() == EntryKind::File
            && self.seen.insert(node)
        {
            self.found.push(node);
        }
    }
}

fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '[', '{', '\\'])
}

/// What one component of a glob says.
enum Part<'a> {
    /// A name.
    Name(&'a [u8]),
    /// Any number of directories.
    AnyDepth,
    Pattern(GlobMatcher),
}

fn part(text: &str) -> Result<Part<'_>, String> {
    Ok(match text {
        "**" => Part::AnyDepth,
        text if is_glob(text) => {
            let glob =
                GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
            Part::Pattern(glob.map_err(|error| error.to_string())?.compile_matcher())
        }
        text => Part::Name(text.as_bytes()),
    })
}

/// The files that a glob matches: directories among its matches are not taken whole.
fn glob(root: &Root<'_>, pattern: &str) -> Result<Vec<NodeId>, String> {
    let parts = pattern.split('/').map(part).collect::<Result<Vec<_>, _>>()?;
    let mut nodes = vec![root.top()];
    let mut everything = false;
    for part in &parts {
        let mut next = Vec::new();
        let mut seen = HashSet::new();
        let mut add = |node: NodeId| {
            if seen.insert(node) {
                next.push(node);
            }
        };
        for node in nodes {
            let Ok(node) = root.follow(node) else { continue };
            match part {
                Part::Name(name) => root.child(node, name).into_iter().for_each(&mut add),
                Part::Pattern(matcher) => {
                    for (name, child) in root.names(node).into_iter().flatten() {
                        if matcher.is_match_candidate(&Candidate::from_bytes(name)) {
                            add(child);
                        }
                    }
                }
                // It stands for directories: none is below anything else.
                Part::AnyDepth if root.names(node).is_none() => {}
                Part::AnyDepth => {
                    add(node);
                    walk(root, node, &mut |below| {
                        if root.names(below).is_some() {
                            add(below);
                        }
                    });
                }
            }
        }
        nodes = next;
        everything = matches!(part, Part::AnyDepth);
    }
    let mut files = Files::new(root);
    for node in nodes {
        if everything {
            root.names(node).into_iter().flatten().for_each(|(_, child)| files.add(child));
        } else {
            files.add(node);
        }
    }
    Ok(files.found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Go's `strings.TrimPrefix(filepath.Clean("/"+path), "/")`.
    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, expected) in [
            ("a/b", "a/b"),
            ("/a", "a"),
            ("./a", "a"),
            ("//a/./b//", "a/b"),
            ("../../a", "a"),
            ("a/b/../../..", ""),
            ("a/..b/c..", "a/..b/c.."),
            ("/", ""),
        ] {
            assert_eq!(cleaned(path.as_bytes()), expected.as_bytes(), "{path}");
        }
    }
}
