//! The walk by one thread as the judge of the one that is read ahead of, by any number of threads: same zTOC, or same
//! error at the same place, whatever the members look like and wherever they are damaged.

use std::sync::Arc;

use proptest::prelude::*;
use zlib_rs::{Deflate, DeflateFlush};

use super::crafted::{
    Style, corpus, entries, entry, far_references, long_member, member, noise, text,
};
use super::gzip::{GzipError, GzipWalker};
use super::inflate::{Finder, Start};
use super::probe::{self, ProbedLayer};
use super::source::Chunk;
use super::splitter::{Counts, Handle, Split, Splitter};
use super::threads::Division;
use super::{Scan, ScanObserver, ScanRequest, divided};
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;
use crate::ztoc::zinfo::{Checkpoint, GzipZinfo, WINDOW_SIZE};
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
        0 => Some(Start { byte: 2, bits: Some(third % 8), before: [first, second] }),
        1 => Some(Start { byte: 2, bits: None, before: [first, second] }),
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

/// What was counted; output, checkpoints and the length of all output.
type Rehearsal = (Counts, Vec<u8>, Result<(GzipZinfo, u64), GzipError>);

/// Walks a blob in chunks on this thread; before each, all others read ahead as far as possible.
fn walk(
    blob: &[u8],
    division: Division,
    threads: Option<usize>,
    claims: Option<&GzipZinfo>,
) -> Rehearsal {
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
                let read_ahead = || while splitter.read_piece(claims) {};
                (2..threads.unwrap_or(1)).for_each(|_| drop(scope.spawn(read_ahead)));
                read_ahead();
            });
        }
        let walked = walker.feed(bytes, |bytes| output.extend(bytes), &mut Vec::new());
        if let Err(error) = walked {
            return (splitter.counts(), output, Err(error));
        }
        splitter.walked((number * size + bytes.len()) as u64);
    }
    (splitter.counts(), output, walker.finish())
}

/// The walk with all read ahead that so many threads can (with one only members, not blocks), against the one with
/// nothing; how often it met what was read.
fn rehearse(name: &str, blob: &[u8], division: Division, threads: usize) -> u64 {
    rehearse_claims(name, blob, division, threads, None).taken_over
}

/// The same with the help of what a zTOC claims.
fn rehearse_claims(
    name: &str,
    blob: &[u8],
    division: Division,
    threads: usize,
    claims: Option<&GzipZinfo>,
) -> Counts {
    let (_, output, judge) = walk(blob, division, None, None);
    let (counts, found, end) = walk(blob, division, Some(threads), claims);
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
    counts
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

/// The checkpoints, changed by `change`, which also gets the number.
fn changed(
    zinfo: &GzipZinfo,
    change: impl Fn(usize, &mut Checkpoint, &mut [u8; WINDOW_SIZE]),
) -> GzipZinfo {
    let mut other = GzipZinfo::new(zinfo.span_size());
    for (number, mut checkpoint) in zinfo.checkpoints().enumerate() {
        let mut window = Box::new(*zinfo.window(number));
        change(number, &mut checkpoint, &mut window);
        other.push(&checkpoint, &window);
    }
    other
}

/// Parts that never get free of references are resolved, too, before the walker comes.
#[test]
fn the_history_is_handed_down() {
    let blob = far_references();
    // Parts meet when several are read at a time, which is left to chance.
    let resolved = |_| rehearse_claims("far references", &blob, BLOCKS, 4, None).resolved;
    assert!((0..50).map(resolved).any(|resolved| resolved > 0));
    assert!(compare(&blob, 3000).is_ok());
}

/// What a zTOC claims is a help if it is true, and does no harm if not.
#[test]
fn claimed_checkpoints_are_places_to_read_ahead_from() {
    let mut layers = corpus();
    layers.extend([("far references", far_references()), ("long member", long_member())]);
    for (name, blob) in layers {
        let (_, _, judge) = walk(&blob, BLOCKS, None, None);
        let right = judge.expect("sound").0;
        let windows = changed(&right, |_, _, window| window.iter_mut().for_each(|byte| *byte ^= 1));
        let bits = changed(&right, |_, checkpoint, _| checkpoint.bits ^= 1);
        let offsets = changed(&right, |number, checkpoint, _| {
            checkpoint.compressed_offset += number as u64 % 3;
            checkpoint.uncompressed_offset ^= number as u64 % 5;
        });
        let mut damaged = blob.clone();
        damaged[blob.len() / 2] ^= 4;
        for division in [BLOCKS, TINY] {
            let claims =
                |blob: &[u8], claims| rehearse_claims(name, blob, division, 2, Some(claims));
            let counts = claims(&blob, &right);
            if name.contains(' ') && division.chunk == BLOCKS.chunk {
                assert!(counts.claimed > 4, "{name}: {counts:?}");
                // Near the member's start the history is less than a window.
                assert!(counts.taken_over + 2 >= counts.claimed, "{name}: {counts:?}");
            }
            for wrong in [&windows, &bits, &offsets] {
                claims(&blob, wrong);
            }
            claims(&damaged, &right);
        }
    }
}

/// What verify finds true of a layer, by one thread and by two.
#[test]
fn claims_about_layers() {
    let mut layers = corpus();
    layers.push(("long member", long_member()));
    for (name, blob) in layers {
        let ztoc = Ztoc::decode(&outcome(&blob, 3000, None).expect("sound")).expect("ours");
        let mut wrong = [ztoc.clone(), ztoc.clone()];
        for (kind, wrong) in wrong.iter_mut().enumerate() {
            let Zinfo::Gzip(gzip) = &mut wrong.zinfo else { unreachable!() };
            *gzip = changed(gzip, |number, checkpoint, window| match (number % 3, kind) {
                (2, 0) => checkpoint.bits ^= 1,
                (2, _) => window[WINDOW_SIZE - 1 - number * 61 % WINDOW_SIZE] ^= 1,
                _ => {}
            });
        }
        let mut damaged = blob.clone();
        damaged[blob.len() / 2] ^= 4;
        let [bits, windows] = &wrong;
        for (ztoc, blob) in [(&ztoc, &blob), (bits, &blob), (windows, &blob), (&ztoc, &damaged)] {
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
