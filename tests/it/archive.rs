//! Archives in: what is taken, what is refused, and that the result is that of the unpacked directory.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write as _};
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output as Outcome, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use soci_layout::archive::{Input, Output};
use soci_layout::event::Silent;
use soci_layout::{Digest, Error, Options, Report, archive};
use tempfile::TempDir;
use tokio_tar::{EntryType, Header};

use crate::context::{Context, fixtures};

const SMALL: [&str; 4] = ["--min-layer-size", "0", "--span-size", "64KiB"];

/// A tar archive in memory.
#[derive(Clone, Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn header(name: &str, kind: u8, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(EntryType::new(kind));
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header
    }

    fn raw(mut self, header: &Header, content: &[u8]) -> Self {
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.raw(&Self::header(name, b'0', content.len() as u64), content)
    }

    fn entry(self, name: &str, kind: u8) -> Self {
        self.raw(&Self::header(name, kind, 0), b"")
    }

    /// A PAX header for the next member.
    fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut content = Vec::new();
        for (key, value) in records {
            let rest = format!(" {key}={value}\n");
            let length = (1..1 << 30).find(|n| n.to_string().len() + rest.len() == *n).unwrap();
            content.extend(format!("{length}{rest}").bytes());
        }
        self.raw(&Self::header("PaxHeaders/x", b'x', content.len() as u64), &content)
    }

    fn blob(self, content: &[u8]) -> Self {
        self.file(&format!("blobs/sha256/{}", Digest::of(content).hex()), content)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }

    /// A fixture as `BuildKit` writes it: blobs, then the documents.
    fn fixture(name: &str) -> Self {
        let root = fixtures().join(name);
        let mut blobs: Vec<PathBuf> =
            fs::read_dir(root.join("blobs/sha256")).unwrap().map(|e| e.unwrap().path()).collect();
        blobs.sort();
        let mut tar = Self::default().entry("blobs/", b'5').entry("blobs/sha256/", b'5');
        for path in blobs {
            tar = tar.blob(&fs::read(path).unwrap());
        }
        tar.documents(&root)
    }

    fn documents(self, root: &Path) -> Self {
        self.file("index.json", &fs::read(root.join("index.json")).unwrap())
            .file("oci-layout", &fs::read(root.join("oci-layout")).unwrap())
    }
}

fn input(bytes: &[u8]) -> Input {
    Input::new("image.tar".to_owned(), Box::new(Cursor::new(bytes.to_vec())))
}

fn to_directory(bytes: &[u8], path: &Path, options: &Options) -> Result<Report, Error> {
    let output = Output::Directory { path: path.to_owned(), force: false };
    archive::index(input(bytes), output, options, &Silent)
}

fn to_archive(bytes: &[u8], options: &Options) -> Vec<u8> {
    let mut archive = Vec::new();
    let output = Output::Stream { name: "memory".to_owned(), writer: &mut archive };
    archive::index(input(bytes), output, options, &Silent).unwrap();
    archive
}

/// Content by path.
fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

/// What the layers' fate was, without what the size of a run decides.
fn outcomes(report: &Report) -> Value {
    serde_json::to_value(&report.layers).unwrap()
}

#[test]
fn an_archive_gives_what_its_directory_gives() {
    for fixture in
        ["single", "multi-attest", "appended", "estargz", "uncompressed", "zstd-mixed", "zstd"]
    {
        for jobs in [1, 4] {
            let options = with!(Context::options(), jobs = NonZeroUsize::new(jobs));
            let unpacked = Context::fixture(fixture);
            let expected = unpacked.index(&options).unwrap();
            let temp = TempDir::new().unwrap();
            let path = temp.path().join("out");
            let report = to_directory(&Tar::fixture(fixture).end(), &path, &options).unwrap();
            assert_eq!(contents(&path), contents(&unpacked.layout()), "{fixture} {jobs}");
            assert_eq!(outcomes(&report), outcomes(&expected), "{fixture} {jobs}");
            assert_eq!(report.blobs_written, expected.blobs_written, "{fixture} {jobs}");
            // A file is read in another way than a pipe.
            let file = temp.path().join("image.tar");
            fs::write(&file, Tar::fixture(fixture).end()).unwrap();
            let second = temp.path().join("second");
            let output = Output::Directory { path: second.clone(), force: false };
            archive::index(Input::open(&file).unwrap(), output, &options, &Silent).unwrap();
            assert_eq!(contents(&second), contents(&path), "{fixture} {jobs}");
            // Nothing else is left, and modes are BuildKit's.
            assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 3);
            for name in contents(&path).keys() {
                let mode = path.join(name).metadata().unwrap().mode() & 0o777;
                let expected = if name.starts_with("blobs/") { 0o444 } else { 0o644 };
                assert_eq!(mode, expected, "{name}");
            }
        }
    }
}

