//! Raw inflate that can stop at the end of a deflate block.
//!
//! The only file of the crate with `unsafe`: a safe wrapper around one `z_stream` of zlib-rs
//! (`libz-rs-sys`), which is the one well-kept Rust inflater that reports block ends and the bit
//! position there (`Z_BLOCK` and `data_type`, zlib manual for `inflate`). Stopping costs time, so the
//! caller asks for it only where a checkpoint may fall (see [`super::gzip`]).

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::mem::{self, MaybeUninit};
use std::ptr;

use libz_rs_sys as z;

/// Raw deflate, 32 KiB window: the gzip wrapper is read by [`super::gzip`].
const RAW_WINDOW_BITS: c_int = -15;
/// `data_type`: unused bits in the last byte taken.
const UNUSED_BITS: c_int = 7;
/// `data_type`: in the last block of the stream.
const LAST_BLOCK: c_int = 64;
/// `data_type`: just behind a block's end.
const AT_BLOCK_END: c_int = 128;

/// Why [`Inflater::inflate`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// All input was taken, or the output is full.
    Buffer,
    /// A block that is not the stream's last ended; `bits` (0 to 7) high bits of the last byte taken
    /// belong to the next block.
    BlockEnd {
        /// Number of those bits.
        bits: u8,
    },
    /// The stream ended; what follows it is untaken.
    StreamEnd,
}

/// What one call did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Bytes of input taken.
    pub(crate) consumed: usize,
    /// Bytes of output written.
    pub(crate) produced: usize,
    /// Why it returned.
    pub(crate) stop: Stop,
}

/// The input is not a deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid deflate data: {message}")]
pub(crate) struct DataError {
    /// zlib's own words.
    pub(crate) message: &'static str,
}

/// A raw inflate stream.
pub(crate) struct Inflater {
    // Boxed: zlib's state points back at its stream and checks that it has not moved.
    stream: Box<z::z_stream>,
}

// SAFETY: the stream and the state behind it are owned by this value alone, zlib-rs keeps no
// thread-local or global data, and no method hands a pointer out.
unsafe impl Send for Inflater {}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}

impl Inflater {
    /// A stream at its beginning.
    pub(crate) fn new() -> Self {
        // SAFETY: all-zero is the documented way to ask for zlib's own allocator, and every member is
        // an integer, a raw pointer or an optional function pointer, for which zero is valid.
        let mut stream = Box::new(unsafe { MaybeUninit::<z::z_stream>::zeroed().assume_init() });
        // SAFETY: `stream` is a valid, initialised z_stream of the size given, the version text is
        // the library's own.
        let code = unsafe {
            z::inflateInit2_(
                ptr::from_mut(stream.as_mut()),
                RAW_WINDOW_BITS,
                z::zlibVersion(),
                mem::size_of::<z::z_stream>() as c_int,
            )
        };
        // The parameters are constants, so only memory can be short, and Rust aborts then as well.
        assert_eq!(code, z::Z_OK, "inflateInit2 refused constant parameters");
        Self { stream }
    }

    /// Goes back to the beginning of a stream: history from before cannot be referred to.
    pub(crate) fn reset(&mut self) {
        // SAFETY: `stream` was initialised by `inflateInit2_` and is not freed before drop.
        let code = unsafe { z::inflateReset(ptr::from_mut(self.stream.as_mut())) };
        assert_eq!(code, z::Z_OK, "inflateReset of an initialised stream");
    }

    /// Inflates from `input` into `output` until one of them ends, the stream ends or, if asked for,
    /// the current block ends.
    ///
    /// # Errors
    /// [`DataError`] when the input is not deflate data; the stream is then of no use until
    /// [`Self::reset`].
    pub(crate) fn inflate(
        &mut self,
        input: &[u8],
        output: &mut [u8],
        stop_at_block: bool,
    ) -> Result<Step, DataError> {
        let stream = self.stream.as_mut();
        let available_in = input.len().min(u32::MAX as usize);
        let available_out = output.len().min(u32::MAX as usize);
        stream.next_in = input.as_ptr().cast_mut();
        stream.avail_in = available_in as u32;
        stream.next_out = output.as_mut_ptr();
        stream.avail_out = available_out as u32;
        let flush = if stop_at_block { z::Z_BLOCK } else { z::Z_NO_FLUSH };
        // SAFETY: `stream` is initialised; next_in/avail_in and next_out/avail_out describe the two
        // slices, which outlive the call, are valid for reading and writing respectively, and do not
        // overlap; inflate only reads through next_in.
        let code = unsafe { z::inflate(ptr::from_mut(stream), flush) };
        let consumed = available_in - stream.avail_in as usize;
        let produced = available_out - stream.avail_out as usize;
        let (message, data_type) = (stream.msg, stream.data_type);
        // Both slices are only borrowed for this call; leave nothing behind that points at them.
        stream.next_in = ptr::null_mut();
        stream.avail_in = 0;
        stream.next_out = ptr::null_mut();
        stream.avail_out = 0;
        let stop = match code {
            z::Z_STREAM_END => Stop::StreamEnd,
            z::Z_OK if stop_at_block && data_type & (AT_BLOCK_END | LAST_BLOCK) == AT_BLOCK_END => {
                Stop::BlockEnd { bits: (data_type & UNUSED_BITS).unsigned_abs() as u8 }
            }
            // Z_BUF_ERROR only says that nothing could be done with the buffers given.
            z::Z_OK | z::Z_BUF_ERROR => Stop::Buffer,
            _ => return Err(DataError { message: message_text(message) }),
        };
        Ok(Step { consumed, produced, stop })
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, freed only here; the pointers into borrowed slices are null.
        unsafe { z::inflateEnd(ptr::from_mut(self.stream.as_mut())) };
    }
}

/// The library's message, which is a static text, or a fallback.
fn message_text(message: *const c_char) -> &'static str {
    if message.is_null() {
        return "unusable stream";
    }
    // SAFETY: zlib's `msg` is null or points to a static, NUL-terminated text of the library.
    let text = unsafe { std::ffi::CStr::from_ptr(message) };
    text.to_str().unwrap_or("unusable stream")
}
