//! What a zTOC says of itself: a few numbers at a few places, without reading it whole.
//!
//! Most of a zTOC is windows and file names, and it may be hundreds of megabytes. Its sizes, counts and
//! texts are found by following offsets, some thirty reads of a few bytes, and one for each span. Entries, windows and span
//! digests are not read: that a head can be read does not mean that a reader takes the zTOC.

use std::io;

use super::decode::{self, DecodeError};
use super::flatbuffer::read::{Bytes, Flat};
use super::spans::largest_span;
use super::zinfo::{Checkpoint, HEADER_SIZE, RECORD_SIZE, packed_size};
use crate::oci::media_type::Compression;

/// The numbers of a zTOC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Text that names the tool that made it.
    pub build_tool_identifier: String,
    /// Bytes of the layer's blob.
    pub compressed_archive_size: u64,
    /// Bytes of the uncompressed archive up to its end.
    pub uncompressed_archive_size: u64,
    /// Compression of the layer.
    pub compression: Compression,
    /// Uncompressed bytes between checkpoints, as asked for.
    pub span_size: u64,
    /// Number of spans.
    pub spans: u64,
    /// Number of entries in the TOC.
    pub files: u64,
    /// Bytes of the blob in the largest span; not known when there are too many to look at.
    pub largest_span: Option<u64>,
}

/// Why the head of a zTOC cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// Reading the blob.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// What was read makes no sense.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

type Result<T> = std::result::Result<T, HeadError>;

/// Fills the buffer with the blob's bytes from an offset on.
type ReadAt<'a> = &'a dyn Fn(u64, &mut [u8]) -> io::Result<()>;

/// Longest tool identifier that is read, in bytes; longer ones are cut.
const MAX_IDENTIFIER: u64 = 1 << 10;
/// Longest flatbuffer of a plain tar's spans, in bytes; it holds three numbers (`soci-formats` 4).
const MAX_TAR_ZINFO: u64 = 4 << 10;
/// Spans that are examined one by one: those of 64 GiB of content in spans of the usual size.
const MAX_SPANS: u64 = 16 << 10;

impl Head {
    /// Reads the head of a zTOC of `size` bytes through `read`.
    ///
    /// # Errors
    /// [`HeadError`]: offsets that lead outside, counts that contradict each other, what `read` gives.
    pub fn read(size: u64, read: ReadAt<'_>) -> Result<Self> {
        let blob = Flat(Remote { size, read });
        let root = blob.root()?;
        let (start, len) = root.vector(1, 1)?;
        let identifier = bytes(blob, (start, len.min(MAX_IDENTIFIER)))?;
        let toc = root.table(4)?.ok_or(DecodeError::Missing("TOC"))?;
        let info = root.table(5)?.ok_or(DecodeError::Missing("CompressionInfo"))?;
        let (start, len) = info.vector(3, 1)?;
        let (compression, span_size, spans) = match info.i8(0, 1)? {
            1 => {
                let count = i64::from(i32::from_le_bytes(blob.array(start)?));
                let span_size = u64::from_le_bytes(blob.array(start + 4)?);
                if u64::try_from(count).ok().and_then(packed_size) != Some(len) {
                    let what = "checkpoint count";
                    return Err(DecodeError::Number { what, value: count }.into());
                }
                (Compression::Gzip, span_size, count.unsigned_abs())
            }
            2 if len <= MAX_TAR_ZINFO => {
                let tar = decode::tar_zinfo(&bytes(blob, (start, len))?)?;
                (Compression::None, tar.span_size, tar.len())
            }
            2 => {
                let (what, value) = ("size of the span table", len as i64);
                return Err(DecodeError::Number { what, value }.into());
            }
            other => return Err(DecodeError::Algorithm(other).into()),
        };
        let compressed_size = decode::size("compressed_archive_size", root.i64(2)?)?;
        decode::check_span_count(info, spans)?;
        Ok(Self {
            build_tool_identifier: String::from_utf8_lossy(&identifier).into_owned(),
            compressed_archive_size: compressed_size,
            uncompressed_archive_size: decode::size("uncompressed_archive_size", root.i64(3)?)?,
            compression,
            span_size,
            spans,
            files: toc.vector(0, 4)?.1,
            largest_span: match compression {
                Compression::Gzip => largest_gzip_span(blob, start, spans, compressed_size)?,
                Compression::None => Some(span_size.min(compressed_size)),
            },
        })
    }
}

/// A flatbuffer that is not in memory.
#[derive(Clone, Copy)]
struct Remote<'a> {
    size: u64,
    read: ReadAt<'a>,
}

impl Bytes for Remote<'_> {
    type Error = HeadError;

    fn size(self) -> u64 {
        self.size
    }

    fn fill(self, position: u64, buffer: &mut [u8]) -> Result<()> {
        Ok((self.read)(position, buffer)?)
    }
}

