//! The merge against a naive model of it, on random stacks of layers; its rules one by one; paths.
//!
//! The model knows no tree: it holds whole paths and decides for each path of the lower layers whether
//! something in the upper layer hides it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::tree::{BadEntry, IMPLIED, LookupError, NodeId, Trees};
use crate::ztoc::toc::{Entry, FileType, Toc};

/// Name, kind, link target.
type Header = (String, FileType, String);

fn table(entries: &[Header]) -> Toc {
    let mut toc = Toc::new();
    for (name, file_type, linkname) in entries {
        toc.push(&Entry {
            linkname: linkname.as_bytes(),
            ..Entry::plain(name.as_bytes(), *file_type)
        })
        .expect("room");
    }
    toc
}

/// Whether a path is a directory, and the layer and entry with its content.
type Node = (bool, Option<(usize, usize)>);
type Paths = BTreeMap<String, Node>;

#[derive(Default)]
struct Layer {
    paths: Paths,
    whiteouts: BTreeSet<String>,
    opaque: BTreeSet<String>,
}

/// All directories that lead to a path, the root (an empty text) left out.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn is_below(path: &str, directory: &str) -> bool {
    directory.is_empty() && !path.is_empty()
        || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

impl Layer {
    fn new(position: usize, entries: &[Header], lower: &Paths) -> Option<Self> {
        let mut layer = Self::default();
        for (number, (name, kind, target)) in entries.iter().enumerate() {
            for parent in parents(name) {
                if layer.paths.get(parent).is_none_or(|node| !node.0) {
                    layer.put(parent, (true, None));
                }
            }
            let (directory, base) = name.rsplit_once('/').unwrap_or(("", name));
            let join = |base: &str| [directory, base].join("/").trim_start_matches('/').to_owned();
            if base == ".wh..wh..opq" {
                layer.opaque.insert(directory.to_owned());
            } else if let Some(hidden) = base.strip_prefix(".wh.") {
                let hidden = join(hidden);
                layer.paths.retain(|path, _| *path != hidden && !is_below(path, &hidden));
                layer.whiteouts.insert(hidden);
            } else {
                let node = match kind {
                    FileType::Directory => (true, Some((position, number))),
                    FileType::HardLink => match layer.target(target, lower) {
                        Some((false, content)) => (false, content),
                        _ => return None,
                    },
                    _ => (false, Some((position, number))),
                };
                layer.put(name, node);
            }
        }
        Some(layer)
    }

    /// What a hard link leads to: in its own layer, else in those below.
    fn target(&self, target: &str, lower: &Paths) -> Option<Node> {
        if parents(target).any(|part| self.paths.get(part).is_some_and(|node| !node.0)) {
            return None;
        }
        self.paths.get(target).or_else(|| lower.get(target)).copied()
    }

    fn put(&mut self, path: &str, node: Node) {
        if !(node.0 && self.paths.get(path).is_some_and(|known| known.0)) {
            self.paths.retain(|known, _| !is_below(known, path));
            self.whiteouts.retain(|known| !is_below(known, path));
            self.opaque.retain(|known| known != path && !is_below(known, path));
        }
        self.paths.insert(path.to_owned(), node);
    }

    fn hides(&self, lower: &Paths, path: &str) -> bool {
        self.whiteouts.iter().any(|gone| path == gone || is_below(path, gone))
            || self.opaque.iter().any(|directory| is_below(path, directory))
            || parents(path)
                .chain([path])
                .any(|part| self.paths.get(part).is_some_and(|upper| !(upper.0 && lower[part].0)))
    }
}

fn model(layers: &[Vec<Header>]) -> Option<Paths> {
    let mut merged = Paths::new();
    for (position, entries) in layers.iter().enumerate() {
        let layer = Layer::new(position, entries, &merged)?;
        let mut next = Paths::new();
        for (path, node) in &merged {
            if !layer.hides(&merged, path) {
                next.insert(path.clone(), *node);
            }
        }
        for (path, node) in layer.paths {
            // A directory without an entry says nothing about the one below it.
            if node.1.is_some() || !next.contains_key(&path) {
                next.insert(path, node);
            }
        }
        merged = next;
    }
    Some(merged)
}

fn collect(trees: &Trees<'_>, root: NodeId) -> Paths {
    let mut paths = Paths::new();
    let mut todo = vec![(String::new(), root)];
    while let Some((path, node)) = todo.pop() {
        for (name, child) in trees.directory(node).map(|d| &d.children).into_iter().flatten() {
            let path = format!("{path}/{}", String::from_utf8_lossy(name));
            let stored = trees.node(*child);
            assert_eq!(stored.parent, node, "{path}");
            let content = (stored.entry != IMPLIED)
                .then_some((stored.file.0 as usize, stored.file.1 as usize));
            let known = (stored.directory.is_some(), content);
            paths.insert(path.trim_start_matches('/').to_owned(), known);
            todo.push((path, *child));
        }
    }
    paths
}

