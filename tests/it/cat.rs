//! `soci-layout cat`: every byte of every file, through which spans, and never wrong ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use soci_layout::files::{FilesOptions, ReadError};
use soci_layout::ztoc::zinfo::GzipZinfo;
use soci_layout::ztoc::{Zinfo, Ztoc};
use soci_layout::{Digest, Error, IndexVersion, Options};

use crate::context::Context;
use crate::files::{
    Archive, all, fixture_names, images, layout, open, program, read, unpacked, utf8,
};

fn indexed(context: &Context, span_size: u64) {
    let accept_unlike_unpacked = true;
    let options = with!(Options::default(), min_layer_size = 0, span_size, accept_unlike_unpacked);
    context.index(&options).unwrap();
}

/// Bytes that do not compress, and nothing in common with other seeds.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Six bits: blocks of Huffman codes, not stored ones.
        (state >> 33) as u8 & 0x3f
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn every_file_of_every_fixture_is_what_tar_says() {
    let mut files = 0;
    for fixture in fixture_names().iter().filter(|name| !name.starts_with("zstd")) {
        for how in [None, Some((4096, IndexVersion::V2)), Some((65536, IndexVersion::V1))] {
            let context = Context::fixture(fixture);
            if let Some((span_size, index_version)) = how {
                let options =
                    with!(Options::default(), span_size, index_version, min_layer_size = 0);
                context.index(&options).unwrap();
            }
            for options in images(&context) {
                let image = open(&context, &options).unwrap();
                let root = image.root().unwrap();
                let mut found = BTreeMap::new();
                for (path, node) in all(&root) {
                    match read(&root, node) {
                        Ok((content, report)) => {
                            assert_eq!(report.ztoc.is_some(), how.is_some(), "{report:?}");
                            assert_eq!(report.size, content.len() as u64);
                            found.insert(path, content);
                        }
                        Err(ReadError::NotAFile(_)) => {}
                        Err(error) => panic!("{fixture} {}: {error}", path.escape_ascii()),
                    }
                }
                let expected = unpacked(&context, &image.digest().to_string());
                assert!(found == expected && found.len() > 10, "{fixture} {how:?} {options:?}");
                files += found.len();
            }
        }
    }
    assert!(files > 1000, "{files}");
}

#[test]
fn zstd_files_are_those_of_gzip() {
    let (zstd, gzip) = (Context::fixture("zstd"), Context::fixture("single"));
    let contents = |context: &Context| -> BTreeMap<Vec<u8>, Vec<u8>> {
        let image = open(context, &FilesOptions::default()).unwrap();
        let root = image.root().unwrap();
        let read = all(&root).into_iter().filter_map(|(path, node)| match read(&root, node) {
            Ok((content, _)) => Some((path, content)),
            Err(ReadError::NotAFile(_)) => None,
            Err(error) => panic!("{error}"),
        });
        read.collect()
    };
    let found = contents(&zstd);
    assert!(found == contents(&gzip) && found.len() > 40);
}

/// Three files of 200 kB, indexed with spans of 16 KiB.
fn three() -> (Context, [Vec<u8>; 3]) {
    let contents = [1, 2, 3].map(|seed| noise(200_000, seed));
    let mut archive = Archive::new();
    for (name, content) in ["one", "two", "three"].iter().zip(&contents) {
        archive = archive.file(name, content);
    }
    let context = layout(&[archive.gzip()]);
    indexed(&context, 16 << 10);
    (context, contents)
}

fn ztoc(context: &Context) -> (String, Ztoc, String) {
    let image = open(context, &FilesOptions::default()).unwrap();
    let layer = &image.layers()[0];
    let name = layer.ztoc.unwrap().to_string();
    let ztoc = Ztoc::decode(&context.blob(&name)).unwrap();
    (name, ztoc, layer.digest.to_string())
}

