//! What it costs to read a layer ahead, chunk by chunk, for the schedule that `make bench` computes for more processors than
//! there are (`tests/bench/threads.py`). Measures, and holds nothing.

use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::ScanRequest;
use super::buffer::Buffer;
use super::gzip::{Ahead, HeaderPattern, Origin, ReadAhead};
use super::inflate::{Finder, Start};
use super::span::BlobHasher;
use super::splitter::SPLIT;
use super::walk::LayerWalker;
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;
use crate::ztoc::zinfo::WINDOW_SIZE;

/// What was read ahead, and what was taken over last.
type Waiting = Arc<Mutex<(Option<(Start, Box<Ahead>)>, Option<Box<Ahead>>)>>;

/// Some history.
static ZEROS: [u8; WINDOW_SIZE] = [0; WINDOW_SIZE];

/// Hands it out.
#[derive(Debug)]
struct Handle(Waiting);

impl ReadAhead for Handle {
    fn arrive(&mut self, _: u64, _: HeaderPattern) -> Option<Box<Ahead>> {
        None
    }

    fn next_block(&self) -> u64 {
        let waiting = self.0.lock().expect("one thread");
        waiting.0.as_ref().map_or(u64::MAX, |(start, _)| start.byte)
    }

    fn arrive_at_block(&mut self, offset: u64, bits: u8) -> Option<Box<Ahead>> {
        let mut waiting = self.0.lock().expect("one thread");
        waiting.0.take_if(|(start, _)| start.is_at(offset, bits)).map(|(_, ahead)| ahead)
    }

    fn pass(&mut self, _: u64) {
        self.0.lock().expect("one thread").0 = None;
    }

    fn hand_down(&mut self, _: &Ahead, _: &[u8; WINDOW_SIZE]) {}

    fn give_back(&mut self, ahead: Box<Ahead>, _: bool) {
        self.0.lock().expect("one thread").1 = Some(ahead);
    }
}

/// The first block that seems to begin behind this place.
fn find(finder: &mut Finder, blob: &[u8], from: usize) -> Option<Start> {
    let bytes = &blob[(from - 2).min(blob.len())..blob.len().min(from + (1 << 20))];
    finder.find(bytes).map(|start| Start { byte: start.byte + from as u64 - 2, ..start })
}

/// Prints a line for each chunk of the blob that `SOCI_LAYOUT_BLOB` names: bytes; seconds for reading it from its file,
/// inflating it ahead, resolving that, walking up to its end (which takes it over), hashing as much; and whether it ends
/// where the next one begins (1), and knows its end by itself (2).
#[test]
#[ignore = "measures; make bench runs it"]
fn of_each_chunk() {
    let path = std::env::var_os("SOCI_LAYOUT_BLOB").expect("the path of a gzip layer");
    let mut file = std::fs::File::open(&path).expect("readable");
    let size = file.metadata().expect("a file").len();
    let mut blob = Vec::with_capacity(size as usize);
    file.read_to_end(&mut blob).expect("readable");
    let mut file = std::fs::File::open(&path).expect("readable");
    let request = ScanRequest {
        digest: Digest::of(b""),
        size,
        compression: Compression::Gzip,
        span_size: 4 << 20,
        build_tool_identifier: "",
        second_thread: true,
    };
    let waiting = Waiting::default();
    let mut walker = LayerWalker::new(&request);
    walker.set_ahead(Box::new(Handle(Arc::clone(&waiting))));
    let (mut finder, mut hasher) = (Finder::new(), BlobHasher::default());
    let (mut begin, mut starts, mut buffer) = (0, Vec::new(), Buffer::new(256 << 10));
    let mut before = 0..0;
    let (mut stride, mut start) = (SPLIT.block_gap, None);
    let mut out = std::io::stdout().lock();
    writeln!(out, "bytes,read,ahead,resolve,walk,hash,end").expect("written");
    while begin < blob.len() {
        let time = Instant::now();
        let next = find(&mut finder, &blob, begin + stride as usize + 2);
        let end = next.map_or(blob.len(), |next| next.byte as usize);
        let (mut ahead, mut resolve, mut ends) = (Duration::ZERO, Duration::ZERO, 0);
        if let Some(start) = start {
            let mut part = Box::new(Ahead::new(SPLIT.block_output));
            let origin = Origin::Block(start);
            part.restart(origin, None);
            for piece in blob[begin..end].chunks(SPLIT.piece) {
                if !part.feed(piece, next.map(Origin::Block)) {
                    break;
                }
            }
            stride = part.stride(origin).min(SPLIT.block_gap);
            ahead = time.elapsed();
            let known =
                |history| next.and_then(|next| part.history_of(Origin::Block(next), history));
            ends = [None, Some(&ZEROS)].into_iter().filter_map(known).count();
            let time = Instant::now();
            let mut waiting = waiting.lock().expect("one thread");
            let before = waiting.1.as_ref();
            if let Some(history) = before.and_then(|before| before.history_of(origin, None)) {
                part.resolve(&history);
            }
            resolve = time.elapsed();
            waiting.0 = Some((start, part));
        }
        // The chunk in front: this one is taken over at its end.
        let time = Instant::now();
        starts.clear();
        assert!(walker.feed(&blob[before.clone()], &mut starts), "a sound layer");
        let walk = time.elapsed();
        let time = Instant::now();
        hasher.feed(&blob[before], &starts);
        let hash = time.elapsed();
        let time = Instant::now();
        for piece in blob[begin..end].chunks(buffer.len()) {
            file.read_exact(&mut buffer[..piece.len()]).expect("as long as before");
        }
        black_box(&buffer);
        let read = time.elapsed();
        let [read, ahead, resolve, walk, hash] =
            [read, ahead, resolve, walk, hash].map(|time| time.as_secs_f64());
        writeln!(out, "{},{read},{ahead},{resolve},{walk},{hash},{ends}", end - begin)
            .expect("written");
        before = begin..end;
        (begin, start) = (end, next);
    }
    black_box(hasher.finish());
}
