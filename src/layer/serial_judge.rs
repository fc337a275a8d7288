//! The walk by one thread as the judge of the one that is read ahead of, by any number of threads: same zTOC, or same
//! error at the same place, whatever the members look like and wherever they are damaged.

use std::sync::Arc;

use proptest::prelude::*;
use zlib_rs::{Deflate, DeflateFlush};

use super::gzip::{GzipError, GzipWalker};
use super::inflate::{Finder, Start};
use super::probe::{self, ProbedLayer};
use super::source::Chunk;
use super::splitter::{Handle, Split, Splitter};
use super::threads::Division;
use super::{Scan, ScanObserver, ScanRequest, divided};
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;
use crate::ztoc::zinfo::GzipZinfo;
use crate::ztoc::{Zinfo, Ztoc};

/// Everything small, so that small blobs are split at many places.
const SMALL: Division = Division {
    chunk: 1024,
    chunks: 3,
    more_chunks: 3,
    split: Split {
        gap: 2048,
        output: 20_000,
        dense: u64::MAX,
        piece: 300,
        block_gap: 3000,
        block_output: 150_000,
        find: Finder::find,
        pause: 10_000,
    },
};
/// Chunks that hold no whole member, and room for less than one.
const TINY: Division = Division {
    chunk: 31,
    chunks: 2,
    more_chunks: 30,
    split: Split {
        gap: 50,
        output: 700,
        piece: 5,
        block_gap: 50,
        block_output: 1400,
        ..SMALL.split
    },
};
/// Members are never dense enough, so that blocks are read ahead in all layers.
const BLOCKS: Division =
    Division { chunks: 10, more_chunks: 30, split: Split { dense: 0, ..SMALL.split }, ..SMALL };
/// Every other start that is found is none.
const FALSE: Division = Division { split: Split { find: false_starts, ..BLOCKS.split }, ..BLOCKS };

fn false_starts(finder: &mut Finder, bytes: &[u8]) -> Option<Start> {
    let [first, second, third, ..] = *bytes else { return None };
    match first % 4 {
        0 => Some(Start::Header { byte: 2, bits: third % 8, before: second }),
        1 => Some(Start::Stored { byte: 2, before: [first, second] }),
        _ => finder.find(bytes),
    }
}

/// Grants so many threads.
struct Quiet(usize);

/// Divisions, and for how many threads.
const DIVISIONS: [(Division, usize); 6] =
    [(SMALL, 2), (SMALL, 4), (TINY, 3), (BLOCKS, 2), (BLOCKS, 8), (FALSE, 4)];

impl ScanObserver for Quiet {
    fn progress(&self, _: u64) {}
    fn cancelled(&self) -> bool {
        false
    }
    fn threads(&self) -> usize {
        self.0
    }
}

/// The encoded zTOC, or why there is none, with its offsets.
fn outcome(
    blob: &[u8],
    span_size: u64,
    split: Option<(Division, usize)>,
) -> Result<Vec<u8>, String> {
    let request = ScanRequest {
        digest: Digest::of(blob),
        size: blob.len() as u64,
        compression: Compression::Gzip,
        span_size,
        build_tool_identifier: "test",
        second_thread: split.is_some(),
    };
    let (division, threads) = split.unwrap_or((SMALL, 1));
    match divided(&mut &*blob, &request, &Quiet(threads), division) {
        Ok(Scan::Indexed(ztoc)) => Ok(ztoc.encode().expect("small")),
        Ok(Scan::Eager(reason)) => Err(format!("{reason:?}")),
        Err(error) => panic!("{error}"),
    }
}

fn compare(blob: &[u8], span_size: u64) -> Result<Vec<u8>, String> {
    let judge = outcome(blob, span_size, None);
    for (division, threads) in DIVISIONS {
        let split = outcome(blob, span_size, Some((division, threads)));
        assert!(split == judge, "{threads}: {:?} instead of {:?}", split.err(), judge.err());
    }
    judge
}

/// How one member is written.
#[derive(Clone, Copy, Debug)]
enum Style {
    /// Ten bytes, as Go writes them.
    Plain,
    /// With the extra field of bgzip, which holds the member's size.
    Bgzip,
    /// With name, comment, extra field and header checksum, and a time.
    Full,
}