fn merged(layers: &[Vec<Header>]) -> Result<Paths, (usize, BadEntry)> {
    let tables: Vec<Toc> = layers.iter().map(|entries| table(entries)).collect();
    let mut trees = Trees::new(tables.iter().collect());
    let root = trees.merged()?;
    Ok(collect(&trees, root))
}

fn header() -> impl Strategy<Value = Header> {
    let name = || vec(select(vec!["a", "b", "c"]), 1..4).prop_map(|parts| parts.join("/"));
    prop_oneof![
        3 => name().prop_map(|name| (name, FileType::Directory, String::new())),
        5 => name().prop_map(|name| (name, FileType::Regular, String::new())),
        1 => (name(), name()).prop_map(|(name, target)| (name, FileType::HardLink, target)),
        2 => name().prop_map(|name| {
            let at = name.rfind('/').map_or(0, |slash| slash + 1);
            let (directory, base) = name.split_at(at);
            (format!("{directory}.wh.{base}"), FileType::Regular, String::new())
        }),
        1 => name().prop_map(|name| {
            (format!("{name}/.wh..wh..opq"), FileType::Regular, String::new())
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_merge_as_in_the_model(layers in vec(vec(header(), 0..12), 0..5)) {
        match (merged(&layers), model(&layers)) {
            (Ok(found), Some(expected)) => prop_assert_eq!(found, expected),
            // A hard link without a target.
            (Err(_), None) => {}
            (found, expected) => prop_assert!(false, "{found:?} {expected:?}"),
        }
    }
}

/// `d` directory, `f` file, `l` symbolic link, `h` hard link, each with a name and perhaps `=target`.
fn layer(text: &str) -> Vec<Header> {
    let entry = |word: &str| {
        let (kind, rest) = word.split_at(1);
        let (name, target) = rest.split_once('=').unwrap_or((rest, ""));
        let kind = match kind {
            "d" => FileType::Directory,
            "l" => FileType::Symlink,
            "h" => FileType::HardLink,
            _ => FileType::Regular,
        };
        (name.to_owned(), kind, target.to_owned())
    };
    text.split_whitespace().map(entry).collect()
}

#[test]
fn rules() {
    for (layers, expected) in [
        // Names as they are spelled.
        (vec!["f./a d./b/ fb//c f/d f../e fx/../f"], "a b/ b/c d e f"),
        // Directories that have no entry.
        (vec!["fa/b/c"], "a/ a/b/ a/b/c"),
        (vec!["da fa/x", "fa/y"], "a/ a/x a/y"),
        // Another type under the same name, within a layer and over one.
        (vec!["da fa/x fa"], "a"),
        (vec!["da fa/x", "fa"], "a"),
        (vec!["fa", "da fa/x"], "a/ a/x"),
        (vec!["fa", "fa/x"], "a/ a/x"),
        (vec!["da fa/x", "la=b"], "a"),
        // Twice the same name.
        (vec!["fa fb fa"], "a b"),
        // Whiteouts.
        (vec!["fa fb", "f.wh.a"], "b"),
        (vec!["da fa/x fa/y", "fa/.wh.x"], "a/ a/y"),
        (vec!["da fa/x", "f.wh.a", "da"], "a/"),
        (vec!["da fa/x", "f.wh.a da fa/y"], "a/ a/y"),
        (vec!["da fa/x", "da fa/y f.wh.a"], ""),
        (vec!["fa", "f.wh.a fa"], "a"),
        (vec!["f.wh.a fb"], "b"),
        (vec!["fb", "fa/.wh.x"], "a/ b"),
        // Opaque directories, the marker before or behind what is new.
        (vec!["da fa/x", "da fa/.wh..wh..opq fa/y"], "a/ a/y"),
        (vec!["da fa/x", "fa/y fa/.wh..wh..opq"], "a/ a/y"),
        (vec!["da da/b fa/b/x", "da/b fa/b/.wh..wh..opq"], "a/ a/b/"),
        (vec!["da da/b fa/b/x", "fa/.wh..wh..opq da/b fa/b/y"], "a/ a/b/ a/b/y"),
        (vec!["fa db", "f.wh..wh..opq fc"], "c"),
        // A symbolic link of the same layer leads on, one of a lower layer is replaced.
        (vec!["dusr/lib llib=usr/lib flib/x"], "lib usr/ usr/lib/ usr/lib/x"),
        (vec!["llib=/usr/lib flib/x"], "lib usr/ usr/lib/ usr/lib/x"),
        (vec!["la=../../b fa/x"], "a b/ b/x"),
        (vec!["dusr/lib llib=usr/lib", "flib/x"], "lib/ lib/x usr/ usr/lib/"),
        // Hard links keep what they were made from.
        (vec!["fa hb=a fa", "f.wh.a"], "b"),
        (vec!["fb", "ha=b"], "a b"),
        (vec!["da fa/b", "ha/c=a/b"], "a/ a/b a/c"),
        (vec!["la=x hb=a"], "a b"),
        (vec![], ""),
    ] {
        let stack: Vec<Vec<Header>> = layers.iter().map(|text| layer(text)).collect();
        let found = merged(&stack).expect("can be unpacked");
        let name = |(path, node): (&String, &Node)| path.clone() + if node.0 { "/" } else { "" };
        let found: Vec<String> = found.iter().map(name).collect();
        assert_eq!(found.join(" "), expected, "{layers:?}");
    }
}

#[test]
fn a_hard_link_has_the_content_of_its_target() {
    let found = merged(&[layer("fa hb=a fa hc=b"), layer("fb2 hd=b2 he=b hf=e")]).expect("sound");
    assert_eq!(found["a"].1, Some((0, 2)));
    assert_eq!(found["b"].1, Some((0, 0)));
    assert_eq!(found["c"].1, Some((0, 0)));
    assert_eq!(found["d"].1, Some((1, 0)));
    assert_eq!(found["e"].1, Some((0, 0)));
    assert_eq!(found["f"].1, Some((0, 0)));
}

#[test]
fn what_no_runtime_could_unpack() {
    let long = format!("f{}", "x/".repeat(2100));
    for (layers, problem) in [
        (vec!["ha=b"], "no such file"),
        (vec!["db", "ha=b"], "is a directory"),
        (vec!["db ha=b"], "is a directory"),
        (vec!["f.wh."], "names nothing"),
        (vec!["fa/.wh..."], "names nothing"),
        (vec!["la=b lb=a fa/x"], "symbolic links"),
        (vec![long.as_str()], "the limit"),
    ] {
        let stack: Vec<Vec<Header>> = layers.iter().map(|text| layer(text)).collect();
        let (position, bad) = merged(&stack).expect_err(problem);
        assert!(bad.problem.contains(problem), "{layers:?}: {}", bad.problem);
        assert_eq!(position, layers.len() - 1);
    }
}

#[test]
fn paths_lead_as_in_a_root_directory() {
    let toc = table(&layer(
        "detc fetc/x lup=../../../etc labs=/etc lrel=etc/x ldangling=nothing lself=self \
         detc/deep letc/deep/back=../x lone=two ltwo=etc lempty=",
    ));
    let mut trees = Trees::new(vec![&toc]);
    let root = trees.merged().expect("sound");
    let expect = |path: &str, follow: bool, same: Result<&str, LookupError>| {
        let found = trees.resolve(root, path.as_bytes(), follow);
        let same = same.map(|path| trees.resolve(root, path.as_bytes(), false).expect(path));
        assert_eq!(found, same, "{path} {follow}");
    };
    for (path, same) in [
        ("/", "."),
        ("etc/x", "/etc/x"),
        ("//etc/./x", "/etc/x"),
        ("/../../etc/x", "/etc/x"),
        ("up/x", "/etc/x"),
        ("abs/x", "/etc/x"),
        ("rel", "/etc/x"),
        ("one/deep/back", "/etc/x"),
        ("abs/..", "/"),
        ("abs/../etc/deep/..", "/etc"),
    ] {
        expect(path, true, Ok(same));
    }
    expect("abs/", false, Ok("/etc"));
    expect("abs/.", false, Ok("/etc"));
    for (path, follow, error) in [
        ("nothing", false, LookupError::NotFound),
        ("dangling", true, LookupError::NotFound),
        ("empty", true, LookupError::NotFound),
        ("etc/x/y", false, LookupError::NotADirectory),
        ("etc/x/", false, LookupError::NotADirectory),
        ("etc/x/..", false, LookupError::NotADirectory),
        ("rel/", false, LookupError::NotADirectory),
        ("self", true, LookupError::Loop),
        ("self/x", false, LookupError::Loop),
    ] {
        expect(path, follow, Err(error));
    }
    let link = trees.resolve(root, b"self", false).expect("itself");
    assert_eq!(trees.file(link).map(|file| file.file_type()), Some(FileType::Symlink));
}

#[test]
fn whiteouts_of_a_layer_alone_are_names() {
    let toc = table(&layer("f.wh.a fb/.wh..wh..opq hc=missing"));
    let mut trees = Trees::new(vec![&toc]);
    let root = trees.layer(0, None).expect("nothing is unpacked");
    let found: Vec<String> = collect(&trees, root).into_keys().collect();
    assert_eq!(found, [".wh.a", "b", "b/.wh..wh..opq", "c"]);
}
