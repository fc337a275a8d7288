//! Random streams, valid and damaged, with zlib-rs as the judge.
//!
//! zlib-rs says what is valid, what the output is and behind which byte each block ends. The bits there
//! are judged by what they are for: from that bit on, with the window as dictionary, it must read the
//! rest of the stream.

use zlib_rs::{Inflate, InflateFlush, Status};

use super::symbol::WINDOW;
use super::{Inflater, Resolver, Stop, reaches_too_far, unknown};

/// Random numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    bits: usize,
}

impl BitWriter {
    fn put(&mut self, value: usize, count: usize) {
        for bit in 0..count {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().expect("pushed above") |=
                ((value >> bit & 1) as u8) << (self.bits % 8);
            self.bits += 1;
        }
    }

    fn align(&mut self) {
        self.bits = self.bits.next_multiple_of(8);
    }

    /// The code of `symbol`, first bit first.
    fn code(&mut self, lengths: &[u8], symbol: usize) {
        let length = lengths[symbol];
        let of_length =
            |l: u8, symbols: &[u8]| symbols.iter().map(|&o| usize::from(o == l)).sum::<usize>();
        let first = (1..length).fold(0, |code, l| (code + of_length(l, lengths)) << 1);
        let code = first + of_length(length, &lengths[..symbol]);
        for bit in (0..length).rev() {
            self.put(code >> bit & 1, 1);
        }
    }
}

/// A complete code over some of `symbols`, always over `needed`.
fn random_code(
    random: &mut Random,
    symbols: usize,
    needed: Option<usize>,
    longest: u8,
    sparse: usize,
) -> Vec<u8> {
    let mut used: Vec<usize> =
        (0..symbols).filter(|&s| Some(s) == needed || random.once_in(sparse)).collect();
    let mut lengths = vec![0; symbols];
    if used.len() < 2 {
        for symbol in used {
            lengths[symbol] = 1;
        }
        return lengths;
    }
    let mut leaves = vec![1, 1];
    let deep = random.below(3);
    while leaves.len() < used.len() {
        let last = leaves.len() - 1;
        let mut split = if random.below(3) < deep { last } else { random.below(last + 1) };
        while leaves[split] >= longest {
            split = random.below(last + 1);
        }
        leaves[split] += 1;
        leaves.push(leaves[split]);
    }
    for length in leaves {
        let symbol = used.swap_remove(random.below(used.len()));
        lengths[symbol] = length;
    }
    lengths
}

/// A stream of a few blocks; `wild` ones break rules now and then.
fn random_stream(random: &mut Random, wild: bool) -> Vec<u8> {
    let mut writer = BitWriter::default();
    let mut produced = 0;
    let blocks = 1 + random.below(4);
    for block in 1..=blocks {
        writer.put(usize::from(block == blocks), 1);
        let kind = random.below(5).min(2);
        writer.put(kind, 2);
        if kind == 0 {
            let most = if random.once_in(9) { 50_000 } else { 50 };
            let length = random.below(most);
            writer.align();
            writer.put(length | (!length & 0xffff) << 16, 32);
            for _ in 0..length {
                writer.put(random.below(256), 8);
            }
            produced += length;
            continue;
        }
        let mut litlen = vec![8; 288];
        let mut distance = vec![5; 32];
        if kind == 1 {
            litlen[144..256].fill(9);
            litlen[256..280].fill(7);
        } else {
            let sparse = [1, 1, 3, 30][random.below(4)];
            litlen = random_code(random, 286, Some(256), 15, sparse);
            distance = random_code(random, 30, None, 15, sparse);
            write_header(random, &mut writer, &mut litlen, &mut distance, wild);
        }
        let codes: Vec<usize> =
            (0..286).filter(|&symbol| litlen[symbol] > 0 && symbol != 256).collect();
        let reachable: Vec<usize> = (0..30).filter(|&symbol| distance[symbol] > 0).collect();
        let most = if random.once_in(9) { 5000 } else { 150 };
        for _ in 0..random.below(most) {
            if codes.is_empty() {
                break;
            }
            let symbol = codes[random.below(codes.len())];
            if symbol < 256 {
                writer.code(&litlen, symbol);
                produced += 1;
                continue;
            }
            // By their definitions, not by the tables under test.
            let extra = if symbol < 265 || symbol == 285 { 0 } else { (symbol - 261) / 4 };
            let near = |s: usize| if s < 4 { s + 1 } else { ((2 | s & 1) << (s / 2 - 1)) + 1 };
            let fits = |s: &&usize| near(**s) <= produced || wild && produced % 64 == 7;
            let Some(&far) = reachable.iter().filter(fits).max_by_key(|s| *s * 7 % 31) else {
                continue;
            };
            writer.code(&litlen, symbol);
            writer.put(random.below(1 << extra), extra);
            writer.code(&distance, far);
            let extra = (far / 2).saturating_sub(1);
            let most = produced.saturating_sub(near(far)).min((1 << extra) - 1);
            writer.put(if random.once_in(2) { most } else { random.below(most + 1) }, extra);
            // At least: the exact length does not matter for what can be reached.
            produced += 3;
        }
        writer.code(&litlen, 256);
    }
    for _ in 0..random.below(12) {
        writer.align();
        writer.put(random.below(256), 8);
    }
    writer.bytes
}

