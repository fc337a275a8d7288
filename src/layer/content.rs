//! What a layer's content is, by its first bytes, and what is said when its media type calls it something else.

use std::fmt;
use std::io::Read;

use super::eager::{EagerCause, EagerReason};
use super::tar::{Header, is_zero};
use super::unpack::{Codec, unpack};
use super::zstd::is_zstd;
use super::{ScanError, ScanObserver};
use crate::oci::digest::{Digest, Hasher};
use crate::oci::media_type::Compression;

/// Bytes from which content is recognised: an empty tar archive is two zero blocks.
const HEAD_SIZE: usize = 1024;

/// Content that is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Empty,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Tar,
}

impl Content {
    /// Recognises content by its first bytes.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [] => Some(Self::Empty),
            // First what has a checksum: a file's name may begin like anything.
            _ if is_tar(head) => Some(Self::Tar),
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            _ if is_zstd(head) => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', ..] => Some(Self::Bzip2),
            _ => None,
        }
    }

    /// How it is read, where it can be.
    pub(crate) fn codec(self) -> Option<Codec> {
        match self {
            Self::Gzip => Some(Codec::Gzip),
            Self::Zstd => Some(Codec::Zstd),
            Self::Tar => Some(Codec::Plain),
            Self::Empty | Self::Xz | Self::Bzip2 => None,
        }
    }
}

fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk() else { return false };
    if is_zero(block) {
        return head.len() >= HEAD_SIZE && head.iter().all(|byte| *byte == 0);
    }
    Header::parse(block).is_ok()
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty (0 bytes)",
            Self::Gzip => "compressed with gzip",
            Self::Zstd => "compressed with zstd",
            Self::Xz => "compressed with xz",
            Self::Bzip2 => "compressed with bzip2",
            Self::Tar => "an uncompressed tar archive",
        })
    }
}

/// The first bytes of a blob, as many as content is recognised by.
///
/// # Errors
/// Those of reading.
pub(crate) fn head(blob: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_SIZE);
    blob.take(HEAD_SIZE as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The digest of what a blob holds when it is unpacked as its first bytes say; `None` when they say nothing.
///
/// # Errors
/// As [`unpack`], and [`ScanError::Cancelled`].
pub(crate) fn diff_id(
    mut blob: &mut dyn Read,
    observer: &dyn ScanObserver,
) -> Result<Option<Digest>, ScanError> {
    let first = head(&mut blob)?;
    let Some(codec) = Content::of(&first).and_then(Content::codec) else { return Ok(None) };
    let (mut hasher, mut cancelled) = (Hasher::new(), false);
    unpack(&mut first.as_slice().chain(blob), codec, &mut |bytes| {
        hasher.update(bytes);
        cancelled = observer.cancelled();
        !cancelled
    })?;
    if cancelled { Err(ScanError::Cancelled) } else { Ok(Some(hasher.finish())) }
}

/// The first bytes of a stream.
#[derive(Debug, Default)]
pub(super) struct Head(Vec<u8>);

impl Head {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let room = HEAD_SIZE - self.0.len();
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn content(&self) -> Option<Content> {
        Content::of(&self.0)
    }
}

/// By what is told what a layer is: what its media type calls it, and the first bytes of the blob and of what a gzip
/// stream holds.
#[derive(Debug)]
pub(super) struct FirstBytes {
    called: Compression,
    pub(super) blob: Head,
    pub(super) inner: Head,
}

impl FirstBytes {
    pub(super) fn new(called: Compression) -> Self {
        Self { called, blob: Head::default(), inner: Head::default() }
    }

    /// Why a layer is eager, in the light of what it is.
    pub(super) fn explain(&self, reason: EagerReason) -> EagerReason {
        if reason.cause != EagerCause::Unreadable {
            return reason;
        }
        let text = match (self.called, self.blob.content()) {
            (Compression::Gzip, Some(Content::Gzip)) => match self.inner.content() {
                Some(Content::Tar | Content::Empty) | None => return reason,
                Some(inner) => format!(
                    "its media type says a tar archive compressed with gzip, but what the gzip stream holds is {inner}"
                ),
            },
            (Compression::None, Some(Content::Tar)) | (_, None) => return reason,
            (Compression::Gzip, Some(found)) => {
                format!("its media type says gzip, but its content is {found}")
            }
            (Compression::None, Some(found)) => format!(
                "its media type says an uncompressed tar archive, but its content is {found}"
            ),
        };
        EagerReason::new(EagerCause::Mislabelled, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognised_by_the_first_bytes() {
        let mut header = [0; 512];
        header[..1].copy_from_slice(b"f");
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        for (head, expected) in [
            (&b""[..], Some(Content::Empty)),
            (b"\x1f\x8b\x08\0", Some(Content::Gzip)),
            (b"\x28\xb5\x2f\xfd", Some(Content::Zstd)),
            (b"\x5a\x2a\x4d\x18", Some(Content::Zstd)),
            (b"\xfd7zXZ\0\0", Some(Content::Xz)),
            (b"BZh91AY", Some(Content::Bzip2)),
            (&header, Some(Content::Tar)),
            (&[0; 1024], Some(Content::Tar)),
            (&[0; 512], None),
            (b"garbage", None),
            (&[7; 1024], None),
        ] {
            let mut fed = Head::default();
            for byte in head {
                fed.feed(&[*byte]);
            }
            assert_eq!(fed.content(), expected, "{}", head.escape_ascii());
        }
    }
}