fn member(out: &mut Vec<u8>, style: Style, level: i32, content: &[u8]) {
    let mut deflate = Deflate::new(level, false, 15);
    let mut body = vec![0; content.len() + content.len() / 8 + 1000];
    deflate.compress(content, &mut body, DeflateFlush::Finish).expect("room enough");
    body.truncate(deflate.total_out() as usize);
    let header = match style {
        Style::Plain => b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec(),
        Style::Bgzip => {
            let size = (18 + body.len() + 8 - 1) as u16;
            let header = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0";
            [&header[..], &size.to_le_bytes()].concat()
        }
        Style::Full => {
            let mut header =
                b"\x1f\x8b\x08\x1eTIME\x02\x03\x05\0extraname\0a \x1f\x8b\x08\x1ecomment\0"
                    .to_vec();
            let checksum = crc32fast::hash(&header) as u16;
            header.extend(checksum.to_le_bytes());
            header
        }
    };
    out.extend(header);
    out.extend(body);
    out.extend(crc32fast::hash(content).to_le_bytes());
    out.extend((content.len() as u32).to_le_bytes());
}

/// Bytes that look random and cannot be compressed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| byte()).collect()
}

fn text(seed: u64, length: usize) -> Vec<u8> {
    noise(seed, length).iter().map(|byte| b"etaoin shrdlu\n"[usize::from(byte % 14)]).collect()
}

fn entry(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    let size = format!("{:011o}", content.len());
    let fields: [(usize, &[u8]); 5] = [
        (0, name.as_bytes()),
        (124, size.as_bytes()),
        (156, b"0"),
        (257, b"ustar\x0000"),
        (148, b"        "),
    ];
    for (offset, bytes) in fields {
        header[offset..][..bytes.len()].copy_from_slice(bytes);
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..][..8].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend(content);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

/// Entries of a tar; its end is the last of them. Some of the content looks like members.
fn entries() -> Vec<Vec<u8>> {
    let mut false_members = noise(5, 3000);
    for at in (100..2900).step_by(97) {
        false_members[at..at + 10].copy_from_slice(b"\x1f\x8b\x08\0\0\0\0\0\0\xff");
    }
    let mut archive = Vec::new();
    for number in 0..30 {
        member(&mut archive, Style::Plain, 6, &text(number, 400));
    }
    vec![
        entry("text", &text(1, 9000)),
        entry("empty", b""),
        entry("noise", &noise(2, 5000)),
        entry("false", &false_members),
        entry("zeros", &vec![0; 60_000]),
        entry("archive.gz", &archive),
        entry("small", b"some"),
        entry("more", &[text(3, 3000), noise(4, 3000), text(6, 9000)].concat()),
        vec![0; 1024],
    ]
}

/// Blobs of many members, as the field writes them.
fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let entries = entries();
    let tar = entries.concat();
    let pieces = |style, level, size| {
        let mut blob = Vec::new();
        tar.chunks(size).for_each(|piece| member(&mut blob, style, level, piece));
        blob
    };
    let mut estargz = Vec::new();
    for entry in &entries {
        member(&mut estargz, Style::Plain, 9, entry);
    }
    member(&mut estargz, Style::Full, 0, b"");
    let mut bgzip = pieces(Style::Bgzip, 6, 4000);
    member(&mut bgzip, Style::Bgzip, 6, b"");
    let mut mixed = Vec::new();
    for (number, piece) in tar.chunks(1500).enumerate() {
        let style = [Style::Plain, Style::Full, Style::Bgzip][number / 7 % 3];
        member(&mut mixed, style, [0, 1, 6][number % 3], piece);
        if number % 5 == 0 {
            member(&mut mixed, style, 6, b"");
        }
    }
    vec![
        ("estargz", estargz),
        ("bgzip", bgzip),
        ("mixed", mixed),
        ("tiny", pieces(Style::Plain, 6, 37)),
        ("stored", pieces(Style::Plain, 0, 2000)),
        ("few", pieces(Style::Plain, 6, 30_000)),
        ("one", pieces(Style::Plain, 6, usize::MAX)),
    ]
}