#[test]
fn only_the_spans_that_cover_a_file_are_read() {
    let (context, contents) = three();
    let (_, ztoc, layer) = ztoc(&context);
    let Zinfo::Gzip(gzip) = &ztoc.zinfo else { panic!("gzip") };
    let size = fs::metadata(context.blob_path(&layer)).unwrap().len();
    let image = open(&context, &FilesOptions::default()).unwrap();
    let root = image.root().unwrap();
    for (number, name) in ["one", "two", "three"].iter().enumerate() {
        let node = root.lookup(name.as_bytes(), true).unwrap();
        let (found, report) = read(&root, node).unwrap();
        assert!(found == contents[number]);
        // By hand: the header in front of the file, and the file.
        let file = ztoc.toc.get(number);
        let content = file.uncompressed_offset().cast_unsigned();
        let (start, end) = (content - 512, content + file.uncompressed_size().cast_unsigned());
        let begins = |n: usize| gzip.checkpoint(n).uncompressed_offset;
        let first = (0..gzip.len()).rfind(|n| begins(*n) <= start).unwrap();
        let last = (0..gzip.len()).rfind(|n| begins(*n) < end).unwrap();
        assert_eq!(report.spans, Some(first as u64..=last as u64), "{name}");
        let mut compressed = 0;
        for n in first..=last {
            let behind =
                if n + 1 < gzip.len() { gzip.checkpoint(n + 1).compressed_offset } else { size };
            compressed += behind - gzip.checkpoint(n).span_start();
        }
        assert_eq!(report.compressed, compressed);
        assert!(report.compressed < size * 45 / 100, "{report:?} of {size}");
        assert_eq!(report.span_count, gzip.len() as u64);
    }
}

#[test]
fn a_span_with_a_wrong_digest_is_an_error_and_its_bytes_are_not_shown() {
    let (context, contents) = three();
    let (_, ztoc, layer) = ztoc(&context);
    let Zinfo::Gzip(gzip) = &ztoc.zinfo else { panic!("gzip") };
    // The span in the middle of the second file.
    let middle =
        (0..gzip.len()).find(|n| gzip.checkpoint(*n).uncompressed_offset > 300_000).unwrap();
    let place = gzip.checkpoint(middle).compressed_offset + 5;
    let path = context.blob_path(&layer);
    let mut blob = fs::read(&path).unwrap();
    blob[place as usize] ^= 1;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, blob).unwrap();
    let image = open(&context, &FilesOptions::default()).unwrap();
    let root = image.root().unwrap();
    for (name, right) in [("one", &contents[0]), ("three", &contents[2])] {
        let node = root.lookup(name.as_bytes(), true).unwrap();
        assert!(read(&root, node).unwrap().0 == *right, "{name} lies elsewhere");
    }
    let output = program(&context, "cat", &["two", "three"]);
    assert!(output.stdout.ends_with(&contents[2]), "the other file is still written");
    let output = program(&context, "cat", &["two"]);
    assert_eq!(output.status.code(), Some(1));
    let told = utf8(&output.stderr);
    let expected = format!("span {middle} (from byte {})", gzip.checkpoint(middle).span_start());
    for part in [&expected, "does not match its digest", "hint:", "verify"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!output.stdout.is_empty() && contents[1].starts_with(&output.stdout));
    assert!(output.stdout.len() < 150_000, "{}", output.stdout.len());
}

/// Puts another zTOC in the place of the layout's, without a digest that would tell.
fn replace_ztoc(context: &Context, change: impl FnOnce(&mut Ztoc)) {
    let (name, mut ztoc, _) = ztoc(context);
    let size = fs::metadata(context.blob_path(&name)).unwrap().len();
    change(&mut ztoc);
    let bytes = ztoc.encode().unwrap();
    let new = context.put(&bytes);
    let mut pairs = vec![(name, size, new, bytes.len())];
    // Every document that names a changed one is changed, up to index.json.
    for _ in 0..4 {
        let replaced = |text: &str| {
            pairs.iter().fold(text.to_owned(), |text, (old, old_size, new, new_size)| {
                let sized = format!("\"digest\":\"{old}\",\"size\":{old_size}");
                text.replace(&sized, &format!("\"digest\":\"{new}\",\"size\":{new_size}"))
                    .replace(old.as_str(), new)
            })
        };
        let mut more = Vec::new();
        for blob in fs::read_dir(context.layout().join("blobs/sha256")).unwrap() {
            let bytes = fs::read(blob.unwrap().path()).unwrap();
            let Ok(document) = String::from_utf8(bytes) else { continue };
            let changed = replaced(&document);
            if document.starts_with('{') && changed != document {
                let old = Digest::of(document.as_bytes()).to_string();
                if pairs.iter().all(|(known, ..)| *known != old) {
                    let new = context.put(changed.as_bytes());
                    more.push((old, document.len() as u64, new, changed.len()));
                }
            }
        }
        let text = fs::read_to_string(context.layout().join("index.json")).unwrap();
        context.write_index_json(&replaced(&text));
        pairs.extend(more);
    }
}