#[test]
fn archives_of_real_tools_are_taken() {
    let temp = TempDir::new().unwrap();
    for name in ["single.tar", "multi.tar", "docker-exporter.tar"] {
        let bytes = fs::read(fixtures().join("..").join("archives").join(name)).unwrap();
        let path = temp.path().join(name).with_extension("");
        let report = to_directory(&bytes, &path, &Context::options()).unwrap();
        assert!(report.changed, "{name}");
        let untouched = path.join("manifest.json").exists();
        assert_eq!(untouched, name == "docker-exporter.tar");
    }
    let single = Context::fixture("single");
    single.index(&Context::options()).unwrap();
    assert_eq!(contents(&temp.path().join("single")), contents(&single.layout()));
}

/// Layers that pass by fill the cache; those that it has are not scanned, and the result is the same.
#[test]
fn passing_layers_and_the_cache() {
    let temp = TempDir::new().unwrap();
    let cache = temp.path().join("cache");
    let options = with!(Context::options(), cache_dir = Some(cache.clone()));
    let bytes = Tar::fixture("single").end();
    let run = |name: &str| {
        let path = temp.path().join(name);
        let report = to_directory(&bytes, &path, &options).unwrap();
        let used = report.cache.unwrap();
        (contents(&path), [used.hits, used.misses, used.rejected, used.writes], report)
    };
    let plain = temp.path().join("plain");
    to_directory(&bytes, &plain, &Context::options()).unwrap();
    let (first, numbers, _) = run("first");
    assert_eq!(numbers, [0, 4, 0, 4]);
    assert_eq!(first, contents(&plain));
    let (second, numbers, report) = run("second");
    assert_eq!(numbers, [4, 0, 0, 0]);
    assert_eq!(second, first);
    assert!(outcomes(&report).as_array().unwrap().iter().all(|layer| layer["from"] == "cache"));
    // A directory finds what a pipe left.
    let report = Context::fixture("single").index(&options).unwrap();
    assert_eq!(report.cache.unwrap().hits, 4);

    // An entry that is damaged is told, and made again from the layer that passes by.
    let entry = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let mut damaged = fs::read(&entry).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    fs::remove_file(&entry).unwrap();
    fs::write(&entry, damaged).unwrap();
    let (third, numbers, report) = run("third");
    assert_eq!(numbers, [3, 1, 1, 1]);
    assert_eq!(third, first);
    assert!(report.warnings.iter().any(|w| w.contains("cannot be used")), "{:?}", report.warnings);
    assert_eq!(run("fourth").1, [4, 0, 0, 0]);

    // One that is sound and of another layer is not taken.
    let mut entries: Vec<_> =
        fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let other = fs::read(&entries[1]).unwrap();
    fs::remove_file(&entries[0]).unwrap();
    fs::write(&entries[0], other).unwrap();
    let (fifth, numbers, _) = run("fifth");
    assert_eq!((numbers[0], numbers[3]), (3, 1));
    assert_eq!(fifth, first);
}

/// Layers whose scan found something else than what their media type says, and things that are none.
#[test]
fn what_only_looks_like_a_layer_is_no_error() {
    let context = Context::fixture("single");
    let gzip_of_text = gzip(b"not a tar archive at all\n");
    let mut tar_like = vec![b'x'; 3000];
    tar_like[257..262].copy_from_slice(b"ustar");
    for junk in [&gzip_of_text[..], &tar_like, &[0x1f, 0x8b, 8, 0, 1, 2, 3]] {
        context.put(junk);
    }
    let expected = context.index(&Context::options()).unwrap();
    let mut tar = Tar::default();
    for bytes in contents(&context.layout().join("blobs/sha256")).values() {
        tar = tar.blob(bytes);
    }
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("out");
    // As it was before: its new blobs are there, but nothing names them.
    let archive = tar.documents(&fixtures().join("single")).end();
    let report = to_directory(&archive, &path, &Context::options()).unwrap();
    assert_eq!(contents(&path), contents(&context.layout()));
    assert_eq!(outcomes(&report), outcomes(&expected));
    assert_eq!(report.blobs_written, 0);
}