fn write_header(
    random: &mut Random,
    writer: &mut BitWriter,
    litlen: &mut [u8],
    distance: &mut [u8],
    wild: bool,
) {
    if wild && random.once_in(6) {
        litlen[random.below(286)] = random.below(16) as u8;
        distance[random.below(30)] = random.below(16) as u8;
    }
    let used = |lengths: &[u8], least: usize| {
        least.max(lengths.iter().rposition(|&length| length > 0).map_or(0, |last| last + 1))
    };
    let (litlens, distances) = (used(litlen, 257), used(distance, 1));
    let lengths = [&litlen[..litlens], &distance[..distances]].concat();
    let mut precode = random_code(random, 19, None, 7, 1);
    if wild && random.once_in(9) {
        precode[random.below(19)] = random.below(8) as u8;
    }
    writer.put(litlens - 257 + if wild && random.once_in(20) { 40 } else { 0 }, 5);
    writer.put(distances - 1, 5);
    writer.put(15, 4);
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
        writer.put(usize::from(precode[symbol]), 3);
    }
    let mut at = 0;
    while at < lengths.len() {
        let length = lengths[at];
        let run = lengths[at..].iter().take_while(|&&other| other == length).count();
        let repeats = at > 0 && lengths[at - 1] == length && run >= 3 && random.once_in(2);
        let (symbol, least, most, extra) = match (length, run) {
            _ if repeats => (16, 3, 6, 2),
            (0, 3..=10) => (17, 3, 10, 3),
            (0, 11..) => (18, 11, 138, 7),
            _ => (usize::from(length), 1, 1, 0),
        };
        writer.code(&precode, symbol);
        writer.put(run.min(most) - least, extra);
        at += run.min(most);
    }
    if wild && random.once_in(20) {
        writer.code(&precode, 16);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ended,
    Truncated,
    Bad,
}

/// What a decoder makes of a stream: verdict, bytes taken at the end, output, and where blocks end (in,
/// bits, out).
#[derive(Debug)]
struct Trace {
    verdict: Verdict,
    taken: usize,
    output: Vec<u8>,
    blocks: Vec<(usize, u8, usize)>,
}

fn ours(
    inflater: &mut Inflater,
    stream: &[u8],
    random: &mut Random,
    whole: bool,
    stop: usize,
) -> Trace {
    inflater.reset();
    let mut trace =
        Trace { verdict: Verdict::Truncated, taken: 0, output: Vec::new(), blocks: Vec::new() };
    let mut buffer = vec![0xa5; WINDOW + 1 + random.below(5000)];
    let mut position = if whole { WINDOW } else { random.below(WINDOW) };
    let mut rest = stream;
    let sizes = [1, 3, 20, 300][random.below(4)];
    let rooms = [1, 3, 300, 20_000][random.below(4)];
    while !rest.is_empty() {
        let chunk;
        let size = if whole { rest.len() } else { 1 + random.below(sizes) };
        (chunk, rest) = rest.split_at(size.min(rest.len()));
        // In memory of its own, so that a sanitizer sees reads behind it.
        let chunk: Box<[u8]> = chunk.into();
        let mut used = 0;
        loop {
            if position == buffer.len() {
                buffer.copy_within(position - WINDOW.., 0);
                position = WINDOW;
            }
            let room = buffer.len() - position;
            let room = if whole { room } else { room.min(random.below(rooms + 1)) };
            let watch = stop == 1 || stop == 2 && random.once_in(2);
            let step =
                inflater.inflate(&chunk[used..], &mut buffer, position..position + room, watch);
            used += step.consumed;
            trace.taken += step.consumed;
            trace.output.extend_from_slice(&buffer[position..position + step.produced]);
            position += step.produced;
            match step.stop {
                Stop::BlockEnd { bits } => {
                    trace.blocks.push((trace.taken, bits, trace.output.len()));
                }
                Stop::StreamEnd => {
                    trace.verdict = Verdict::Ended;
                    return trace;
                }
                Stop::Bad { unread, .. } => {
                    trace.taken -= unread as usize;
                    trace.verdict = Verdict::Bad;
                    return trace;
                }
                Stop::Buffer if step.produced < room => {
                    assert_eq!(used, chunk.len(), "stopped without cause");
                    break;
                }
                Stop::Buffer => {}
            }
        }
    }
    trace
}