#[track_caller]
fn fails(context: &Context, name: &str, problem: &str) {
    let image = open(context, &FilesOptions::default()).unwrap();
    assert!(image.layers()[0].ztoc.is_some(), "{:?}", image.layers()[0].ztoc_problem);
    let root = image.root().unwrap();
    let node = root.lookup(name.as_bytes(), true).unwrap();
    match read(&root, node) {
        Err(ReadError::Layout(error @ Error::BadZtoc { .. })) => {
            assert!(error.to_string().contains(problem), "{error}");
        }
        other => panic!("{:?}", other.map(|(content, report)| (content.len(), report))),
    }
}

#[test]
fn a_ztoc_that_is_not_true_is_found_where_it_shows() {
    // A window that is not the content before it, when a file goes on into its span.
    let (context, contents) = three();
    replace_ztoc(&context, |ztoc| {
        let Zinfo::Gzip(gzip) = &ztoc.zinfo else { panic!("gzip") };
        let middle = gzip.len() / 2;
        let mut bytes = gzip.as_bytes().to_vec();
        bytes[12 + middle * (17 + (32 << 10)) + 17 + 20_000] ^= 1;
        ztoc.zinfo = Zinfo::Gzip(GzipZinfo::from_bytes(bytes).unwrap());
    });
    fails(&context, "two", "the window of checkpoint");
    let output = program(&context, "cat", &["one"]);
    assert!(output.stdout == contents[0], "the first file lies before it");
    // An entry with another name, size or place than the tar header.
    let (context, _) = three();
    replace_ztoc(&context, |ztoc| {
        let mut toc = soci_layout::ztoc::toc::Toc::new();
        for (number, file) in ztoc.toc.iter().enumerate() {
            let offset = if number == 2 { 512 } else { 0 };
            let size = if number == 1 { 3 } else { 0 };
            toc.push(&soci_layout::ztoc::toc::Entry {
                name: file.name(),
                file_type: file.file_type(),
                uncompressed_offset: file.uncompressed_offset() + offset,
                uncompressed_size: file.uncompressed_size() - size,
                linkname: file.linkname(),
                mode: file.mode() ^ i64::from(number == 0),
                uid: file.uid(),
                gid: file.gid(),
                uname: file.uname(),
                gname: file.gname(),
                mod_time: file.mod_time(),
                devmajor: file.devmajor(),
                devminor: file.devminor(),
                pax: &[],
            })
            .unwrap();
        }
        ztoc.toc = toc;
    });
    fails(&context, "one", "another mode");
    fails(&context, "two", "another size");
    fails(&context, "three", "entry three");
}

#[test]
fn what_the_program_says() {
    let content = b"\x1b[31mred\x1b[0m\0\xff\r\n".repeat(10);
    let context = layout(&[Archive::new()
        .file("data", &content)
        .directory("dir/")
        .link("dir/up", "../data")
        .link("loop", "loop")
        .add(b"copy", tar::EntryType::Link, "data", b"")
        .add(b"null", tar::EntryType::Char, "", b"")
        .file("empty", b"")
        .gzip()]);
    let output = program(&context, "cat", &["dir/up"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == content, "no byte is changed, terminal or not");
    assert!(utf8(&output.stderr).contains("has no zTOC"), "{}", utf8(&output.stderr));
    assert_eq!(utf8(&program(&context, "cat", &["-q", "data"]).stderr), "");
    indexed(&context, 4 << 20);
    assert_eq!(utf8(&program(&context, "cat", &["data"]).stderr), "");
    let output = program(&context, "cat", &["-v", "data", "/copy", "empty"]);
    assert_eq!(output.stdout, [&content[..], &content].concat());
    let told = utf8(&output.stderr);
    assert!(told.contains("data: 160B from span 0 (0 to 0) of layer 1 (sha256:"), "{told}");
    assert!(told.contains("empty: 0B from span 0"), "{told}");
    let output = program(&context, "cat", &["dir", "null", "loop", "nothing", "data"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout == content, "what can be read is");
    let told = utf8(&output.stderr);
    for part in [
        "dir: it is a directory",
        "soci-layout ls",
        "null: it is a character device",
        "loop: too many levels",
        "nothing: no such file",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(program(&context, "cat", &[]).status.code(), Some(2));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (context, contents) = three();
    let mut child = Command::new(env!("CARGO_BIN_EXE_soci-layout"))
        .arg("cat")
        .arg(context.layout())
        .args(["one", "two", "three"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut head = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut head).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), utf8(&output.stderr)), (Some(0), ""));
    assert_eq!(head, contents[0][..100]);
}
