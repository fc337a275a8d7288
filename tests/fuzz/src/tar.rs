//! The tar walker: the same result however the bytes come, and what it calls skippable is not looked at.
//!
//! Byte 0 says how the rest becomes an archive:
//! - bit 0: each block that looks like a header gets a right checksum, behind which mutations would
//!   else hardly ever come;
//! - bit 1: the rest is a list of short instructions that [`build`] turns into headers and payloads.
//!
//! The differential test against Go's reader is `tests/peer`.

use soci_layout::Digest;
use soci_layout::layer::EagerCause;
use soci_layout::layer::tar::{TarError, TarSummary, TarWalker};
use soci_layout::layer::{Scan, ScanObserver, ScanRequest, scan};
use soci_layout::media_type::Compression;
use soci_layout::ztoc::{Zinfo, Ztoc};

use crate::tables::assert_same;

const BLOCK: usize = 512;

/// See the module.
pub fn check(data: &[u8]) {
    let Some((control, body)) = data.split_first() else { return };
    let mut archive = if control & 2 != 0 { build(body) } else { body.to_vec() };
    if control & 1 != 0 {
        for block in archive.chunks_exact_mut(BLOCK) {
            if block[257..].starts_with(b"ustar") {
                sign(block);
            }
        }
    }
    let whole = walk([&archive[..]]);
    for size in [1, 7, BLOCK - 1, BLOCK, 3 * BLOCK + 5] {
        // Tiny pieces of a large archive only take time.
        if archive.len() / size > 1 << 14 {
            continue;
        }
        same(&whole, &walk(archive.chunks(size)), "in pieces");
    }
    same(&whole, &passed_over(&archive), "without what is skippable");
    full_scan(&archive, &whole, control & 4 != 0);
}

type Walked = Result<TarSummary, TarError>;

fn walk<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Walked {
    let mut walker = TarWalker::new();
    for piece in pieces {
        if let Err(error) = walker.feed(piece) {
            // Spent: it says the same again.
            assert_eq!(walker.feed(b"x").as_ref(), Err(&error));
            assert_eq!(walker.finish().map(|_| ()), Err(error.clone()));
            return Err(error);
        }
    }
    walker.finish()
}

/// Feeds other bytes wherever the walker says that it does not look.
fn passed_over(archive: &[u8]) -> Walked {
    const OTHER: [u8; 4 * BLOCK] = [0xa5; 4 * BLOCK];
    let mut walker = TarWalker::new();
    let mut rest = archive;
    while !rest.is_empty() {
        let skippable = usize::try_from(walker.skippable()).unwrap_or(usize::MAX);
        let (fed, taken) = match skippable.min(rest.len()) {
            0 => {
                let taken = rest.len().min(100);
                (&rest[..taken], taken)
            }
            count => {
                let taken = count.min(OTHER.len());
                (&OTHER[..taken], taken)
            }
        };
        // What stands behind something skippable may be looked at, so pieces never run over its end.
        walker.feed(fed)?;
        rest = &rest[taken..];
    }
    walker.finish()
}

fn same(left: &Walked, right: &Walked, what: &str) {
    match (left, right) {
        (Ok(left), Ok(right)) => {
            assert_eq!(left.archive_size, right.archive_size, "{what}");
            assert_same(&left.toc, &right.toc, what);
        }
        (Err(left), Err(right)) => {
            assert_eq!(left, right, "{what}");
            let text = left.to_string();
            assert!(text.len() < 16 << 10, "{text}");
            assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
        }
        _ => panic!("{what}: {:?} and {:?}", left.as_ref().err(), right.as_ref().err()),
    }
}

struct Quiet;

impl ScanObserver for Quiet {
    fn progress(&self, _: u64) {}
    fn cancelled(&self) -> bool {
        false
    }
}