/// zlib-rs stops at the end of the last block, too; that stop is left out, and bits are not told.
fn judge(stream: &[u8]) -> Trace {
    let mut inflate = Inflate::new(false, 15);
    let mut trace =
        Trace { verdict: Verdict::Truncated, taken: 0, output: Vec::new(), blocks: Vec::new() };
    let mut buffer = vec![0; 1 << 20];
    loop {
        let status = inflate.decompress(&stream[trace.taken..], &mut buffer, InflateFlush::Block);
        let (taken, out) = (inflate.total_in() as usize, inflate.total_out() as usize);
        let produced = out - trace.output.len();
        let moved = produced > 0 || taken > trace.taken;
        trace.output.extend_from_slice(&buffer[..produced]);
        trace.taken = taken;
        match status {
            Ok(Status::StreamEnd) => {
                trace.verdict = Verdict::Ended;
                return trace;
            }
            Ok(_) if !moved => return trace,
            Ok(_) => trace.blocks.push((taken, 0, out)),
            Err(_) => {
                trace.verdict = Verdict::Bad;
                return trace;
            }
        }
    }
}

/// Whether zlib-rs reads the rest of the stream from a block's end.
fn restarts(stream: &[u8], whole: &Trace, (taken, bits, out): (usize, u8, usize)) -> bool {
    // Stored blocks begin at bytes, so all bits must keep their places in them: blocks of the fixed code
    // come first, of 10 bits each, and one of 19 bits, with a literal, if the place is odd.
    let mut writer = BitWriter::default();
    let place = (8 - usize::from(bits)) % 8;
    let odd = place % 2;
    let blocks = (place + 8 - 3 * odd) / 2 % 4 + odd;
    for block in 0..blocks {
        writer.put(0b010, 3);
        writer.put(if block < odd { 0b1_1111_1111 } else { 0 }, if block < odd { 16 } else { 7 });
    }
    if bits > 0 {
        writer.put(usize::from(stream[taken - 1] >> (8 - bits)), usize::from(bits));
    }
    stream[taken..].iter().for_each(|&byte| writer.put(usize::from(byte), 8));
    let mut inflate = Inflate::new(false, 15);
    let mut buffer = vec![0; whole.output.len() - out + 2];
    for _ in 0..blocks {
        let at = inflate.total_in() as usize;
        let status = inflate.decompress(&writer.bytes[at..], &mut buffer, InflateFlush::Block);
        assert_eq!(status, Ok(Status::Ok));
    }
    let window = &whole.output[out.saturating_sub(WINDOW)..out];
    inflate.set_dictionary(window).expect("a window");
    let (at, before) = (inflate.total_in() as usize, inflate.total_out());
    let status = inflate.decompress(&writer.bytes[at..], &mut buffer, InflateFlush::Finish);
    let produced = (inflate.total_out() - before) as usize;
    status == Ok(Status::StreamEnd) && whole.output[out..] == buffer[..produced]
}

/// Whether decoding from a block's end on without the history, which is put in afterwards, gives the same output.
fn wide(
    stream: &[u8],
    whole: &Trace,
    (taken, bits, out): (usize, u8, usize),
    random: &mut Random,
) -> bool {
    let mut inflater = Inflater::new();
    inflater.resume(stream[taken - 1], bits);
    let mut buffer: Vec<u16> = unknown().collect();
    buffer.resize(WINDOW + whole.output.len() - out + 300, 0);
    let (mut at, mut position, most) = (taken, WINDOW, [3, 300, 60_000][random.below(3)]);
    loop {
        let input = &stream[at..][..(1 + random.below(most)).min(stream.len() - at)];
        let end = (position + random.below(most)).min(buffer.len());
        let step = inflater.inflate(input, &mut buffer, position..end, random.once_in(2));
        (at, position) = (at + step.consumed, position + step.produced);
        match step.stop {
            Stop::StreamEnd => break,
            Stop::Bad { .. } => return false,
            Stop::Buffer | Stop::BlockEnd { .. } => {}
        }
    }
    let symbols = &buffer[WINDOW..position];
    let history = [&vec![0; WINDOW][..], &whole.output[..out]].concat();
    let mut bytes = vec![0; symbols.len()];
    Resolver::new().resolve(symbols, history.last_chunk().expect("a window"), &mut bytes);
    at == whole.taken && bytes == whole.output[out..] && !reaches_too_far(symbols, out)
}

