//! Whole runs on small layouts: no panic, an error leaves every file as it was, a run that succeeds
//! leaves a layout that a second run leaves alone.
//!
//! The input is a text of sections apart by lines `---`. The first byte of each blob's section tells
//! what the blob is, the last section is `index.json`, the first one the options, a letter each:
//! `1` V1, `b` both, `t` tagged, `p` prune, `s` strict, `x` xattr, `T` trust blobs, `z` a second thread.
//! A blob is `L` and a letter (one of the layers in [`layer`]) or `J` and its text. In texts `@n` stands
//! for the digest of blob n and `#n` for its size.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use soci_layout::event::Silent;
use soci_layout::json::{elements, members};
use soci_layout::{Digest, IndexVersion, Options, V1Shape, index};
use tempfile::TempDir;

use crate::judge;

/// See the module.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let sections: Vec<&str> = text.split("\n---\n").take(24).collect();
    let [flags, blobs @ .., root] = &sections[..] else { return };
    let directory = workplace();
    let layout = directory.path();
    fs::create_dir_all(layout.join("blobs/sha256")).expect("writable");
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("writable");
    let mut known: Vec<(Digest, usize)> = Vec::new();
    for blob in blobs {
        let bytes = match blob.split_at_checked(1) {
            Some(("L", kind)) => layer(kind.as_bytes()),
            Some((_, text)) => fill(text, &known).into_bytes(),
            None => Vec::new(),
        };
        let digest = Digest::of(&bytes);
        known.push((digest, bytes.len()));
        fs::write(layout.join("blobs/sha256").join(digest.hex()), bytes).expect("writable");
    }
    let root = fill(root, &known);
    fs::write(layout.join("index.json"), &root).expect("writable");
    run(layout, &options(flags), &root);
}

fn run(layout: &Path, options: &Options, root: &str) {
    let before = files(layout);
    let report = match index(layout, options, &Silent) {
        Ok(report) => report,
        Err(error) => {
            let message = format!("{error} {:?}", error.kind());
            assert!(files(layout) == before, "changed, although: {message}");
            return;
        }
    };
    let once = files(layout);
    for name in once.keys() {
        assert!(Path::new(name).extension().is_none_or(|e| e != "tmp"), "{name} is left over");
    }
    for (name, content) in &before {
        match once.get(name) {
            Some(after) => assert!(name == "index.json" || after == content, "{name} has changed"),
            None => assert!(options.prune, "{name} is gone"),
        }
    }
    for (name, content) in &once {
        if let Some(hex) = name.strip_prefix("blobs/sha256/") {
            assert_eq!(Digest::of(content).hex(), hex, "content is not that of its name");
        }
    }
    let after = String::from_utf8(once["index.json"].clone()).expect("text");
    foreign_members_stay(root, &after);
    let mut plan = options.clone();
    plan.dry_run = true;
    let planned = index(layout, &plan, &Silent).unwrap_or_else(|e| panic!("plan: {e}: {after}"));
    assert_eq!(planned.images.len(), report.images.len());
    let again =
        index(layout, options, &Silent).unwrap_or_else(|e| panic!("second run: {e}: {after}"));
    let twice = files(layout);
    assert!(!again.changed, "the second run changes index.json: {after}");
    assert!(once == twice, "the second run changes files");
}

/// All members of `index.json` but its list stay, and no entry of the list is lost.
fn foreign_members_stay(before: &str, after: &str) {
    let (old, new) = (members(before).expect("was read"), members(after).expect("own text"));
    assert_eq!(old.len(), new.len());
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(old.name, new.name);
        if old.name == "manifests" && old.value != "null" {
            let count = |value| elements(value).expect("was read").len();
            assert!(count(new.value) >= count(old.value), "an entry is lost: {after}");
        } else if old.name != "manifests" {
            assert_eq!(old.value, new.value);
        }
    }
}

/// In memory where there is such a place: every run syncs its files.
fn workplace() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a temporary directory")
}

fn options(flags: &str) -> Options {
    let has = |flag: char| flags.contains(flag);
    let mut options = Options::default();
    options.index_version = match (has('1'), has('b')) {
        (_, true) => IndexVersion::Both,
        (true, _) => IndexVersion::V1,
        _ => IndexVersion::V2,
    };
    options.v1_shape = if has('t') { V1Shape::Tagged } else { V1Shape::Nested };
    options.prune = has('p');
    options.strict = has('s');
    options.xattr_optimization = has('x');
    options.trust_blobs = has('T');
    options.min_layer_size = 0;
    options.span_size = 1024;
    options.jobs = NonZeroUsize::new(if has('z') { 2 } else { 1 });
    options
}

/// Puts digests and sizes of blobs into a text.
fn fill(text: &str, known: &[(Digest, usize)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['@', '#']) {
        out.push_str(&rest[..at]);
        let (mark, tail) = rest[at..].split_at(1);
        let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        match tail[..digits].parse::<usize>().ok().and_then(|number| known.get(number)) {
            Some((digest, _)) if mark == "@" => _ = write!(out, "{digest}"),
            Some((_, size)) => _ = write!(out, "{size}"),
            None => out.push_str(&rest[at..at + 1 + digits]),
        }
        rest = &tail[digits..];
    }
    out.push_str(rest);
    out
}

/// Every file's content by its path.
fn files(layout: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![layout.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                todo.push(path);
                continue;
            }
            let name = path.strip_prefix(layout).expect("inside").to_string_lossy().into_owned();
            found.insert(name, fs::read(path).expect("readable"));
        }
    }
    found
}

/// Layers by letter: the first byte chooses the content, the second the wrapper.
fn layer(kind: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    match kind.first() {
        Some(b'a') | None => entry(&mut tar, "a", b'0', &[7; 3000]),
        Some(b'l') => {
            entry(&mut tar, "d/", b'5', b"");
            entry(&mut tar, "d/f", b'0', b"text");
            entry(&mut tar, "d/l", b'2', b"");
        }
        // No reader could load it.
        Some(b'g') => entry(&mut tar, "g", b'g', b"11 k=value\n"),
        Some(b'e') => {}
        // No tar at all.
        _ => tar.extend_from_slice(kind),
    }
    tar.resize(tar.len() + 1024, 0);
    if kind.get(1) == Some(&b'p') {
        return tar;
    }
    let mut blob = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks = tar.chunks(500);
    let last = blocks.len() - 1;
    for (index, block) in blocks.enumerate() {
        let len = block.len() as u16;
        blob.push(u8::from(index == last));
        blob.extend_from_slice(&len.to_le_bytes());
        blob.extend_from_slice(&(!len).to_le_bytes());
        blob.extend_from_slice(block);
    }
    blob.extend_from_slice(&judge::crc32(&tar).to_le_bytes());
    blob.extend_from_slice(&(tar.len() as u32).to_le_bytes());
    if kind.get(1) == Some(&b'c') {
        blob.pop();
    }
    blob
}

fn entry(tar: &mut Vec<u8>, name: &str, kind: u8, data: &[u8]) {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    block[148..156].fill(b' ');
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    tar.extend_from_slice(&block);
    tar.extend_from_slice(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}
