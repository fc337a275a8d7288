//! The judge of gzip: zlib in C, asked to stop at every block, over the whole blob at once.
//!
//! It is slow and simple on purpose: it keeps all output, stops at each candidate and applies the span
//! rule as `soci-formats` 3.2 words it.

#![allow(unsafe_code, reason = "calls into C")]

use std::mem::{MaybeUninit, size_of};

use libz_sys as z;

/// `windowBits` for a gzip wrapper and for none.
const GZIP: i32 = 31;
const RAW: i32 = -15;

/// A place where inflating stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Offset in the blob.
    pub(crate) input: u64,
    /// Offset in the output.
    pub(crate) output: u64,
    /// Unread high bits of the byte before.
    pub(crate) bits: u8,
}

/// What zlib makes of a blob.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// All output.
    pub(crate) output: Vec<u8>,
    /// Behind each header and each block that is not its member's last.
    pub(crate) stops: Vec<Stop>,
    /// Whether the blob is a sequence of whole, sound members.
    pub(crate) sound: bool,
    /// Whether it ended for want of room.
    pub(crate) too_long: bool,
    /// Bytes of input that whole members take.
    pub(crate) whole: usize,
}

struct Stream(Box<z::z_stream>);

impl Stream {
    fn new(window_bits: i32) -> Self {
        // SAFETY: zlib documents all-zero as the default allocator; every member is an integer, a raw
        // pointer or an optional function pointer. (The Rust declaration has non-null functions, so the
        // value is only ever handled behind a pointer until zlib has set them.)
        let mut stream = Box::new(MaybeUninit::<z::z_stream>::zeroed());
        // SAFETY: a valid pointer to a zeroed z_stream, and the library's own version and size.
        let code = unsafe {
            z::inflateInit2_(
                stream.as_mut_ptr(),
                window_bits,
                z::zlibVersion(),
                i32::try_from(size_of::<z::z_stream>()).expect("small"),
            )
        };
        assert_eq!(code, z::Z_OK, "memory");
        // SAFETY: inflateInit2_ has put zlib's own functions where there were none.
        Self(unsafe { Box::from_raw(Box::into_raw(stream).cast()) })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`.
        unsafe { z::inflateEnd(&raw mut *self.0) };
    }
}

/// Inflates one raw deflate stream; its output and the bytes it takes, or `None` when it is none.
pub(crate) fn raw(data: &[u8], most: usize) -> Option<(Vec<u8>, usize)> {
    let verdict = walk(data, most, RAW, false);
    verdict.sound.then_some((verdict.output, verdict.whole))
}

/// Walks a raw deflate stream; gives up beyond `most` bytes of output.
pub(crate) fn raw_blocks(stream: &[u8], most: usize) -> Verdict {
    walk(stream, most, RAW, false)
}

/// Walks a gzip blob of any number of members; gives up beyond `most` bytes of output.
pub(crate) fn gzip(blob: &[u8], most: usize) -> Verdict {
    walk(blob, most, GZIP, true)
}

fn walk(blob: &[u8], most: usize, window_bits: i32, many: bool) -> Verdict {
    let mut verdict =
        Verdict { output: Vec::new(), stops: Vec::new(), sound: false, too_long: false, whole: 0 };
    let mut stream = Stream::new(window_bits);
    let mut position = 0;
    let mut room = vec![0; 64 << 10];
    loop {
        let input = &blob[position..];
        stream.0.next_in = input.as_ptr().cast_mut();
        stream.0.avail_in = input.len() as u32;
        stream.0.next_out = room.as_mut_ptr();
        stream.0.avail_out = room.len() as u32;
        // SAFETY: initialised, and both pairs of pointer and length describe live slices.
        let code = unsafe { z::inflate(&raw mut *stream.0, z::Z_BLOCK) };
        let taken = input.len() - stream.0.avail_in as usize;
        let made = room.len() - stream.0.avail_out as usize;
        position += taken;
        verdict.output.extend_from_slice(&room[..made]);
        if verdict.output.len() > most {
            verdict.too_long = true;
            return verdict;
        }
        match code {
            z::Z_STREAM_END => {
                verdict.whole = position;
                if !many || position == blob.len() {
                    verdict.sound = true;
                    return verdict;
                }
                // SAFETY: initialised.
                let code = unsafe { z::inflateReset(&raw mut *stream.0) };
                assert_eq!(code, z::Z_OK, "reset");
            }
            z::Z_OK => {
                // 128: behind a header or a block's end; 64: in a member's last block.
                if stream.0.data_type & (128 | 64) == 128 {
                    verdict.stops.push(Stop {
                        input: position as u64,
                        output: verdict.output.len() as u64,
                        bits: (stream.0.data_type & 7).unsigned_abs() as u8,
                    });
                } else if taken == 0 && made == 0 {
                    return verdict;
                }
            }
            _ => return verdict,
        }
    }
}

/// CRC-32 by C zlib.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    // SAFETY: pointer and length describe a live slice.
    let crc = unsafe { z::crc32(0, bytes.as_ptr(), bytes.len() as u32) };
    crc as u32
}
