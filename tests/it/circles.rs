//! No circle of files: in each folder, arrows between its files and folders go one way.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::{code, sources};

type Module = Vec<String>;

/// The modules that `text`, the code of `own`, names by paths from the crate's root or from its parents.
fn named(own: &Module, text: &str) -> Vec<Module> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code: String = code(text).flat_map(|(_, line)| [line, "\n"]).collect();
    let mut found = Vec::new();
    let starts = code.match_indices("crate::").chain(code.match_indices("super::"));
    for (at, start) in starts {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let (mut base, mut rest) = match start {
            "crate::" => (Vec::new(), &code[at + start.len()..]),
            _ => (own[..own.len() - 1].to_vec(), &code[at + start.len()..]),
        };
        while let Some(further) = rest.strip_prefix("super::") {
            base.pop();
            rest = further;
        }
        tree(base, rest, &mut found);
    }
    found
}

/// Follows one path, or a list of paths in braces, and returns what stands behind it.
fn tree<'a>(mut base: Module, mut text: &'a str, found: &mut Vec<Module>) -> &'a str {
    loop {
        text = text.trim_start();
        if let Some(mut list) = text.strip_prefix('{') {
            while !list.trim_start().starts_with('}') {
                list = tree(base.clone(), list, found).trim_start();
                // Behind a name may stand `as other`.
                let end = list.find([',', '}']).expect("a list ends");
                list = list[end..].trim_start_matches(',');
            }
            return &list.trim_start()[1..];
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        base.push(text[..end].to_owned());
        text = &text[end..];
        match text.strip_prefix("::") {
            Some(rest) => text = rest,
            None => break,
        }
    }
    found.push(base);
    text
}

/// The first circle, if there is one.
fn circle(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        node: &String,
        arrows: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(at) = path.iter().position(|known| known == node) {
            return Some(path[at..].to_vec());
        }
        if !done.insert(node.clone()) {
            return None;
        }
        path.push(node.clone());
        let mut next = arrows.get(node).into_iter().flatten();
        let found = next.find_map(|next| visit(next, arrows, path, done));
        path.pop();
        found
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|node| visit(node, arrows, &mut Vec::new(), &mut done))
}

#[test]
fn files_and_folders_form_no_circle() {
    let module = |path: &std::path::Path| -> Module {
        let names = path.with_extension("");
        let names = names.iter().map(|name| name.to_str().unwrap().to_owned());
        names.filter(|name| name != "mod").collect()
    };
    let sources: BTreeMap<Module, String> = sources()
        .into_iter()
        .map(|(path, text)| (module(&path), text))
        .filter(|(module, _)| *module != ["lib"] && *module != ["main"])
        .collect();
    // By folder: what its files and folders use of each other.
    let mut folders: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (own, text) in &sources {
        for mut used in named(own, text) {
            while !used.is_empty() && !sources.contains_key(&used) {
                used.pop();
            }
            let common = own.iter().zip(&used).take_while(|(a, b)| a == b).count();
            if let (Some(user), Some(used)) = (own.get(common), used.get(common)) {
                let folder = folders.entry(own[..common].to_vec()).or_default();
                folder.entry(user.clone()).or_default().insert(used.clone());
            }
        }
    }
    assert!(folders.len() > 10 && folders[&Vec::new()].len() > 8, "{:?}", folders.keys());
    for (folder, arrows) in folders {
        let found = circle(&arrows);
        assert_eq!(found, None, "in src/{}", folder.join("/"));
    }
}

#[test]
fn paths_are_read_and_circles_found() {
    let own = ["a", "b"].map(str::to_owned).to_vec();
    let text = "use super::{c::{self, D as E}, f};\nuse crate::g::H;\nlet x = super::super::i::j();\n\
                // crate::no\nmy_crate::no();\n#[cfg(test)]\nmod tests {\n use crate::no; }";
    let found: BTreeSet<String> = named(&own, text).iter().map(|path| path.join("/")).collect();
    let expected = ["a/c/self", "a/c/D", "a/f", "g/H", "i/j"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(expected));
    let arrows = |list: &[(&str, &str)]| {
        let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in list {
            arrows.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        circle(&arrows)
    };
    assert_eq!(arrows(&[("a", "b"), ("b", "c"), ("a", "c")]), None);
    let circle = arrows(&[("a", "b"), ("b", "c"), ("c", "b")]).unwrap();
    assert_eq!(circle, ["b", "c"]);
}