#[test]
fn sound_layers() {
    for (name, blob) in corpus() {
        for span_size in [1, 100, 5000, 1 << 20] {
            assert!(compare(&blob, span_size).is_ok(), "{name}");
        }
    }
}

#[test]
fn damaged_layers() {
    let mut errors = std::collections::BTreeSet::new();
    for (name, blob) in corpus() {
        let stride = blob.len() / 25 + 1;
        for at in (0..blob.len()).step_by(stride) {
            let mut damaged = blob.clone();
            damaged[at] ^= 1 << (at % 8);
            errors.extend(compare(&damaged, 3000).err());
            errors.extend(compare(&blob[..at], 3000).err().filter(|_| at > 0));
        }
        // At every place of a member that is surely read ahead: header, body, trailer.
        let begin = blob.len() * 2 / 3;
        let magic = |window: &[u8]| window.starts_with(b"\x1f\x8b\x08");
        let Some(start) = blob[begin..].windows(3).position(magic) else { continue };
        for at in begin + start - 8..(begin + start + 40).min(blob.len()) {
            let mut damaged = blob.clone();
            damaged[at] ^= 0x10;
            errors.extend(compare(&damaged, 3000).err());
        }
        let trailing = [&blob[..], b"garbage"].concat();
        assert!(compare(&trailing, 3000).is_err_and(|e| e.contains("trailing")), "{name}");
    }
    for part in
        ["header checksum", "CRC-32", "truncated", "invalid deflate", "tar archive", "length"]
    {
        assert!(errors.iter().any(|error| error.contains(part)), "no error with {part}");
    }
}

#[test]
fn a_bad_tar_in_good_members() {
    let mut entries = entries();
    entries[6][3] ^= 1;
    let mut blob = Vec::new();
    for entry in &entries {
        member(&mut blob, Style::Plain, 6, entry);
    }
    assert!(compare(&blob, 3000).is_err_and(|error| error.contains("tar archive")));
}

/// How often a walk met what was read ahead; output, checkpoints and the length of all output.
type Rehearsal = (u64, Vec<u8>, Result<(GzipZinfo, u64), GzipError>);

/// Walks a blob in chunks on this thread; before each, all others read ahead as far as possible.
fn walk(blob: &[u8], division: Division, threads: Option<usize>) -> Rehearsal {
    let splitter = Arc::new(Splitter::new(division.split, true));
    splitter.allow(threads.unwrap_or(1));
    let mut walker = GzipWalker::new(1000);
    if threads.is_some() {
        walker.set_ahead(Box::new(Handle::new(Arc::clone(&splitter))));
    }
    let size = division.chunk;
    for (number, bytes) in blob.chunks(size).enumerate() {
        splitter.read((number * size) as u64, &Arc::new(Chunk::of(bytes)));
    }
    let mut output = Vec::new();
    for (number, bytes) in blob.chunks(size).enumerate() {
        if splitter.wanted() {
            std::thread::scope(|scope| {
                let read_ahead = || while splitter.read_piece() {};
                (2..threads.unwrap_or(1)).for_each(|_| drop(scope.spawn(read_ahead)));
                read_ahead();
            });
        }
        let walked = walker.feed(bytes, |bytes| output.extend(bytes), &mut Vec::new());
        if let Err(error) = walked {
            return (splitter.taken_over(), output, Err(error));
        }
        splitter.walked((number * size + bytes.len()) as u64);
    }
    (splitter.taken_over(), output, walker.finish())
}

/// The walk with all read ahead that so many threads can (with one only members, not blocks), against the one with
/// nothing; how often it met what was read.
fn rehearse(name: &str, blob: &[u8], division: Division, threads: usize) -> u64 {
    let (_, output, judge) = walk(blob, division, None);
    let (met, found, end) = walk(blob, division, Some(threads));
    match (end, judge) {
        (Ok((zinfo, length)), Ok((right, right_length))) => {
            assert!(found == output, "{name}: other output");
            assert!(length == right_length && zinfo.len() == right.len(), "{name}");
            for number in 0..right.len() {
                assert_eq!(zinfo.checkpoint(number), right.checkpoint(number), "{name}");
                assert!(zinfo.window(number) == right.window(number), "{name}: {number}");
            }
        }
        (Err(error), Err(right)) => {
            assert_eq!(error, right, "{name}");
            assert!(found == output, "{name}: other output");
        }
        (end, judge) => panic!("{name}: {:?} instead of {:?}", end.err(), judge.err()),
    }
    met
}