#[test]
fn an_indexed_archive_is_indexed_again_without_a_change() {
    let once = to_archive(&Tar::fixture("multi-attest").end(), &Context::options());
    let temp = TempDir::new().unwrap();
    let report = to_directory(&once, &temp.path().join("x"), &Context::options()).unwrap();
    assert!(!report.changed);
    assert!(outcomes(&report).as_array().unwrap().iter().all(|l| l["outcome"] == "reused"));
    assert_eq!(to_archive(&once, &Context::options()), once);
}

#[test]
fn archives_out_depend_on_the_content_alone() {
    let first = to_archive(&Tar::fixture("appended").end(), &Context::options());
    let options = with!(Context::options(), jobs = NonZeroUsize::new(1));
    assert_eq!(to_archive(&Tar::fixture("appended").end(), &options), first);
    // Other order, another way of writing names, something that nothing refers to.
    let root = fixtures().join("appended");
    let mut tar = Tar::default().entry("./", b'5').entry("ingest/", b'5').documents(&root);
    for bytes in contents(&root.join("blobs/sha256")).values().rev() {
        tar = tar.blob(bytes);
    }
    let tar = tar.blob(b"stray");
    assert_eq!(to_archive(&tar.end(), &options), first);

    // Another program's view of it.
    let temp = TempDir::new().unwrap();
    fs::write(temp.path().join("x.tar"), &first).unwrap();
    let listed = Command::new("tar")
        .args(["--numeric-owner", "--full-time", "-tvf", "x.tar"])
        .env("TZ", "UTC")
        .current_dir(&temp)
        .output()
        .unwrap();
    assert!(listed.status.success());
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut names = Vec::new();
    for line in listed.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, _, date, time, name] = fields[..] else { panic!("{line}") };
        assert_eq!((owner, date, time), ("0/0", "1970-01-01", "00:00:00"), "{line}");
        let expected = match name {
            "index.json" => "-rw-r--r--",
            directory if directory.ends_with('/') => "drwxr-xr-x",
            _ => "-r--r--r--",
        };
        assert_eq!(mode, expected, "{line}");
        names.push(name);
    }
    assert!(names.is_sorted() && names.last() == Some(&"oci-layout"), "{names:?}");
    assert!(!listed.contains(&Digest::of(b"stray").hex()));
}

#[test]
fn other_algorithms_are_checked_and_kept() {
    let content = b"{\"a\":1}";
    let hex = |text: &str| {
        let sum = run(Command::new("sha512sum"), text.as_bytes());
        String::from_utf8(sum).unwrap()[..128].to_owned()
    };
    let root = fixtures().join("single");
    let with = |digits: &str, content: &str| {
        let name = format!("blobs/sha512/{digits}");
        let mut tar = Tar::fixture("single");
        // Named by the index, so that it is not stray.
        let index = fs::read_to_string(root.join("index.json")).unwrap();
        let index = index.replacen('{', &format!("{{\"x\":\"sha512:{digits}\","), 1);
        tar.0.truncate(tar.0.len() - 2 * 1024);
        tar = tar.pax(&[("path", &name)]).file("long", content.as_bytes());
        tar.file("index.json", index.as_bytes())
            .file("oci-layout", &fs::read(root.join("oci-layout")).unwrap())
            .end()
    };
    let text = std::str::from_utf8(content).unwrap();
    let digits = hex(text);
    let archive = to_archive(&with(&digits, text), &Context::options());
    let again = TempDir::new().unwrap();
    let path = again.path().join("x");
    to_directory(&archive, &path, &Context::options()).unwrap();
    assert_eq!(fs::read(path.join("blobs/sha512").join(&digits)).unwrap(), content);
    let error = to_directory(&with(&digits, "{}"), &again.path().join("y"), &Options::default());
    assert!(error.unwrap_err().to_string().contains("corrupt"));
}

