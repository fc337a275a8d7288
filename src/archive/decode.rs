//! What the archive is compressed with, by its first bytes, and what it is when it is no tar. (zstd is
//! undone before, on the reading thread.)

use std::io::{self, Cursor};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::GzipDecoder;
use tokio::io::{AsyncRead, AsyncReadExt, Chain, ReadBuf};

use super::feed::{Feed, Stop};

/// Bytes by which a tar archive is known: one header.
const HEAD: usize = 512;

type Source<'a> = Chain<Cursor<Vec<u8>>, Feed<'a>>;

/// The tar archive, whatever it came in.
pub(super) enum Decoded<'a> {
    Plain(Source<'a>),
    Gzip(Box<GzipDecoder<Source<'a>>>),
}

/// What stands at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    Gzip,
}

/// Looks at the first bytes of something; the error says what else it is, and what to do.
pub(super) fn sniff(head: &[u8]) -> Result<Format, (&'static str, &'static str)> {
    const EXPORT: &str =
        "export one (docker buildx build -o type=oci,dest=image.tar .) and give that";
    match head {
        [0x1f, 0x8b, ..] => Ok(Format::Gzip),
        _ if head.get(257..262) == Some(b"ustar") => Ok(Format::Plain),
        [] => Err(("it is empty", "did the command that should write it fail?")),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Err((
            "it is compressed with xz; gzip and zstd are understood",
            "xz -dc ARCHIVE | soci-layout index -",
        )),
        [b'B', b'Z', b'h', ..] => Err((
            "it is compressed with bzip2; gzip and zstd are understood",
            "bzip2 -dc ARCHIVE | soci-layout index -",
        )),
        [0x04, 0x22, 0x4d, 0x18, ..] => Err((
            "it is compressed with lz4; gzip and zstd are understood",
            "lz4 -dc ARCHIVE | soci-layout index -",
        )),
        [b'P', b'K', 3 | 5, ..] => Err(("it is a zip archive, not a tar archive", EXPORT)),
        // A tar of the days before ustar has no mark, but blocks; it is told by its checksum.
        _ if head.len() == HEAD && has_checksum(head) => Ok(Format::Plain),
        _ => Err(("not a tar archive (plain, gzip or zstd)", EXPORT)),
    }
}

fn has_checksum(head: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(&head[148..156]) else { return false };
    let digits = text.trim_matches(|c: char| c == '\0' || c == ' ');
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    u32::from_str_radix(digits, 8) == Ok(sum(&head[..148]) + sum(&head[156..]) + 8 * 32)
}

/// Reads as much as is needed to know what it is.
pub(super) async fn decode(
    mut feed: Feed<'_>,
) -> io::Result<Result<Decoded<'_>, (&'static str, &'static str)>> {
    let mut head = Vec::with_capacity(HEAD);
    (&mut feed).take(HEAD as u64).read_to_end(&mut head).await?;
    let format = match sniff(&head) {
        Ok(format) => format,
        Err(other) => return Ok(Err(other)),
    };
    let source = Cursor::new(head).chain(feed);
    Ok(Ok(match format {
        Format::Plain => Decoded::Plain(source),
        Format::Gzip => {
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
            (&tar[..], Format::Plain),
            (&old[..], Format::Plain),
            (b"\x1f\x8b\x08\0", Format::Gzip),
        ] {
            assert_eq!(sniff(head), Ok(expected));
        }
        for (head, part) in [
            (&b""[..], "empty"),
            (b"\xfd7zXZ\0", "xz"),
            (b"BZh9", "bzip2"),
            (b"\x04\x22\x4d\x18", "lz4"),
            (b"PK\x03\x04", "zip"),
            (b"{\"imageLayoutVersion\"", "not a tar"),
            (&[0; HEAD], "not a tar"),
        ] {
            assert!(sniff(head).expect_err(part).0.contains(part), "{part}");
        }
    }
}