/// Without this the other tests could pass with nothing read ahead.
#[test]
fn the_walker_meets_what_was_read() {
    for (name, blob) in corpus() {
        for division in [SMALL, TINY] {
            let met = rehearse(name, &blob, division, 1);
            let many = !matches!(name, "few" | "one");
            assert!(met > 0 || !many, "{name}: {met}");
            assert!(met == 0 || name != "one");
        }
    }
}

/// One member with blocks of all kinds: with codes of their own, stored, fixed, empty.
fn long_member() -> Vec<u8> {
    let mut archive = Vec::new();
    for number in 0..40 {
        member(&mut archive, Style::Plain, 6, &text(number, 3000));
    }
    let entries = [
        entry("text", &text(1, 150_000)),
        entry("noise", &noise(2, 90_000)),
        entry("zeros", &vec![0; 300_000]),
        entry("archive.gz", &archive),
        entry("more", &text(9, 250_000)),
        vec![0; 1024],
    ];
    let content = entries.concat();
    let mut deflate = Deflate::new(6, false, 15);
    let mut body = vec![0; content.len() + 100_000];
    let mut pieces = content.chunks(7000).enumerate().peekable();
    while let Some((number, piece)) = pieces.next() {
        let flush = match number % 9 {
            _ if pieces.peek().is_none() => DeflateFlush::Finish,
            1 => DeflateFlush::SyncFlush,
            2 => DeflateFlush::FullFlush,
            3 | 5 => DeflateFlush::Block,
            4 => DeflateFlush::PartialFlush,
            _ => DeflateFlush::NoFlush,
        };
        let done = deflate.total_out() as usize;
        deflate.compress(piece, &mut body[done..], flush).expect("room enough");
    }
    body.truncate(deflate.total_out() as usize);
    let mut blob = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    blob.extend(body);
    blob.extend(crc32fast::hash(&content).to_le_bytes());
    blob.extend((content.len() as u32).to_le_bytes());
    blob
}

#[test]
fn the_walker_meets_blocks_inside_of_a_member() {
    let blob = long_member();
    for division in [BLOCKS, FALSE, TINY] {
        for threads in [2, 3, 8] {
            let met = rehearse("long member", &blob, division, threads);
            // How far several come is left to chance.
            assert!(met > 3 || threads > 2 && met > 0, "{threads}: {met}");
        }
    }
    for span_size in [1, 3000, 1 << 20] {
        assert!(compare(&blob, span_size).is_ok());
    }
    for (name, blob) in corpus() {
        rehearse(name, &blob, BLOCKS, 2);
        rehearse(name, &blob, FALSE, 4);
    }
}

/// What verify finds true of a layer, by one thread and by two.
#[test]
fn claims_about_layers() {
    let mut layers = corpus();
    layers.push(("long member", long_member()));
    for (name, blob) in layers {
        let ztoc = Ztoc::decode(&outcome(&blob, 3000, None).expect("sound")).expect("ours");
        let mut wrong = ztoc.clone();
        if let Zinfo::Gzip(gzip) = &mut wrong.zinfo {
            // Every third claim is about another bit.
            let mut other = GzipZinfo::new(3000);
            for (number, mut checkpoint) in gzip.checkpoints().enumerate() {
                checkpoint.bits =
                    if number % 3 == 2 { checkpoint.bits ^ 1 } else { checkpoint.bits };
                other.push(&checkpoint, gzip.window(number));
            }
            *gzip = other;
        }
        let mut damaged = blob.clone();
        damaged[blob.len() / 2] ^= 4;
        for (ztoc, blob) in [(&ztoc, &blob), (&wrong, &blob), (&ztoc, &damaged)] {
            let truth = |split: Option<(Division, usize)>| {
                let layer = ProbedLayer {
                    size: blob.len() as u64,
                    compression: Compression::Gzip,
                    ztoc: Some(ztoc),
                    second_thread: split.is_some(),
                };
                let (division, threads) = split.unwrap_or((SMALL, 1));
                let truth = probe::divided(&mut blob.as_slice(), &layer, &Quiet(threads), division);
                format!("{:?}", truth.expect("nothing but content is wrong"))
            };
            let judge = truth(None);
            for split in DIVISIONS {
                assert!(truth(Some(split)) == judge, "{name}");
            }
        }
    }
}

