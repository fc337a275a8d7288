//! zstd data as a reader: any number of frames, skippable ones between them (`zstd:chunked` keeps its table of
//! contents there), checksums checked. The decoder is a library's; what is here is the walk over the frames.

use std::fmt::Display;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::ScanError;
use super::source::Taker;
use super::source::pieces;

/// Largest window in bytes, which is kept in memory: what `zstd --long` asks for.
const MAX_WINDOW: u64 = 128 << 20;
/// Bytes decoded at a time.
const STEP: usize = 128 << 10;

/// Whether something begins like zstd data.
pub(crate) fn is_zstd(head: &[u8]) -> bool {
    matches!(head, [0x28, 0xb5, 0x2f, 0xfd, ..]) || is_skippable(head)
}

fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// What is wrong with zstd data, inside of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct Damaged {
    pub(crate) problem: String,
    /// Offset in the data at which it was noticed.
    pub(crate) offset: u64,
}

impl Damaged {
    /// That of an error, if the data is the cause.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Unpacks a zstd blob until `take` has enough or the blob ends.
///
/// # Errors
/// [`ScanError::Read`], and [`ScanError::Content`] with the offset in the blob at which it was noticed.
pub(super) fn unpack(blob: &mut dyn Read, take: &mut Taker<'_>) -> Result<(), ScanError> {
    let mut data = Zstd::new(blob);
    let read = pieces(&mut data, take).and_then(|()| match data.frames {
        0 => Err(data.source.damaged("not a zstd stream: it has no frame")),
        _ => Ok(()),
    });
    read.map_err(|error| match Damaged::of(&error) {
        Some(Damaged { problem, offset }) => ScanError::Content {
            problem: format!("zstd: {problem}"),
            offset: Some(*offset),
            uncompressed_offset: None,
        },
        None => ScanError::Read(error),
    })
}

/// Reads what was compressed.
pub(crate) struct Zstd<R> {
    source: Counting<R>,
    decoder: FrameDecoder,
    in_frame: bool,
    /// Frames with data so far.
    frames: u64,
}

impl<R: Read> Zstd<R> {
    pub(crate) fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        let source = BufReader::with_capacity(STEP, source);
        let source = Counting { source, position: 0, failed: None };
        Self { source, decoder, in_frame: false, frames: 0 }
    }

    /// Begins the next frame that holds data; `false` at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            let mut magic = Vec::with_capacity(4);
            let read = self.source.by_ref().take(4).read_to_end(&mut magic);
            read.map_err(|error| self.source.damaged(error))?;
            if magic.is_empty() {
                return Ok(false);
            }
            if !is_skippable(&magic) {
                let frame = Cursor::new(magic).chain(&mut self.source);
                self.decoder.reset(frame).map_err(|error| self.source.damaged(error))?;
                self.frames += 1;
                return Ok(true);
            }
            let mut length = [0; 4];
            let read = self.source.read_exact(&mut length);
            read.map_err(|_| self.source.damaged("a skippable frame is truncated"))?;
            let length = u64::from(u32::from_le_bytes(length));
            let skipped = io::copy(&mut self.source.by_ref().take(length), &mut io::sink());
            if skipped.ok() != Some(length) {
                return Err(self.source.damaged("a skippable frame is truncated"));
            }
        }
    }

    fn end_frame(&mut self) -> io::Result<()> {
        let (written, found) =
            (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        if written.is_some() && written != found {
            return Err(self.source.damaged("a frame's checksum does not match"));
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
                let decoded = self.decoder.decode_blocks(&mut self.source, step);
                decoded.map_err(|error| self.source.damaged(error))?;
            }
        }
    }
}

/// A reader that knows its place, and keeps the operating system's error that the decoder hides in its own.
struct Counting<R> {
    source: BufReader<R>,
    position: u64,
    failed: Option<io::Error>,
}

impl<R: Read> Counting<R> {
    /// What a failure of the decoder comes from: the source, or the data.
    fn damaged(&mut self, problem: impl Display) -> io::Error {
        self.failed.take().unwrap_or_else(|| {
            let (problem, offset) = (problem.to_string(), self.position);
            io::Error::new(ErrorKind::InvalidData, Damaged { problem, offset })
        })
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.source.read(buffer) {
                Ok(count) => {
                    self.position += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failed = Some(error);
                    return Err(kind.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with one raw block and one that repeats a byte, without a checksum.
    fn frame(raw: &[u8], repeated: (u8, u32)) -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
        frame.extend(&((raw.len() as u32) << 3).to_le_bytes()[..3]);
        frame.extend(raw);
        frame.extend(&(repeated.1 << 3 | 0b011).to_le_bytes()[..3]);
        frame.push(repeated.0);
        frame
    }

    fn skippable(content: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x5a, 0x2a, 0x4d, 0x18];
        frame.extend((content.len() as u32).to_le_bytes());
        frame.extend(content);
        frame
    }

    fn all(mut blob: &[u8]) -> Result<Vec<u8>, ScanError> {
        let mut out = Vec::new();
        unpack(&mut blob, &mut |bytes| {
            out.extend_from_slice(bytes);
            true
        })?;
        Ok(out)
    }

    #[test]
    fn frames_one_behind_the_other() {
        let blob = [
            skippable(b"first"),
            frame(b"abc", (b'x', 4)),
            skippable(b""),
            frame(b"", (b'y', 2)),
            skippable(b"last"),
        ]
        .concat();
        assert_eq!(all(&blob).expect("sound"), b"abcxxxxyy");
        let mut taken = 0;
        unpack(&mut blob.as_slice(), &mut |bytes| {
            taken += bytes.len();
            false
        })
        .expect("enough");
        assert_eq!(taken, 7, "nothing behind the first piece is read");
    }

    #[test]
    fn what_is_wrong_has_an_offset() {
        let good = frame(b"abc", (b'x', 4));
        for (blob, offset) in [
            (b"".to_vec(), 0),
            (skippable(b"only"), 12),
            ([good.clone(), b"garbage".to_vec()].concat(), good.len() as u64 + 4),
            (good[..good.len() - 1].to_vec(), good.len() as u64 - 1),
            (skippable(b"truncated")[..12].to_vec(), 12),
        ] {
            match all(&blob) {
                Err(ScanError::Content { offset: Some(found), problem, .. }) => {
                    assert_eq!(found, offset, "{problem}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