/// The same archive as a layer.
fn full_scan(archive: &[u8], walked: &Walked, second_thread: bool) {
    if archive.is_empty() {
        return;
    }
    let request = ScanRequest {
        digest: Digest::of(archive),
        size: archive.len() as u64,
        compression: Compression::None,
        span_size: 1000,
        build_tool_identifier: "fuzz",
        second_thread,
    };
    match (scan(&mut &*archive, &request, &Quiet), walked) {
        (Ok(Scan::Indexed(ztoc)), Ok(summary)) => {
            assert_same(&ztoc.toc, &summary.toc, "scan");
            assert_eq!(ztoc.uncompressed_archive_size, summary.archive_size);
            let Zinfo::Tar(zinfo) = ztoc.zinfo else { panic!("a plain tar") };
            assert_eq!((zinfo.span_size, zinfo.size), (1000, archive.len() as u64));
            let spans: Vec<Digest> = archive.chunks(1000).map(Digest::of).collect();
            assert_eq!(ztoc.span_digests, spans);
            let bytes = ztoc.encode().expect("small");
            let again = Ztoc::decode(&bytes).unwrap_or_else(|error| panic!("own zTOC: {error}"));
            assert_same(&ztoc.toc, &again.toc, "decoded");
        }
        (Ok(Scan::Eager(reason)), Err(error)) => {
            let malformed =
                matches!(reason.cause, EagerCause::Unreadable | EagerCause::Mislabelled);
            assert_eq!(malformed, !error.kind.is_unsupported(), "{reason}");
            let renamed = reason.cause == EagerCause::Mislabelled;
            assert!(renamed || reason.text.contains(&error.to_string()), "{reason}");
        }
        (scanned, _) => panic!("{scanned:?}, but {:?}", walked.as_ref().err()),
    }
}

/// Writes the checksum of a header block.
fn sign(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Types of entries that are worth a number of their own.
const TYPES: &[u8; 16] = b"01234567xgLKS\0VD";
/// Keys that the walker knows, and some that it does not.
const KEYS: [&str; 24] = [
    "path",
    "linkpath",
    "uname",
    "gname",
    "uid",
    "gid",
    "size",
    "mtime",
    "atime",
    "ctime",
    "SCHILY.xattr.a",
    "SCHILY.xattr.b",
    "SCHILY.xattr.",
    "GNU.sparse.major",
    "GNU.sparse.minor",
    "GNU.sparse.name",
    "GNU.sparse.map",
    "GNU.sparse.size",
    "GNU.sparse.realsize",
    "GNU.sparse.numblocks",
    "GNU.sparse.offset",
    "GNU.sparse.numbytes",
    "comment",
    "k",
];

/// Takes instructions apart.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }
}

/// Each instruction is a header: its type, then flagged fields, then its payload.
fn build(instructions: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut cursor = Cursor(instructions);
    while !cursor.0.is_empty() && archive.len() < 1 << 16 {
        let kind = TYPES[usize::from(cursor.byte() % 16)];
        let fields = cursor.byte();
        let mut block = [0; BLOCK];
        put(&mut block[..100], cursor.bytes());
        block[156] = kind;
        for (bit, field) in [
            (1, 157..257),
            (2, 345..500),
            (4, 265..297),
            (8, 108..116),
            (16, 136..148),
            (32, 257..265),
        ] {
            if fields & bit != 0 {
                put(&mut block[field], cursor.bytes());
            } else if bit == 32 {
                block[257..265].copy_from_slice(b"ustar\x0000");
            }
        }
        if kind == b'S' {
            // A map of old GNU format.
            put(&mut block[386..495], cursor.bytes());
        }
        let mut payload = match kind {
            b'x' | b'g' => records(&mut cursor),
            _ => cursor.bytes().to_vec(),
        };
        if fields & 64 != 0 {
            put(&mut block[124..136], cursor.bytes());
        } else {
            block[124..136].copy_from_slice(format!("{:011o}\0", payload.len()).as_bytes());
        }
        sign(&mut block);
        payload.resize(payload.len().next_multiple_of(BLOCK), 0);
        archive.extend_from_slice(&block);
        archive.extend_from_slice(&payload);
        if fields & 128 != 0 {
            let zeros = usize::from(cursor.byte()) * 64;
            archive.resize(archive.len() + zeros, 0);
        }
    }
    archive
}

fn records(cursor: &mut Cursor<'_>) -> Vec<u8> {
    let mut payload = Vec::new();
    for _ in 0..cursor.byte() % 8 {
        let key = cursor.byte();
        let mut record = vec![b' '];
        record.extend_from_slice(KEYS[usize::from(key) % KEYS.len()].as_bytes());
        record.push(b'=');
        record.extend_from_slice(cursor.bytes());
        record.push(b'\n');
        // The length counts its own digits.
        let mut len = record.len() + 1;
        while len != record.len() + len.to_string().len() {
            len = record.len() + len.to_string().len();
        }
        if key & 0x80 != 0 {
            len = usize::from(cursor.byte());
        }
        payload.extend_from_slice(len.to_string().as_bytes());
        payload.extend_from_slice(&record);
    }
    payload
}

fn put(field: &mut [u8], bytes: &[u8]) {
    let len = bytes.len().min(field.len());
    field[..len].copy_from_slice(&bytes[..len]);
}