#[test]
fn damage_inside_of_a_member() {
    let blob = long_member();
    let stride = blob.len() / 60 + 1;
    for at in (11..blob.len()).step_by(stride) {
        let mut damaged = blob.clone();
        damaged[at] ^= 1 << (at % 8);
        rehearse("damaged", &damaged, BLOCKS, 2);
        rehearse("damaged", &damaged, FALSE, 4);
        rehearse("truncated", &blob[..at], BLOCKS, 2);
        rehearse("truncated", &blob[..at], TINY, 2);
    }
    for at in blob.len() - 40..blob.len() {
        rehearse("truncated", &blob[..at], BLOCKS, 2);
    }
}

/// A distance in front of a member's first byte is seen by nobody who does not know where that is.
#[test]
fn a_distance_in_front_of_the_member() {
    // The stream is whole with its first part, which is then left out.
    let parts = [&text(3, 20_000)[..], &text(4, 9000), &text(3, 20_000), &text(4, 60_000)].concat();
    let mut deflate = Deflate::new(6, false, 15);
    let mut stream = vec![0; 200_000];
    deflate.compress(&parts[..20_000], &mut stream, DeflateFlush::SyncFlush).expect("room");
    let begin = deflate.total_out() as usize;
    for (from, to) in [(20_000, 29_000), (29_000, 40_000)] {
        let at = deflate.total_out() as usize;
        let flush = DeflateFlush::SyncFlush;
        deflate.compress(&parts[from..to], &mut stream[at..], flush).expect("room");
    }
    let at = deflate.total_out() as usize;
    let flush = DeflateFlush::Finish;
    deflate.compress(&parts[40_000..], &mut stream[at..], flush).expect("room");
    let end = deflate.total_out() as usize;
    // Another member, so that the window holds bytes that such a distance could find.
    let mut blob = Vec::new();
    let all = entry("all", &[&noise(8, 40_000), &parts[20_000..]].concat());
    member(&mut blob, Style::Plain, 6, &all[..512 + 40_000]);
    blob.extend(b"\x1f\x8b\x08\0\0\0\0\0\0\xff");
    blob.extend(&stream[begin..end]);
    blob.extend(crc32fast::hash(&parts[20_000..]).to_le_bytes());
    blob.extend(((parts.len() - 20_000) as u32).to_le_bytes());
    for gap in [100, 1000, 2000, 3000, 4000] {
        let split = Split { block_gap: gap, ..BLOCKS.split };
        rehearse("too far", &blob, Division { chunk: 200, split, ..BLOCKS }, 2);
    }
    assert!(compare(&blob, 1000).is_err_and(|error| error.contains("too far back")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_at_random(
        sizes in proptest::collection::vec((1..6000usize, 0..3usize, 0..10i32), 1..60),
        span_size in prop_oneof![Just(1), 1..50_000u64],
        damage in proptest::option::of((any::<prop::sample::Index>(), 1..=255u8)),
    ) {
        let tar = entries().concat();
        let (mut blob, mut rest) = (Vec::new(), tar.as_slice());
        for (size, style, level) in sizes.iter().cycle() {
            let (piece, later) = rest.split_at((*size).min(rest.len()));
            let style = [Style::Plain, Style::Bgzip, Style::Full][*style];
            member(&mut blob, style, *level, piece);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        if let Some((place, flip)) = damage {
            let at = place.index(blob.len());
            blob[at] ^= flip;
        }
        compare(&blob, span_size).ok();
    }
}
