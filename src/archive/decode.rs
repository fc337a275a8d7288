//! What the archive is compressed with, by its first bytes, and what it is when it is no tar. (zstd is
//! undone before, on the reading thread.)

use std::io::{self, Cursor};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::GzipDecoder;
use tokio::io::{AsyncRead, AsyncReadExt, Chain, ReadBuf};

use super::feed::{Feed, Stop};
use crate::oci::media_type::Compression;
use crate::trouble::InputTrouble;

/// Bytes by which a tar archive is known: one header.
const HEAD: usize = 512;

type Source<'a> = Chain<Cursor<Vec<u8>>, Feed<'a>>;

/// The tar archive, whatever it came in.
pub(super) enum Decoded<'a> {
    Plain(Source<'a>),
    Gzip(Box<GzipDecoder<Source<'a>>>),
}

/// How something that begins like this is compressed; the error says what else it is.
pub(super) fn sniff(head: &[u8]) -> Result<Compression, InputTrouble> {
    match head {
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        _ if head.get(257..262) == Some(b"ustar") => Ok(Compression::None),
        [] => Err(InputTrouble::EmptyFile),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Err(InputTrouble::Compressed("xz")),
        [b'B', b'Z', b'h', ..] => Err(InputTrouble::Compressed("bzip2")),
        [0x04, 0x22, 0x4d, 0x18, ..] => Err(InputTrouble::Compressed("lz4")),
        [b'P', b'K', 3 | 5, ..] => Err(InputTrouble::ZipArchive),
        // A tar of the days before ustar has no mark, but blocks; it is told by its checksum.
        _ if head.len() == HEAD && has_checksum(head) => Ok(Compression::None),
        _ => Err(InputTrouble::OtherFormat),
    }
}

fn has_checksum(head: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(&head[148..156]) else { return false };
    let digits = text.trim_matches(|c: char| c == '\0' || c == ' ');
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    u32::from_str_radix(digits, 8) == Ok(sum(&head[..148]) + sum(&head[156..]) + 8 * 32)
}

/// Reads as much as is needed to know what it is.
pub(super) async fn decode(mut feed: Feed<'_>) -> io::Result<Result<Decoded<'_>, InputTrouble>> {
    let mut head = Vec::with_capacity(HEAD);
    (&mut feed).take(HEAD as u64).read_to_end(&mut head).await?;
    let compression = sniff(&head);
    let source = Cursor::new(head).chain(feed);
    Ok(compression.map(|compression| match compression {
        Compression::None => Decoded::Plain(source),
        Compression::Gzip => {
            let mut decoder = GzipDecoder::new(source);
            decoder.multiple_members(true);
            Decoded::Gzip(Box::new(decoder))
        }
    }))
}

impl AsyncRead for Decoded<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = match self.get_mut() {
            Self::Plain(source) => return Pin::new(source).poll_read(cx, into),
            Self::Gzip(decoder) => ready!(Pin::new(decoder).poll_read(cx, into)),
        };
        Poll::Ready(result.map_err(|error| {
            // What comes from below keeps its own reason.
            if Stop::is_in(&error) {
                return error;
            }
            Stop::Decode { format: "gzip", problem: error.to_string() }.into()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes() {
        let mut tar = vec![0; HEAD];
        tar[257..262].copy_from_slice(b"ustar");
        let mut old = vec![0; HEAD];
        old[..5].copy_from_slice(b"blobs");
        assert!(sniff(&old).is_err());
        let sum = b"blobs".iter().map(|b| u32::from(*b)).sum::<u32>() + 256;
        old[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        for (head, expected) in [
            (&tar[..], Compression::None),
            (&old[..], Compression::None),
            (b"\x1f\x8b\x08\0", Compression::Gzip),
        ] {
            assert_eq!(sniff(head), Ok(expected));
        }
        for (head, trouble) in [
            (&b""[..], InputTrouble::EmptyFile),
            (b"\xfd7zXZ\0", InputTrouble::Compressed("xz")),
            (b"BZh9", InputTrouble::Compressed("bzip2")),
            (b"\x04\x22\x4d\x18", InputTrouble::Compressed("lz4")),
            (b"PK\x03\x04", InputTrouble::ZipArchive),
            (b"{\"imageLayoutVersion\"", InputTrouble::OtherFormat),
            (&[0; HEAD], InputTrouble::OtherFormat),
        ] {
            assert_eq!(sniff(head), Err(trouble));
        }
    }
}
