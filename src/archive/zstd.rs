//! zstd data as a reader: any number of frames, skippable ones between them, checksums checked.

use std::io::{self, BufReader, Cursor, ErrorKind, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::feed::Stop;

/// Largest window in bytes, which is kept in memory: what `zstd --long` asks for.
const MAX_WINDOW: u64 = 128 << 20;
/// Bytes decoded at a time.
const STEP: usize = 128 << 10;

/// Whether something begins like zstd data.
pub(super) fn is_zstd(head: &[u8]) -> bool {
    matches!(head, [0x28, 0xb5, 0x2f, 0xfd, ..]) || is_skippable(head)
}

fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Reads what was compressed.
pub(super) struct Zstd<R> {
    source: BufReader<R>,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: Read> Zstd<R> {
    pub(super) fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { source: BufReader::with_capacity(STEP, source), decoder, in_frame: false }
    }

    /// Begins the next frame that holds data; `false` at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            let mut magic = Vec::with_capacity(4);
            self.source.by_ref().take(4).read_to_end(&mut magic)?;
            if magic.is_empty() {
                return Ok(false);
            }
            if !is_skippable(&magic) {
                let frame = Cursor::new(magic).chain(&mut self.source);
                self.decoder.reset(frame).map_err(damaged)?;
                return Ok(true);
            }
            let mut length = [0; 4];
            self.source.read_exact(&mut length).map_err(cut)?;
            let length = u64::from(u32::from_le_bytes(length));
            let skipped = io::copy(&mut self.source.by_ref().take(length), &mut io::sink())?;
            if skipped < length {
                return Err(cut(ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn end_frame(&mut self) -> io::Result<()> {
        let (written, found) =
            (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        if written.is_some() && written != found {
            return Err(damaged("a frame's checksum does not match"));
        }
        self.in_frame = false;
        Ok(())
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame {
                if !self.next_frame()? {
                    return Ok(0);
                }
                self.in_frame = true;
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(into);
            }
            if self.decoder.is_finished() {
                self.end_frame()?;
            } else {
                let step = BlockDecodingStrategy::UptoBytes(STEP);
                self.decoder.decode_blocks(&mut self.source, step).map_err(damaged)?;
            }
        }
    }
}

fn cut(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::UnexpectedEof { damaged("a frame is cut short") } else { error }
}

fn damaged(problem: impl std::fmt::Display) -> io::Error {
    Stop::Decode { format: "zstd", problem: problem.to_string() }.into()
}
