//! The inflater where the history in front is not known, against zlib in C.
//!
//! From each block's end on it must give, once the history is put in, the output of the whole stream; a stream that
//! zlib refuses must not come to its end. From wherever a block seems to begin nothing may be worse than an error.
//!
//! Byte 0 says how many bytes of input and of room there are at a time; the rest is a raw deflate stream.

use inflate::{Finder, Inflater, Resolver, Start, Stop, reaches_too_far, unknown};

use crate::judge;

/// The product's own files, as it has no door to them.
#[path = "../../../src/layer/inflate/mod.rs"]
#[allow(dead_code, unused_imports, missing_docs, clippy::pedantic)]
mod inflate;

const WINDOW: usize = 32 << 10;
/// Most output that is judged.
const MOST: usize = 256 << 10;
/// Most output that is made from a guess.
const GUESSED: usize = 16 << 10;
/// Most places that are begun from.
const PLACES: usize = 16;
/// Input and room at a time.
const PIECES: [usize; 8] = [1, 2, 7, 100, 300, 1000, 40_000, usize::MAX];

/// See the module.
pub fn check(data: &[u8]) {
    let Some((control, stream)) = data.split_first() else { return };
    let pieces = [PIECES[usize::from(control & 7)], PIECES[usize::from(control >> 3 & 7)]];
    let verdict = judge::raw_blocks(stream, MOST);
    if verdict.too_long {
        return;
    }
    let mut resolver = Resolver::new();
    let stride = verdict.stops.len() / PLACES + 1;
    for stop in verdict.stops.iter().step_by(stride) {
        let (input, out) = (stop.input as usize, stop.output as usize);
        let mut inflater = Inflater::new();
        inflater.resume(stream[input - 1], stop.bits);
        let expected = &verdict.output[out..];
        // Some more room than output, to see what should not come.
        let found = decode(stream, input, inflater, expected.len() + 300, pieces);
        let mut history = vec![0; WINDOW];
        history.extend_from_slice(&verdict.output[out.saturating_sub(WINDOW)..out]);
        let mut bytes = vec![0; found.symbols.len()];
        let history = history.last_chunk().expect("as long as that");
        resolver.resolve(&found.symbols, history, &mut bytes);
        if reaches_too_far(&found.symbols, out) {
            assert!(!verdict.sound, "zlib takes a distance that is too far");
        } else if verdict.sound {
            assert!(found.ended && input + found.taken == verdict.whole, "another end");
            assert!(bytes == expected, "another output");
        } else {
            assert!(!found.ended, "zlib refuses the stream");
            let common = bytes.len().min(expected.len());
            assert!(bytes[..common] == expected[..common], "another output");
        }
    }
    guess(stream, &verdict.stops, pieces);
}

/// Begins wherever a block seems to begin.
fn guess(stream: &[u8], stops: &[judge::Stop], pieces: [usize; 2]) {
    let mut finder = Finder::new();
    let padded = [stream, &[0; Finder::MARGIN]].concat();
    let mut from = 0;
    for _ in 0..PLACES {
        let Some(start) = finder.find(&padded[from..]) else { return };
        let start = Start { byte: start.byte + from as u64, ..start };
        let byte = start.byte as usize;
        assert!(byte > from, "in front of the place");
        let mut inflater = Inflater::new();
        match start.bits {
            Some(bits) => inflater.resume(start.before[1], bits),
            None => inflater.resume_stored(),
        }
        let there = stops.iter().find(|stop| start.is_at(stop.input, stop.bits));
        let found = decode(stream, byte.min(stream.len()), inflater, GUESSED, pieces);
        if let Some(stop) = there {
            let mut right = Inflater::new();
            right.resume(stream[stop.input as usize - 1], stop.bits);
            let right = decode(stream, stop.input as usize, right, GUESSED, pieces);
            assert!(right.symbols == found.symbols && right.ended == found.ended, "another block");
        }
        from = byte;
    }
}

struct Decoded {
    symbols: Vec<u16>,
    taken: usize,
    ended: bool,
}

fn decode(
    stream: &[u8],
    begin: usize,
    mut inflater: Inflater,
    room: usize,
    [input, output]: [usize; 2],
) -> Decoded {
    let mut buffer: Vec<u16> = unknown().collect();
    buffer.resize(WINDOW + room, 0);
    let (mut at, mut position) = (begin, WINDOW);
    let ended = loop {
        let piece = &stream[at..][..input.min(stream.len() - at)];
        let end = position.saturating_add(output).min(buffer.len());
        let step = inflater.inflate(piece, &mut buffer, position..end, input % 2 == 0);
        (at, position) = (at + step.consumed, position + step.produced);
        let moved = step.consumed > 0 || step.produced > 0;
        match step.stop {
            Stop::StreamEnd => break true,
            Stop::Bad { .. } => break false,
            // Nothing more can come.
            Stop::Buffer if !moved && (at == stream.len() || position == buffer.len()) => {
                break false;
            }
            Stop::Buffer | Stop::BlockEnd { .. } => {}
        }
    };
    Decoded { symbols: buffer[WINDOW..position].to_vec(), taken: at - begin, ended }
}