fn compare(stream: &[u8], random: &mut Random) -> Verdict {
    let want = judge(stream);
    let mut inflater = Inflater::new();
    let first = ours(&mut inflater, stream, random, true, 1);
    for (whole, stop) in [(true, 0), (false, 1), (false, 2), (false, 0)] {
        let got = ours(&mut inflater, stream, random, whole, stop);
        assert_eq!(got.verdict, want.verdict);
        let common = got.output.len().min(want.output.len());
        assert_eq!(got.output[..common], want.output[..common]);
        if want.verdict != Verdict::Bad {
            assert_eq!(got.output.len(), want.output.len());
        }
        if want.verdict == Verdict::Ended {
            assert_eq!(got.taken, want.taken);
        }
        // However input and room are cut, an error comes behind the same output and at the same place.
        assert!(got.output == first.output);
        assert!(want.verdict != Verdict::Bad || got.taken == first.taken);
        match stop {
            0 => assert_eq!(got.blocks, []),
            1 => assert_eq!(got.blocks, first.blocks),
            _ => assert!(got.blocks.iter().all(|block| first.blocks.contains(block))),
        }
    }
    assert_eq!(first.verdict, want.verdict);
    for &(taken, bits, out) in &first.blocks {
        assert!(bits < 8);
        assert!(want.blocks.contains(&(taken, 0, out)), "no block ends at {taken}, {out}");
        if want.verdict == Verdict::Ended {
            assert!(restarts(stream, &want, (taken, bits, out)));
            assert!(wide(stream, &want, (taken, bits, out), random));
        }
    }
    want.verdict
}

/// How many streams to try; Miri takes its time.
const ROUNDS: usize = if cfg!(miri) { 3 } else { 300 };

#[test]
fn valid_streams() {
    let mut random = Random(11);
    for _ in 0..ROUNDS {
        let stream = random_stream(&mut random, false);
        assert_eq!(compare(&stream, &mut random), Verdict::Ended);
    }
}

#[test]
fn damaged_streams() {
    let mut random = Random(12);
    let mut seen = [0; 3];
    for _ in 0..3 * ROUNDS {
        let wild = random.once_in(2);
        let mut stream = random_stream(&mut random, wild);
        for _ in 0..random.below(3) {
            let zone = if random.once_in(2) { stream.len().min(100) } else { stream.len() };
            stream[random.below(zone)] ^= 1 << random.below(8);
        }
        if random.once_in(3) {
            stream.truncate(1 + random.below(stream.len()));
        }
        seen[compare(&stream, &mut random) as usize] += 1;
    }
    assert!(cfg!(miri) || seen.iter().all(|&times| times > ROUNDS / 10), "{seen:?}");
}

#[test]
fn noise() {
    let mut random = Random(13);
    for _ in 0..10 * ROUNDS {
        let mut stream: Vec<u8> =
            (0..=random.below(100)).map(|_| random.below(256) as u8).collect();
        stream[0] = stream[0] & 0xf8 | 4;
        compare(&stream, &mut random);
    }
}

/// All of this is reached by chance as well; here it has a name.
#[test]
fn rules_that_rfc_1951_leaves_open() {
    let mut random = Random(14);
    let mut verdict = |litlen: &[(usize, u8)], distance: &[u8], symbols: &[(bool, usize)]| {
        let mut lengths = vec![0; 286];
        for &(symbol, length) in litlen {
            lengths[symbol] = length;
        }
        let mut writer = BitWriter::default();
        writer.put(0b101, 3);
        write_header(&mut Random(1), &mut writer, &mut lengths, &mut distance.to_vec(), false);
        for &(is_distance, symbol) in symbols {
            writer.code(if is_distance { distance } else { &lengths }, symbol);
        }
        writer.put(0, 20);
        compare(&writer.bytes, &mut random)
    };
    let complete = [(65, 2), (256, 2), (257, 1)];
    let ends = [(false, 65), (false, 256)];
    assert_eq!(verdict(&complete, &[1, 1], &ends), Verdict::Ended);
    // A single code, or none, is enough for distances, if the missing one is not used.
    assert_eq!(verdict(&complete, &[1], &ends), Verdict::Ended);
    assert_eq!(verdict(&complete, &[0], &ends), Verdict::Ended);
    assert_eq!(verdict(&complete, &[0], &[(false, 65), (false, 257)]), Verdict::Bad);
    assert_eq!(verdict(&complete, &[2], &ends), Verdict::Bad);
    assert_eq!(verdict(&complete, &[1, 1, 1], &ends), Verdict::Bad);
    // The end of block alone, too; but it must be there.
    assert_eq!(verdict(&[(256, 1)], &[1], &[(false, 256)]), Verdict::Ended);
    assert_eq!(verdict(&[(256, 2)], &[1], &[(false, 256)]), Verdict::Bad);
    assert_eq!(verdict(&[(65, 1), (66, 1)], &[1], &[(false, 65)]), Verdict::Bad);
    // One byte back, but nothing is there.
    assert_eq!(verdict(&complete, &[1, 1], &[(false, 257), (true, 0)]), Verdict::Bad);
}
