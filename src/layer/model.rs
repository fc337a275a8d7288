//! The walk over a gzip blob against a naive model of it, on random blobs.
//!
//! The generator writes members and blocks by hand, so it knows where each of them begins; the model
//! reads the rule off `soci-formats` 3.2 with all output in one piece of memory.

use proptest::collection::vec;
use proptest::prelude::*;

use super::gzip::GzipWalker;
use crate::ztoc::zinfo::{Checkpoint, WINDOW_SIZE};

/// A deflate block by its content.
#[derive(Clone, Debug)]
enum Block {
    /// Not compressed.
    Stored(Vec<u8>),
    /// Literals in fixed codes: the next block begins at any bit.
    Literals(Vec<u8>),
    /// A byte and repetitions of it in fixed codes, 258 bytes each: much output from little input.
    Run(u8, u16),
}

/// A gzip member: optional name, blocks (an empty last one is added).
type Member = (Option<Vec<u8>>, Vec<Block>);

#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits used of the last byte, 1 to 8; 8 with no byte.
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
                self.used = 0;
            }
            *self.bytes.last_mut().expect("one byte") |= ((value >> bit & 1) as u8) << self.used;
            self.used += 1;
        }
    }

    /// A Huffman code, whose highest bit goes first.
    fn code(&mut self, code: u32, count: u32) {
        self.put(code.reverse_bits() >> (32 - count), count);
    }

    fn literal(&mut self, byte: u8) {
        match u32::from(byte) {
            low @ 0..144 => self.code(0x30 + low, 8),
            high => self.code(0x190 + high - 144, 9),
        }
    }

    /// Bytes begun, and how many high bits of the last one are free.
    fn position(&self) -> (u64, u8) {
        (self.bytes.len() as u64, (8 - self.used) as u8 % 8)
    }
}

/// What the model knows of a blob.
#[derive(Debug, Default)]
struct Blob {
    bytes: Vec<u8>,
    output: Vec<u8>,
    /// Where inflating can begin.
    candidates: Vec<Checkpoint>,
}

impl Blob {
    fn new(members: &[Member]) -> Self {
        let mut blob = Self::default();
        for (name, blocks) in members {
            blob.member(name.as_deref(), blocks);
        }
        blob
    }

    fn member(&mut self, name: Option<&[u8]>, blocks: &[Block]) {
        let flags = if name.is_some() { 8 } else { 0 };
        self.bytes.extend([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255]);
        if let Some(name) = name {
            self.bytes.extend(name);
            self.bytes.push(0);
        }
        let start = self.output.len();
        self.candidate(0, 0);
        let mut bits = Bits { bytes: Vec::new(), used: 8 };
        for block in blocks {
            self.block(&mut bits, block);
            let (bytes, free) = bits.position();
            self.candidate(bytes, free);
        }
        // The last block: fixed codes, nothing but its end.
        bits.put(0b011, 3);
        bits.code(0, 7);
        self.bytes.extend(&bits.bytes);
        let body = &self.output[start..];
        self.bytes.extend(crc32fast::hash(body).to_le_bytes());
        self.bytes.extend((body.len() as u32).to_le_bytes());
    }

    fn block(&mut self, bits: &mut Bits, block: &Block) {
        match block {
            Block::Stored(data) => {
                bits.put(0, 3);
                bits.used = 8;
                let length = data.len() as u16;
                bits.bytes.extend(length.to_le_bytes());
                bits.bytes.extend((!length).to_le_bytes());
                bits.bytes.extend(data);
                self.output.extend(data);
            }
            Block::Literals(data) => {
                bits.put(0b010, 3);
                for byte in data {
                    bits.literal(*byte);
                }
                bits.code(0, 7);
                self.output.extend(data);
            }
            Block::Run(byte, count) => {
                bits.put(0b010, 3);
                bits.literal(*byte);
                self.output.push(*byte);
                for _ in 0..*count {
                    // Length 258 at distance 1.
                    bits.code(0b1100_0101, 8);
                    bits.code(0, 5);
                    self.output.extend([*byte; 258]);
                }
                bits.code(0, 7);
            }
        }
    }

    fn candidate(&mut self, bytes: u64, bits: u8) {
        // Only the body's bytes are not in `self.bytes` yet.
        self.candidates.push(Checkpoint {
            compressed_offset: self.bytes.len() as u64 + bytes,
            uncompressed_offset: self.output.len() as u64,
            bits,
        });
    }

    /// The first candidate, and each that lies more than a span behind the last one taken.
    fn checkpoints(&self, span_size: u64) -> Vec<(Checkpoint, Vec<u8>)> {
        let mut taken: Vec<(Checkpoint, Vec<u8>)> = Vec::new();
        for candidate in &self.candidates {
            let far = |last: &Checkpoint| {
                u128::from(candidate.uncompressed_offset)
                    > u128::from(last.uncompressed_offset) + u128::from(span_size)
            };
            if taken.last().is_none_or(|(last, _)| far(last)) {
                let end = candidate.uncompressed_offset as usize;
                let mut window = vec![0; WINDOW_SIZE];
                window.extend(&self.output[..end]);
                taken.push((*candidate, window.split_off(end)));
            }
        }
        taken
    }
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        vec(any::<u8>(), 0..3000).prop_map(Block::Stored),
        vec(any::<u8>(), 0..200).prop_map(Block::Literals),
        (any::<u8>(), 0..400u16).prop_map(|(byte, count)| Block::Run(byte, count)),
    ]
}

fn members() -> impl Strategy<Value = Vec<Member>> {
    let name = proptest::option::of(vec(1..=255u8, 0..20));
    vec((name, vec(block(), 0..12)), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn checkpoints_are_those_of_the_model(
        members in members(),
        span_size in prop_oneof![1..200_000u64, Just(1), Just(u64::MAX >> 1)],
        pieces in vec(1..5000usize, 1..20),
    ) {
        let blob = Blob::new(&members);
        let mut walker = GzipWalker::new(span_size);
        let (mut output, mut found, mut rest) = (Vec::new(), Vec::new(), blob.bytes.as_slice());
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            walker.feed(now, |bytes| output.extend_from_slice(bytes), &mut found).expect("sound");
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let (zinfo, length) = walker.finish().expect("complete");
        prop_assert!(output == blob.output);
        prop_assert_eq!(length, blob.output.len() as u64);
        // What is made is proven again, and at another bit nothing is.
        let mut prover = GzipWalker::proving(found.clone());
        prover.feed(&blob.bytes, |_| {}, &mut Vec::new()).expect("sound");
        prop_assert!(prover.proven().iter().all(|proven| *proven), "{:?}", prover.proven());
        let other = found.iter().map(|c| Checkpoint { bits: (c.bits + 1) % 8, ..*c }).collect();
        let mut prover = GzipWalker::proving(other);
        prover.feed(&blob.bytes, |_| {}, &mut Vec::new()).expect("sound");
        prop_assert!(prover.proven().iter().all(|proven| !*proven));
        let expected = blob.checkpoints(span_size);
        let places: Vec<_> = expected.iter().map(|(checkpoint, _)| *checkpoint).collect();
        prop_assert_eq!(&found, &places);
        for (position, (checkpoint, window)) in expected.iter().enumerate() {
            prop_assert_eq!(&zinfo.checkpoint(position), checkpoint);
            prop_assert!(zinfo.window(position).as_slice() == window.as_slice(), "window {}", position);
        }
    }
}