/// Refused with the member's name and its offset, and nothing is left.
#[track_caller]
fn refused(archive: &[u8], options: &Options, parts: &[&str]) {
    let temp = TempDir::new().unwrap();
    let error = to_directory(archive, &temp.path().join("out"), options).expect_err(parts[0]);
    let message = format!("{error} / {}", crate::hints::hint(&error, true).unwrap_or_default());
    for part in parts {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
    assert!(is_empty(temp.path()), "{message}");
}

#[test]
fn hostile_members() {
    let options = Context::options();
    let start = Tar::fixture("single");
    let offset = start.0.len();
    let hex = Digest::of(b"").hex();
    let blob = format!("blobs/sha256/{hex}");
    let sparse_size = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")];
    let big = "x".repeat(2 << 20);
    let long = |count: usize| {
        let mut tar = start.clone();
        for _ in 0..count {
            tar = tar.pax(&[("comment", &big[..900 << 10])]);
        }
        tar
    };
    for (tar, part) in [
        (start.clone().entry("../x", b'0'), "leads out"),
        (start.clone().entry("/etc/passwd", b'0'), "absolute"),
        (start.clone().entry("blobs/./sha256/x", b'0'), "shortest form"),
        (start.clone().entry(&blob, b'2'), "symbolic link"),
        (start.clone().entry(&blob, b'1'), "hard link"),
        (start.clone().entry(&blob, b'3'), "device"),
        (start.clone().entry(&blob, b'6'), "named pipe"),
        (start.clone().entry("x", b'g'), "global PAX header"),
        (start.clone().entry("readme", b'0'), "does not belong"),
        (start.clone().entry("dir/index.json", b'0'), "tar -C DIR"),
        (start.clone().entry(&format!("{hex}/layer.tar"), b'2'), "docker-archive"),
        (start.clone().entry("blobs/md5/x", b'0'), "algorithm"),
        (start.clone().file("index.json", b"{}"), "more than once"),
        (start.clone().file("oci-layout", &[b' '; 5000]), "exceeds the limit"),
        (start.clone().blob(b"one").blob(b"two").blob(b"one"), "more than once"),
        (start.clone().file(&blob, b"not empty"), "corrupt"),
        (start.clone().file(&blob, &gzip(b"not empty")), "corrupt"),
    ] {
        refused(&tar.end(), &options, &["image.tar", "at byte", part]);
    }
    for (tar, part) in [
        // RUSTSEC-2025-0111: one program sees a member of 512 bytes, another sees those as a member.
        (start.clone().pax(&[("size", "512")]).raw(&Tar::header(&blob, b'0', 0), &[0; 512]), "512"),
        (start.clone().pax(&[("size", "0")]).raw(&Tar::header(&blob, b'0', 512), &[0; 512]), "512"),
        (start.clone().pax(&[("size", "-1")]).entry(&blob, b'0'), "size"),
        (start.clone().pax(&[("size", "99999999999999999999")]).entry(&blob, b'0'), "size"),
        (start.clone().pax(&sparse_size).entry(&blob, b'0'), "sparse"),
        (start.clone().entry(&blob, b'S'), "sparse"),
        (start.clone().pax(&[("path", "../x")]).entry(&blob, b'0'), "leads out"),
        (start.clone().pax(&[("path", "a"), ("path", "b")]).entry(&blob, b'0'), "twice"),
        (start.clone().pax(&[("comment", &big)]).entry(&blob, b'0'), "headers"),
        (long(2), "damaged"),
    ] {
        refused(&tar.end(), &options, &["image.tar", part]);
    }
    // The first member that is refused stands where the message says.
    let message = |tar: Tar| {
        let temp = TempDir::new().unwrap();
        to_directory(&tar.end(), &temp.path().join("x"), &options).unwrap_err().to_string()
    };
    let told = message(start.clone().entry("\u{1b}[31m", b'0').entry("/x", b'0'));
    assert!(told.contains(&format!("at byte {offset}:")) && !told.contains('\u{1b}'), "{told}");
    // Control: the archive itself is sound, with records that are harmless.
    let temp = TempDir::new().unwrap();
    let sound = start.pax(&[("mtime", "1.5"), ("size", "3")]).blob(b"one");
    to_directory(&sound.end(), &temp.path().join("x"), &options).unwrap();
}

/// A hostile name need not be UTF-8, and may fill its field.
#[test]
fn names_that_are_no_text() {
    let mut header = Tar::header("x", b'0', 0);
    header.as_old_mut().name = [0xff; 100];
    header.set_cksum();
    refused(&Tar::default().raw(&header, b"").end(), &Options::default(), &["UTF-8", "at byte 0"]);
}

#[test]
fn archives_that_are_cut_or_longer() {
    let options = Context::options();
    let whole = Tar::fixture("single").end();
    let marks = whole.len() - 1024;
    for (bytes, part) in [
        (&whole[..marks], "end mark"),
        (&whole[..marks - 100], "cut short"),
        (&whole[..marks - 512], "cut short"),
        (&whole[..5000], "cut short"),
        (&whole[..512], "end mark"),
        (&whole[..100], "not a tar archive"),
        (&whole[..0], "empty"),
    ] {
        refused(bytes, &options, &[part]);
    }
    let mut longer = whole.clone();
    longer.extend([0; 10_000]);
    longer.extend(b"and more");
    refused(&longer, &options, &["follows", &format!("at byte {}", whole.len() + 10_000)]);
    let mut twice = whole.clone();
    twice.extend(&whole);
    refused(&twice, &options, &["follows"]);
    // A lone block of zeros, and many, end an archive too.
    for size in [marks + 512, marks + 20_480] {
        let mut bytes = whole[..marks].to_vec();
        bytes.resize(size, 0);
        let temp = TempDir::new().unwrap();
        to_directory(&bytes, &temp.path().join("x"), &options).unwrap();
    }
    for (kind, part) in [("dir/", "docker-archive"), ("blobs/", "no index.json")] {
        let tar = if kind == "dir/" {
            Tar::default().file("manifest.json", b"[]")
        } else {
            Tar::default().entry("blobs/", b'5')
        };
        refused(&tar.end(), &options, &[part]);
    }
    let unmarked = Tar::default().file("index.json", b"{}").end();
    refused(&unmarked, &options, &["oci-layout"]);
    let wrong = Tar::default()
        .file("index.json", b"{}")
        .file("oci-layout", br#"{"imageLayoutVersion":"2.0.0"}"#)
        .end();
    refused(&wrong, &options, &["image.tar/oci-layout", "2.0.0"]);
    let broken = Tar::default()
        .file("index.json", b"{\"manifests\":")
        .file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
        .end();
    refused(&broken, &options, &["image.tar/index.json"]);
}

/// Bytes through a program that reads standard input.
fn run(mut command: Command, bytes: &[u8]) -> Vec<u8> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let mut out = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut command = Command::new("gzip");
    command.arg("-nc");
    run(command, bytes)
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut command = Command::new("zstd");
    command.arg("-qc");
    run(command, bytes)
}

#[test]
fn compressed_archives_of_one_and_many_parts() {
    let plain = Tar::fixture("single").end();
    let (first, second) = plain.split_at(plain.len() / 3);
    let expected = to_archive(&plain, &Context::options());
    for bytes in [
        gzip(&plain),
        [gzip(first), gzip(second)].concat(),
        zstd(&plain),
        [zstd(first), zstd(second)].concat(),
    ] {
        assert_eq!(to_archive(&bytes, &Context::options()), expected);
    }
    for (mut bytes, part) in [(gzip(&plain), "gzip"), (zstd(&plain), "zstd")] {
        let half = &bytes[..bytes.len() / 2];
        refused(half, &Context::options(), &["image.tar at byte", part]);
        // The last bytes are the checksum (gzip) or the last block.
        refused(&bytes[..bytes.len() - 3], &Context::options(), &[part]);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        bytes[middle + 1] ^= 0x55;
        refused(&bytes, &Context::options(), &["image.tar"]);
    }
    let mut trailing = gzip(&plain);
    trailing.extend(b"garbage");
    refused(&trailing, &Context::options(), &["gzip"]);
}

#[test]
fn a_dry_run_and_wrong_places_are_refused_before_anything_is_read() {
    struct Unread;
    impl Read for Unread {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("it must not be read");
        }
    }
    let temp = TempDir::new().unwrap();
    let existing = temp.path().join("there");
    fs::create_dir(&existing).unwrap();
    let parentless = temp.path().join("no/such/place");
    for (path, options, part) in [
        (&existing, with!(Options::default(), dry_run = true), "dry run"),
        (&existing, Options::default(), "exists already"),
        (&parentless, Options::default(), "failed to create"),
        (&parentless, with!(Options::default(), span_size = 0), "span size"),
    ] {
        let input = Input::new("x".to_owned(), Box::new(Unread));
        let output = Output::Directory { path: path.clone(), force: false };
        let error = archive::index(input, output, &options, &Silent).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(is_empty(&existing));
    assert!(Input::open(&existing).unwrap_err().to_string().contains("directory"));
}

#[test]
fn force_replaces_a_layout_and_leaves_it_when_the_archive_is_bad() {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("out");
    let archive = Tar::fixture("single").end();
    to_directory(&Tar::fixture("estargz").end(), &path, &Context::options()).unwrap();
    let before = contents(&path);
    let force = |bytes: &[u8]| {
        let output = Output::Directory { path: path.clone(), force: true };
        archive::index(input(bytes), output, &Context::options(), &Silent)
    };
    force(&archive[..archive.len() - 2000]).unwrap_err();
    assert_eq!(contents(&path), before);
    force(&archive).unwrap();
    let expected = Context::fixture("single");
    expected.index(&Context::options()).unwrap();
    assert_eq!(contents(&path), contents(&expected.layout()));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}

/// The real binary on an archive that comes through a pipe.
fn piped(bytes: &[u8], directory: &Path, arguments: &[&str]) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_soci-layout"))
        .args(["index", "-"])
        .args(SMALL)
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    // Refused early, it may not be read to its end.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[test]
fn the_binary_takes_a_pipe_and_files() {
    let temp = TempDir::new().unwrap();
    let archive = Tar::fixture("single").end();
    let expected = Context::fixture("single");
    let report = expected.index(&Context::options()).unwrap();
    let digest = format!("{}\n", report.roots[0].after);
    let told = |output: &Outcome| String::from_utf8(output.stderr.clone()).unwrap();

    let output = piped(&archive, temp.path(), &["--output", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap(), digest);
    for part in ["[ingest] standard input", "[scan while reading]", "CACHED", "result is in out"] {
        assert!(told(&output).contains(part), "{}", told(&output));
    }
    assert_eq!(contents(&temp.path().join("out")), contents(&expected.layout()));

    let output = piped(&archive, temp.path(), &["--output", "out"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("exists already") && told(&output).contains("--force"));

    let output = piped(&archive, temp.path(), &["--output", "out.tar"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap(), digest);
    let output = piped(&archive, temp.path(), &["--output", "-", "-q"]);
    assert_eq!((output.status.code(), told(&output)), (Some(0), String::new()));
    assert_eq!(output.stdout, fs::read(temp.path().join("out.tar")).unwrap());

    // Beside the archive, under its name without ending.
    fs::create_dir(temp.path().join("in")).unwrap();
    fs::write(temp.path().join("in/image.tar.gz"), gzip(&archive)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_soci-layout"))
        .args(["index", "in/image.tar.gz", "--json"])
        .args(SMALL)
        .current_dir(&temp)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["layers"][0]["outcome"], "indexed");
    assert_eq!(contents(&temp.path().join("in/image")), contents(&expected.layout()));

    for arguments in
        [&["--output", "-", "--json"][..], &["--output", "x.tar.gz"], &["--dry-run"], &[]]
    {
        let output = piped(&archive, temp.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", told(&output));
    }
}

#[test]
fn a_signal_leaves_nothing() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("KILL", -1)] {
        let temp = TempDir::new().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_soci-layout"))
            .args(["index", "-", "--output", "out"])
            .args(SMALL)
            .current_dir(&temp)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // All but the end: it waits in the middle of its work.
        let archive = Tar::fixture("single").end();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&archive[..archive.len() - 3000]).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while is_empty(temp.path()) {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(200));
        let killed = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(killed.unwrap().success());
        let status = child.wait().unwrap();
        drop(stdin);
        if signal == "KILL" {
            assert_eq!(status.code(), None);
            // What it left is removed by the next run in the same place, whatever that makes.
            assert!(!temp.path().join("out").exists() && !is_empty(temp.path()));
            let other = temp.path().join("other");
            to_directory(&archive, &other, &Options::default()).unwrap();
            assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
        } else {
            assert_eq!(status.code(), Some(code), "{signal}");
            assert!(is_empty(temp.path()), "{signal}");
        }
    }
}