fn bytes(blob: Flat<Remote<'_>>, (start, len): (u64, u64)) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    blob.fill(start, &mut bytes)?;
    Ok(bytes)
}

/// Looks at each of the packed checkpoints that begin at `start`.
fn largest_gzip_span(
    blob: Flat<Remote<'_>>,
    start: u64,
    spans: u64,
    end: u64,
) -> Result<Option<u64>> {
    if spans > MAX_SPANS {
        return Ok(None);
    }
    let starts = (0..spans).map(|number| {
        let record = blob.array(start + HEADER_SIZE as u64 + number * RECORD_SIZE as u64)?;
        Ok(Checkpoint::unpack(&record).span_start())
    });
    let starts = starts.collect::<Result<Vec<_>>>()?;
    Ok(Some(largest_span(starts.into_iter(), end)))
}

#[cfg(test)]
mod tests {
    use super::super::toc::{Entry, FileType, Toc};
    use super::super::zinfo::{GzipZinfo, TarZinfo, WINDOW_SIZE};
    use super::super::{Zinfo, Ztoc};
    use super::*;
    use crate::oci::digest::Digest;

    fn ztoc(zinfo: Zinfo, files: usize) -> Vec<u8> {
        let mut toc = Toc::new();
        for number in 0..files {
            let name = number.to_string();
            toc.push(&Entry {
                uncompressed_offset: 512 * (number as i64 + 1),
                mode: 0o755,
                ..Entry::plain(name.as_bytes(), FileType::Directory)
            })
            .expect("room");
        }
        let spans = zinfo.span_count();
        let ztoc = Ztoc {
            build_tool_identifier: "tool".to_owned(),
            compressed_archive_size: 100,
            uncompressed_archive_size: 3000,
            toc,
            zinfo,
            span_digests: (0..spans).map(|n| Digest::of(&n.to_le_bytes())).collect(),
        };
        ztoc.encode().expect("small")
    }

    static ZEROS: [u8; WINDOW_SIZE] = [0; WINDOW_SIZE];

    fn gzip() -> Vec<u8> {
        let mut zinfo = GzipZinfo::new(1000);
        for number in 0..3 {
            let checkpoint = Checkpoint {
                compressed_offset: 10 + 30 * number,
                uncompressed_offset: 1000 * number,
                bits: 0,
            };

            zinfo.push(&checkpoint, &ZEROS);
        }
        ztoc(Zinfo::Gzip(zinfo), 5)
    }

    fn head(bytes: &[u8]) -> (Result<Head>, usize) {
        let read = std::cell::Cell::new(0);
        let head = Head::read(bytes.len() as u64, &|offset, buffer: &mut [u8]| {
            read.set(read.get() + buffer.len());
            buffer.copy_from_slice(&bytes[offset as usize..][..buffer.len()]);
            Ok(())
        });
        (head, read.get())
    }

    #[test]
    fn the_numbers_in_a_few_bytes() {
        let (found, read) = head(&gzip());
        let expected = Head {
            build_tool_identifier: "tool".to_owned(),
            compressed_archive_size: 100,
            uncompressed_archive_size: 3000,
            compression: Compression::Gzip,
            span_size: 1000,
            spans: 3,
            files: 5,
            largest_span: Some(30),
        };
        assert_eq!(found.expect("a head"), expected);
        assert!(read < 400, "{read} bytes of {}", gzip().len());
        let tar = ztoc(Zinfo::Tar(TarZinfo { span_size: 64, size: 100 }), 0);
        let found = head(&tar).0.expect("a head");
        assert_eq!((found.compression, found.spans, found.files), (Compression::None, 2, 0));
    }

    /// It says what the whole says, or refuses; it never panics.
    #[test]
    fn any_byte_changed_and_any_end() {
        let bytes = ztoc(Zinfo::Tar(TarZinfo { span_size: 64, size: 100 }), 2);
        for position in 0..bytes.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[position] ^= change;
                if let (Ok(whole), (Ok(found), _)) = (Ztoc::decode(&changed), head(&changed)) {
                    assert_eq!(found.files, whole.toc.len() as u64, "byte {position}");
                    assert_eq!(found.spans, whole.zinfo.span_count(), "byte {position}");
                }
            }
            let _ = head(&bytes[..position]);
        }
        let mut wrong = gzip();
        let count = wrong.windows(4).position(|w| w == [3, 0, 0, 0]).expect("some count");
        assert!(head(&wrong).0.is_ok());
        for at in count..wrong.len() - 12 {
            if wrong[at..at + 12] == [3, 0, 0, 0, 0xe8, 3, 0, 0, 0, 0, 0, 0] {
                wrong[at] = 4;
                assert!(head(&wrong).0.is_err());
                return;
            }
        }
        panic!("no packed checkpoints");
    }
}
