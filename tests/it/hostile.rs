//! Layouts made to harm: each ends as documented, in bounded time and memory, and stays as it was.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use soci_layout::layer::{EagerCause, EagerReason};
use soci_layout::report::LayerOutcome;
use soci_layout::{Digest, Error};

use crate::context::{Context, text};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const MIB: u64 = 1 << 20;

/// Ends within `limit` with an error that says all of `expected`; every file stays.
#[track_caller]
fn refused(context: &Context, limit: Duration, expected: &[&str]) -> Error {
    let before = context.files();
    let start = Instant::now();
    let error = context.index(&Context::options()).expect_err("must be refused");
    let time = start.elapsed();
    let message = format!("{error} / {}", crate::hints::hint(&error, true).unwrap_or_default());
    assert!(message.len() < 8 << 10, "an error of {} bytes", message.len());
    for part in expected {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
    assert!(time < limit, "took {time:?}");
    assert_eq!(context.files(), before);
    error
}

const SOON: Duration = Duration::from_secs(10);

/// A layout whose only root has these members instead of its own.
fn with_root(change: &Value) -> Context {
    let context = Context::fixture("single");
    let mut index = context.index_json();
    for (name, value) in change.as_object().unwrap() {
        index["manifests"][0][name] = value.clone();
    }
    context.write_index_json(&index.to_string());
    context
}

/// A layout whose only root is this document.
fn with_document(media_type: &str, document: &[u8]) -> Context {
    let context = Context::fixture("single");
    let digest = context.put(document);
    let root = json!({"mediaType": media_type, "digest": digest, "size": document.len()});
    context.write_index_json(&json!({"schemaVersion": 2, "manifests": [root]}).to_string());
    context
}

/// The manifest of `single` as text.
fn manifest(context: &Context) -> String {
    let digest = context.index_json()["manifests"][0]["digest"].clone();
    String::from_utf8(context.blob(text(&digest))).unwrap()
}

#[test]
fn digests_that_are_paths_or_absurd() {
    let long = format!("sha256:{}", "a".repeat(1 << 20));
    for digest in [
        "sha256:../../../../etc/passwd",
        "../../oci-layout",
        "sha256:/etc/passwd",
        "sha256:0000000000000000000000000000000000000000000000000000000000000000\u{0}",
        "sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "sha256:..",
        "sha512:../../x",
        "",
        ":",
        "sha256",
    ] {
        refused(&with_root(&json!({"digest": digest})), SOON, &["index.json", "not a digest"]);
    }
    let context = with_root(&json!({"digest": long}));
    let error = context.index(&Context::options()).unwrap_err();
    assert!(matches!(error, Error::InvalidDigest { .. }), "{error:.100}");
    // Legal in OCI, but nothing of SOCI is: named and left alone as a root, refused as a layer.
    let sha512 = format!("sha512:{}", "0a".repeat(64));
    let error = refused(&with_root(&json!({"digest": sha512})), SOON, &["no container image"]);
    assert!(matches!(error, Error::NoImage { .. }), "{error}");
    let context = Context::fixture("single");
    let mut document: Value = serde_json::from_str(&manifest(&context)).unwrap();
    document["layers"][0]["digest"] = sha512.into();
    let context = with_document(OCI_MANIFEST, document.to_string().as_bytes());
    refused(&context, SOON, &["sha512", "only sha256", "rebuild"]);
}

#[test]
fn sizes_that_lie() {
    for (size, expected) in [
        (json!(-1), "-1"),
        (json!(0), "expected 0 bytes"),
        (json!(1), "expected 1 bytes"),
        (json!(i64::MAX), "limit"),
        (json!(u64::MAX), ""),
        (json!(1e3), ""),
        (json!("1045"), ""),
        (json!(null), ""),
        (serde_json::from_str("18446744073709551616").unwrap(), ""),
        (json!(1045.5), ""),
    ] {
        refused(&with_root(&json!({"size": size})), SOON, &[expected]);
    }
    for size in [json!(-5), json!(u64::MAX), json!(i64::MAX), json!(1)] {
        let context = Context::fixture("single");
        let mut document: Value = serde_json::from_str(&manifest(&context)).unwrap();
        document["layers"][1]["size"] = size;
        refused(&with_document(OCI_MANIFEST, document.to_string().as_bytes()), SOON, &[]);
    }
}

/// Makes something that is no regular file; tells whether it could.
type Make<'a> = &'a dyn Fn(&Path) -> bool;

#[test]
fn blobs_that_are_no_files() {
    let context = Context::fixture("single");
    let root = text(&context.index_json()["manifests"][0]["digest"]).to_owned();
    let layer = text(&context.json(&root)["layers"][0]["digest"]).to_owned();
    for digest in [&root, &layer] {
        let path = context.blob_path(digest);
        let good = fs::read(&path).unwrap();
        let elsewhere = context.layout().parent().unwrap().join("elsewhere");
        fs::write(&elsewhere, &good).unwrap();
        let tool = |program: &str, arguments: &[&str], path: &Path| {
            Command::new(program).arg(path).args(arguments).stderr(Stdio::null()).status().unwrap()
        };
        let kinds: [(&str, Make<'_>); 6] = [
            // Its content would be right: it is not followed all the same.
            ("a symbolic link", &|path| symlink(&elsewhere, path).is_ok()),
            ("a symbolic link", &|path| symlink("/dev/zero", path).is_ok()),
            ("a directory", &|path| fs::create_dir(path).is_ok()),
            ("a named pipe", &|path| tool("mkfifo", &[], path).success()),
            ("a device", &|path| tool("mknod", &["c", "1", "5"], path).success()),
            ("a socket", &|path| std::os::unix::net::UnixListener::bind(path).is_ok()),
        ];
        for (expected, make) in kinds {
            fs::remove_file(&path).unwrap();
            // Making a device takes rights that not everybody has; a long path is no socket.
            if make(&path) {
                let start = Instant::now();
                let error = context.index(&Context::options()).expect_err(expected);
                assert!(error.to_string().contains(expected), "{error}");
                assert!(
                    crate::hints::hint(&error, true)
                        .is_some_and(|hint| hint.contains("links are not followed"))
                );
                assert!(start.elapsed() < SOON);
            } else {
                assert!(["a device", "a socket"].contains(&expected), "{expected} cannot be made");
            }
            if path.is_dir() && !path.is_symlink() {
                fs::remove_dir(&path).unwrap();
            } else {
                let _ = fs::remove_file(&path);
            }
            fs::write(&path, &good).unwrap();
        }
    }
    assert!(context.index(&Context::options()).unwrap().changed, "whole again");
}

#[test]
fn indexes_ten_thousand_deep_and_in_a_circle() {
    let context = Context::fixture("single");
    let mut child = context.index_json()["manifests"][0].clone();
    for _ in 0..10_000 {
        let document = json!({"schemaVersion": 2, "manifests": [child]}).to_string();
        let digest = context.put(document.as_bytes());
        child = json!({"mediaType": OCI_INDEX, "digest": digest, "size": document.len()});
    }
    context.write_index_json(&json!({"schemaVersion": 2, "manifests": [child]}).to_string());
    let error = refused(&context, SOON, &["nesting of indexes", "limit of 16"]);
    assert!(matches!(error, Error::Limit { .. }), "{error}");

    // Nobody can write an index that holds its own digest; one that claims to is not what it claims.
    let context = Context::fixture("single");
    let digest = Digest::of(b"circle").to_string();
    let entry = |size: usize| json!({"mediaType": OCI_INDEX, "digest": digest, "size": size});
    let document = json!({"schemaVersion": 2, "manifests": [entry(200)]}).to_string();
    fs::write(context.blob_path(&digest), &document).unwrap();
    context.write_index_json(&json!({"manifests": [entry(document.len())]}).to_string());
    let error = refused(&context, SOON, &["is corrupt"]);
    assert!(matches!(error, Error::BlobDigest { .. }), "{error}");
}

#[test]
fn documents_of_a_gibibyte() {
    let context = with_root(&json!({"size": 1_u64 << 30}));
    let digest = text(&context.index_json()["manifests"][0]["digest"]).to_owned();
    let path = context.blob_path(&digest);
    fs::remove_file(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let start = Instant::now();
    let error = context.index(&Context::options()).unwrap_err();
    assert!(matches!(error, Error::Limit { limit: 4_194_304, .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(2));

    for name in ["index.json", "oci-layout"] {
        let context = Context::fixture("single");
        fs::File::create(context.layout().join(name)).unwrap().set_len(1 << 30).unwrap();
        let error = context.index(&Context::options()).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_million_descriptors() {
    let context = Context::fixture("single");
    let one = context.index_json()["manifests"][0].to_string();
    let foreign = r#"{"digest":"a:b"}"#;
    let list = vec![foreign; 1_000_000].join(",");
    context.write_index_json(&format!("{{\"manifests\":[{one},{list}]}}"));
    let before = context.files();
    let start = Instant::now();
    let error = context.index(&Context::options()).unwrap_err();
    assert!(matches!(error, Error::Limit { limit: 1_000_000, found: 1_000_001, .. }), "{error}");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(context.files(), before);
    // As many as fit and are known: the size of index.json is the limit that counts.
    let list = vec![one; 200_000].join(",");
    context.write_index_json(&format!("{{\"manifests\":[{list}]}}"));
    let error = refused(&context, SOON, &["index.json", "size in bytes"]);
    assert!(matches!(error, Error::Limit { .. }), "{error}");
}

#[test]
fn json_that_is_deep_or_says_things_twice() {
    const DEEP: usize = 1_000_000;
    let context = Context::fixture("single");
    let good = manifest(&context);
    let tower = format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP));
    let objects = format!("{}1{}", "{\"a\":".repeat(DEEP / 2), "}".repeat(DEEP / 2));
    let broken = "[".repeat(DEEP);
    for bomb in [&tower, &objects, &broken] {
        let whole = *bomb != broken;
        // The document itself, members that are read, and one that nobody knows.
        let context = Context::fixture("single");
        context.write_index_json(bomb);
        refused(&context, SOON, &["index.json"]);
        for (what, document) in [
            ("itself", bomb.clone()),
            ("layers", format!("{{\"config\":{{}},\"layers\":{bomb}}}")),
            ("annotations", good.replacen('{', &format!("{{\"annotations\":{bomb},"), 1)),
            ("config", good.replacen("\"config\": {", &format!("\"config\": {{\"x\":{bomb},"), 1)),
            ("unknown", good.replacen('{', &format!("{{\"x-unknown\":{bomb},"), 1)),
        ] {
            let context = with_document(OCI_MANIFEST, document.as_bytes());
            let start = Instant::now();
            let result = context.index(&Context::options());
            assert!(start.elapsed() < SOON, "{what}: {:?}", start.elapsed());
            match result {
                // Only where nobody has to look inside.
                Ok(report) => {
                    assert!(whole && ["unknown", "config"].contains(&what), "{what}");
                    let after = context.blob(&report.images[0].after.to_string());
                    let after = String::from_utf8(after).unwrap();
                    assert!(after.contains(bomb.as_str()), "{what}: an unknown member is lost");
                }
                Err(error) => assert!(error.to_string().len() < 1000, "{what}"),
            }
        }
    }
    for twice in [
        good.replacen('{', "{\"layers\":[],", 1),
        good.replacen('{', "{\"\\u006cayers\":[],", 1),
        good.replacen("\"size\"", "\"size\":1,\"size\"", 1),
    ] {
        refused(&with_document(OCI_MANIFEST, twice.as_bytes()), SOON, &["twice"]);
    }
    for (spelt, folded) in [
        ("LAYERS", good.replacen('{', "{\"LAYERS\":[],", 1)),
        ("Size", good.replacen("\"size\"", "\"Size\":1,\"size\"", 1)),
    ] {
        let said = [spelt, "programs in Go take it for that"];
        refused(&with_document(OCI_MANIFEST, folded.as_bytes()), SOON, &said);
    }
}

/// Writes bits as deflate wants them: first bit lowest; Huffman codes come with their first bit first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn number(&mut self, value: u32, count: usize) {
        for bit in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (self.used % 8);
            self.used += 1;
        }
    }

    fn code(&mut self, digits: &str) {
        for digit in digits.bytes() {
            self.number(u32::from(digit == b'1'), 1);
        }
    }
}

/// A gzip member that begins with `head` (at most 65535 bytes) and goes on with 258 times `matches`
/// bytes that repeat what stands one byte or, when `far`, 512 bytes before.
fn bomb(head: &[u8], matches: usize, far: bool) -> Vec<u8> {
    let mut bits = Bits::default();
    // A stored block.
    bits.number(0, 8);
    let len = u32::try_from(head.len()).unwrap();
    bits.number(len, 16);
    bits.number(!len, 16);
    for byte in head {
        bits.number(u32::from(*byte), 8);
    }
    // The last block, with own codes: 286 lengths, one distance (or 18), 18 lengths of code lengths.
    bits.number(0b101, 3);
    bits.number(29, 5);
    bits.number(if far { 17 } else { 0 }, 5);
    bits.number(14, 4);
    for length in [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2] {
        bits.number(length, 3);
    }
    let zeros = |bits: &mut Bits, count: u32| {
        bits.code("0");
        bits.number(count - 11, 7);
    };
    // 0 and 256 have two bits, 285 (a match of 258 bytes) has one.
    bits.code("11");
    zeros(&mut bits, 138);
    zeros(&mut bits, 117);
    bits.code("11");
    zeros(&mut bits, 28);
    bits.code("10");
    if far {
        zeros(&mut bits, 17);
    }
    bits.code("10");
    for _ in 0..matches {
        bits.code("00");
        if far {
            bits.number(127, 7);
        }
    }
    bits.code("11");
    let mut crc = crc32fast::Hasher::new();
    crc.update(head);
    let period = if far { &head[head.len() - 512..] } else { &head[head.len() - 1..] };
    let piece: Vec<u8> = period.iter().copied().cycle().take(258 * 512).collect();
    let mut left = 258 * matches;
    while left > 0 {
        let taken = left.min(piece.len());
        crc.update(&piece[..taken]);
        left -= taken;
    }
    let length = (head.len() + 258 * matches) as u32;
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    member.extend_from_slice(&bits.bytes);
    member.extend_from_slice(&crc.finalize().to_le_bytes());
    member.extend_from_slice(&length.to_le_bytes());
    member
}

/// A tar header; `size` is the field's twelve bytes.
fn header(name: &[u8], kind: u8, size: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name);
    block[124..124 + size.len()].copy_from_slice(size);
    block[148..156].fill(b' ');
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn octal(size: usize) -> Vec<u8> {
    format!("{size:011o}").into_bytes()
}

/// A whole entry with its data.
pub(crate) fn entry(name: &[u8], kind: u8, data: &[u8]) -> Vec<u8> {
    let mut entry = header(name, kind, &octal(data.len()));
    entry.extend_from_slice(data);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

/// What a run of the binary used.
struct Usage {
    code: Option<i32>,
    stderr: String,
    peak: u64,
    time: Duration,
}

/// Runs the binary and watches its memory.
fn measured(layout: &Path, arguments: &[&str]) -> Usage {
    let log = layout.with_extension("stderr");
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_soci-layout"))
        .args(["index", "--min-layer-size", "0", "--progress", "plain"])
        .arg(layout)
        .args(arguments)
        .env_clear()
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let exit = loop {
        // The high-water mark of the resident set, in kB.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let mark = mark.and_then(|mark| mark.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(mark.unwrap_or(0) << 10);
        if let Some(exit) = child.try_wait().unwrap() {
            break exit;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let stderr = String::from_utf8(fs::read(log).unwrap()).unwrap();
    Usage { code: exit.code(), stderr, peak, time: start.elapsed() }
}

#[test]
fn a_gzip_bomb_runs_in_bounded_memory() {
    // One file of 4 GiB of zeros: 64 members of 64 MiB, 4 MiB of gzip in all.
    const MEMBERS: usize = 64;
    let zeros = bomb(&[0], (64 << 20) / 258, false);
    let each = 1 + 258 * ((64 << 20) / 258);
    let mut layer = bomb(&header(b"zeros", b'0', &octal(MEMBERS * each)), 0, false);
    layer.extend_from_slice(&zeros.repeat(MEMBERS));
    assert!(layer.len() < 5 << 20, "{}", layer.len());
    let context = Context::fixture("single");
    context.replace_layer(0, &layer);
    let usage = measured(&context.layout(), &["--span-size", "128MiB"]);
    assert_eq!(usage.code, Some(0), "{}", usage.stderr);
    assert!(usage.peak > MIB, "not measured");
    assert!(usage.peak < 64 * MIB, "{} MiB", usage.peak / MIB);
    assert!(usage.time < Duration::from_secs(60), "{:?}", usage.time);
}

/// A layer of `members` times 33 025 empty files.
fn many_files(members: usize) -> Vec<u8> {
    bomb(&header(b"a", b'0', b""), 256 * 256, true).repeat(members)
}

#[test]
fn two_million_entries() {
    let context = Context::fixture("single");
    context.replace_layer(0, &many_files(61));
    let usage = measured(&context.layout(), &["--min-saving", "0"]);
    assert_eq!(usage.code, Some(0), "{}", usage.stderr);
    assert!(usage.stderr.contains("2014550 files"), "{}", usage.stderr);
    assert!(usage.peak < 1024 * MIB, "{} MiB", usage.peak / MIB);
    assert!(usage.time < Duration::from_secs(60), "{:?}", usage.time);
}

#[test]
#[ignore = "takes some 20 s and 3 GiB; make hostile runs it"]
fn ten_million_entries_reach_the_limit() {
    let context = Context::fixture("single");
    context.replace_layer(0, &many_files(320));
    let usage = measured(&context.layout(), &[]);
    assert_eq!(usage.code, Some(0), "{}", usage.stderr);
    assert!(usage.stderr.contains("1 GiB, more than a zTOC can hold"), "{}", usage.stderr);
    assert!(usage.peak < 4096 * MIB, "{} MiB", usage.peak / MIB);
}

/// What becomes of a plain layer made of these bytes.
fn outcome(tar: &[u8]) -> Result<LayerOutcome, Error> {
    let context = Context::fixture("single");
    // A stored member would do as well, but sizes are plain to see in this one.
    let layer = tar.chunks(60_000).flat_map(|piece| bomb(piece, 0, false)).collect::<Vec<u8>>();
    context.replace_layer(0, &layer);
    let before = context.files();
    let options = with!(Context::options(), accept_unlike_unpacked = true);
    let result = context.index(&options);
    match result {
        Ok(report) => Ok(report.layers[0].outcome.clone()),
        Err(error) => {
            assert_eq!(context.files(), before);
            Err(error)
        }
    }
}

/// Why a plain layer made of these bytes is eager.
fn eager(tar: &[u8]) -> EagerReason {
    match outcome(tar).unwrap() {
        LayerOutcome::Skipped(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn pax(key: &str, value: &[u8]) -> Vec<u8> {
    let mut len = key.len() + value.len() + 3;
    while len != key.len() + value.len() + 3 + len.to_string().len() {
        len = key.len() + value.len() + 3 + len.to_string().len();
    }
    [format!("{len} {key}=").as_bytes(), value, b"\n"].concat()
}

#[test]
fn tar_headers_made_to_overflow() {
    let end = [0; 1024];
    let top = b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff";
    for (tar, expected) in [
        // Data beyond the end, in octal and up to 2^63 - 1.
        (header(b"f", b'0', &octal(0o77_777_777_777)), "ends within the data of a file"),
        (header(b"f", b'0', top), "ends within the data of a file"),
        // Base-256 of more than 63 bits, and below zero.
        (header(b"f", b'0', b"\x80\0\0\0\x80\0\0\0\0\0\0\0"), "not a number"),
        (header(b"f", b'0', b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "not a number"),
        (header(b"f", b'0', &[0xff; 12]), "negative size -1"),
        // Meta entries: too long, and longer than the archive.
        (header(b"x", b'x', &octal((1 << 20) + 1)), "longer than 1 MiB"),
        (header(b"x", b'x', top), "longer than 1 MiB"),
        (header(b"L", b'L', &octal((1 << 20) + 1)), "longer than 1 MiB"),
        (header(b"x", b'x', &octal(1 << 20)), "ends within an extended header"),
        // Lengths of PAX records.
        (entry(b"x", b'x', b"99999999999999999999 k=v\n"), "malformed PAX record"),
        (entry(b"x", b'x', b"0 k=v\n"), "malformed PAX record"),
        (entry(b"x", b'x', b"-6 k=v\n"), "malformed PAX record"),
        (entry(b"x", b'x', b"4096 k=v\n"), "malformed PAX record"),
    ] {
        let reason = eager(&tar);
        assert_eq!(reason.cause, EagerCause::Unreadable, "{reason}");
        assert!(reason.text.contains(expected), "{reason} lacks {expected}");
    }
    let size = [entry(b"x", b'x', &pax("size", b"9223372036854775807")), entry(b"f", b'0', b"")];
    let reason = eager(&[&size.concat()[..], &end].concat());
    assert!(reason.text.contains("ends within the data"), "{reason}");
}

#[test]
fn names_of_a_mebibyte_and_records_without_end() {
    let long = vec![b'n'; (1 << 20) - 16];
    let mut tar = Vec::new();
    for _ in 0..3 {
        tar.extend_from_slice(&entry(b"x", b'x', &pax("path", &long)));
        tar.extend_from_slice(&entry(b"short", b'0', b"data"));
    }
    tar.extend_from_slice(&entry(b"L", b'L', &long));
    tar.extend_from_slice(&entry(b"short", b'2', b""));
    tar.resize(tar.len() + 1024, 0);
    let found = outcome(&tar).unwrap();
    assert!(matches!(found, LayerOutcome::Indexed { ref ztoc } if ztoc.files == 4), "{found:?}");

    // As many records as a header can hold: of equal keys, and of different ones.
    let equal = pax("k", b"").repeat((1 << 20) / 5 - 1);
    let different: Vec<u8> =
        (0..60_000).flat_map(|number| pax(&format!("k{number}"), b"v")).collect();
    assert!(equal.len() <= 1 << 20 && different.len() <= 1 << 20, "{}", different.len());
    for records in [equal, different] {
        let tar = [entry(b"x", b'x', &records), entry(b"f", b'0', b""), vec![0; 1024]].concat();
        let start = Instant::now();
        let found = outcome(&tar).unwrap();
        assert!(matches!(found, LayerOutcome::Indexed { .. }), "{found:?}");
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    }
}

#[test]
fn names_that_act_on_a_terminal_are_escaped() {
    let bad = "\x1b[2jn\u{202e}gpj.exe\u{9b}31m\r\u{2066}";
    let check = |context: &Context, arguments: &[&str]| {
        let usage = measured(&context.layout(), arguments);
        let told = &usage.stderr;
        assert_ne!(usage.code, Some(70), "{told}");
        let acts = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2066}".contains(c);
        assert!(!told.contains(acts), "{told:?}");
        assert!(told.contains("\\u{1b}[2jn\\u{202e}gpj.exe\\u{9b}31m\\r\\u{2066}"), "{told}");
    };
    // A file in a layer: as the place of damage and as a reason to skip.
    for entry in [header(bad.as_bytes(), b'0', &[0xff; 12]), header(bad.as_bytes(), b'V', b"")] {
        let context = Context::fixture("single");
        context.replace_layer(0, &bomb(&entry, 0, false));
        check(&context, &[]);
    }
    // The names, the digest and the media type of an image.
    let names = json!({"org.opencontainers.image.ref.name": bad});
    check(&with_root(&json!({"annotations": names})), &["--ref", "other"]);
    check(&with_root(&json!({"digest": format!("sha256:{bad}")})), &[]);
    let platform = json!({"architecture": bad, "os": bad});
    check(&with_root(&json!({"platform": platform})), &[]);
}

#[test]
fn one_document_mentioned_often_is_kept_once() {
    let filler = "x".repeat(4 * 1000 * 1000);
    let document = json!({"manifests": [], "x-filler": filler}).to_string();
    let context = with_document(OCI_INDEX, document.as_bytes());
    let entry = context.index_json()["manifests"][0].to_string();
    let list = vec![entry; 500].join(",");
    context.write_index_json(&format!("{{\"manifests\":[{list}]}}"));
    let usage = measured(&context.layout(), &[]);
    assert_eq!(usage.code, Some(1), "{}", usage.stderr);
    assert!(usage.peak < 256 * MIB, "{} MiB", usage.peak / MIB);
}

#[test]
fn a_named_pipe_instead_of_a_document_does_not_hang() {
    for name in ["index.json", "oci-layout"] {
        let context = Context::fixture("single");
        let path = context.layout().join(name);
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        // GNU timeout: 124 tells that it had to end the program.
        let exit = Command::new("timeout")
            .args(["5", env!("CARGO_BIN_EXE_soci-layout"), "index"])
            .arg(context.layout())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(exit.code(), Some(1), "{name}: 124 is a hang");
    }
}

/// Bytes of a zTOC whose one entry's time is `2023-11-14T22:13:20.` and nine letters.
#[test]
fn a_ztoc_with_letters_for_a_fraction_is_refused() {
    let context = Context::fixture("single");
    context.index(&Context::options()).unwrap();
    let mut found = 0;
    for entry in fs::read_dir(context.layout().join("blobs/sha256")).unwrap() {
        let mut bytes = fs::read(entry.unwrap().path()).unwrap();
        let date = b"2023-11-14T22:13:20Z";
        let Some(at) = bytes.windows(date.len()).position(|window| window == date) else {
            continue;
        };
        if soci_layout::ztoc::Ztoc::decode(&bytes).is_err() {
            continue;
        }
        // The length before the text, then the text over what follows it.
        bytes[at - 4..at].copy_from_slice(&30_u32.to_le_bytes());
        bytes[at..at + 30].copy_from_slice(b"2023-11-14T22:13:20.zzzzzzzzzZ");
        found += 1;
        assert!(soci_layout::ztoc::Ztoc::decode(&bytes).is_err());
    }
    assert!(found > 0);
}

#[test]
fn a_thousand_descriptors_of_other_algorithms_are_not_a_thousand_warnings() {
    let context = Context::fixture("single");
    let mut index = context.index_json();
    let mut foreign = index["manifests"][0].clone();
    foreign["digest"] = format!("sha512:{}", "0".repeat(128)).into();
    let roots = index["manifests"].as_array_mut().unwrap();
    roots.extend((0..1000).map(|_| foreign.clone()));
    context.write_index_json(&index.to_string());
    let report = context.index(&Context::options()).unwrap();
    assert_eq!(report.warnings.len(), 21);
    assert_eq!(report.warnings[20], "left alone: 980 more (only sha256 is supported)");
}
