//! zstd layers: read from end to end, as no zTOC can be made for them.
//!
//! A layer may have several frames, and skippable ones between them (`zstd:chunked` keeps its table of
//! contents there). The decoder is a library's; what is here is the walk over the frames.

use std::io::{BufReader, ErrorKind, Read};

use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

use super::ScanError;
use super::source::CHUNK;
use super::unpack::Taker;

/// Unpacks a zstd blob until `take` has enough or the blob ends.
///
/// # Errors
/// [`ScanError::Read`], and [`ScanError::Content`] with the offset in the blob at which it was noticed.
pub(super) fn unpack(blob: &mut dyn Read, take: &mut Taker<'_>) -> Result<(), ScanError> {
    let mut input =
        Counting { blob: BufReader::with_capacity(CHUNK, blob), position: 0, failed: None };
    let mut buffer = vec![0; CHUNK];
    let mut frames = 0_u64;
    while !input.at_end()? {
        let mut frame = match StreamingDecoder::new(&mut input) {
            Ok(frame) => frame,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                input.skip(u64::from(length))?;
                continue;
            }
            Err(error) => return Err(input.problem(&error)),
        };
        frames += 1;
        loop {
            match frame.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) if take(&buffer[..count]) => {}
                Ok(_) => return Ok(()),
                Err(error) => {
                    drop(frame);
                    return Err(input.problem(&error));
                }
            }
        }
    }
    if frames == 0 { Err(input.problem(&"not a zstd stream: it has no frame")) } else { Ok(()) }
}

/// A reader that knows its place, and keeps the operating system's error that the decoder hides in its own.
struct Counting<'a> {
    blob: BufReader<&'a mut dyn Read>,
    position: u64,
    failed: Option<std::io::Error>,
}

impl Counting<'_> {
    fn at_end(&mut self) -> Result<bool, ScanError> {
        use std::io::BufRead as _;
        loop {
            match self.blob.fill_buf() {
                Ok(bytes) => return Ok(bytes.is_empty()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn skip(&mut self, length: u64) -> Result<(), ScanError> {
        let skipped = std::io::copy(&mut self.by_ref().take(length), &mut std::io::sink());
        match skipped? {
            found if found == length => Ok(()),
            _ => Err(self.problem(&"a skippable frame is truncated")),
        }
    }

    fn problem(&mut self, problem: &dyn std::fmt::Display) -> ScanError {
        match self.failed.take() {
            Some(error) => ScanError::Read(error),
            None => ScanError::Content {
                problem: format!("zstd: {problem}"),
                offset: Some(self.position),
                uncompressed_offset: None,
            },
        }
    }
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.blob.read(buffer) {
            Ok(count) => {
                self.position += count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
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
