//! The form of an entry: two lines, then the zTOC blob as it is put into layouts.
//!
//! ```text
//! soci-layout cache 1
//! {"layer":"sha256:…","layer_size":…,"compression":"gzip","span_size":…,…,"ztoc":"sha256:…","ztoc_size":…}
//! <ztoc_size bytes>
//! ```
//!
//! The second line has one form only: it is written again from what was read and compared. So there is
//! no byte of an entry whose change goes unnoticed, and equal zTOCs make equal entries.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CACHE_VERSION;
use super::key::{self, CacheKey};
use crate::limits::MAX_ZTOC_SIZE;
use crate::oci::digest::{Digest, Hasher};
use crate::ztoc::{DecodeError, Ztoc};

const MAGIC: &str = "soci-layout cache ";

/// Most bytes of the two lines. Only the build tool identifier has no bound of its own; one that is
/// longer than this is not worth a cache.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// Why a file of the cache cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum EntryProblem {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A link, a directory, a device.
    #[error("it is no regular file")]
    Type,
    /// Not an entry at all.
    #[error("not a cache entry (bad header)")]
    Magic,
    /// An entry of another version, in spite of its name.
    #[error("it is an entry of version {found}, not {CACHE_VERSION}")]
    Version {
        /// By its first line.
        found: u32,
    },
    /// The second line.
    #[error("its head is damaged: {0}")]
    Head(String),
    /// An entry for something else than its name says, or than was looked for.
    #[error("it is an entry for something else: {what}: expected {expected}, found {found}")]
    Other {
        /// Name of what differs.
        what: &'static str,
        /// By its name, or by what was looked for.
        expected: String,
        /// By its head.
        found: String,
    },
    /// Cut off, or something was appended.
    #[error("its zTOC has another size: expected {expected} bytes, found {found}")]
    Size {
        /// By its head.
        expected: u64,
        /// In the file.
        found: u64,
    },
    /// The zTOC's bytes are not those of its digest.
    #[error("its zTOC is damaged: expected the digest {expected}, found {found}")]
    Checksum {
        /// By its head.
        expected: Digest,
        /// Of the bytes.
        found: Digest,
    },
    /// The zTOC is one that no reader takes.
    #[error("its zTOC cannot be used: {0}")]
    Decode(#[from] DecodeError),
    /// The zTOC is sound but not the one that the head tells of.
    #[error("its zTOC does not fit: {0}")]
    Misfit(&'static str),
    /// The zTOC says the right things in other bytes than this program writes.
    #[error("its zTOC was not written by this program")]
    Foreign,
}

/// What the second line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// What the entry is for.
    pub(crate) key: CacheKey,
    /// Digest of the zTOC blob.
    pub(crate) ztoc: Digest,
    /// Its size in bytes.
    pub(crate) ztoc_size: u64,
}

/// The second line's members, in their order.
#[derive(Debug, Deserialize, Serialize)]
struct Line {
    layer: String,
    layer_size: u64,
    compression: String,
    span_size: u64,
    build_tool_identifier: String,
    ztoc: String,
    ztoc_size: u64,
}

impl Head {
    /// Both lines; `None` when they would exceed [`MAX_HEAD`].
    pub(super) fn render(&self) -> Option<Vec<u8>> {
        let Self { key, ztoc, ztoc_size } = self;
        let line = Line {
            layer: key.layer.to_string(),
            layer_size: key.layer_size,
            compression: key.compression.word().to_owned(),
            span_size: key.span_size,
            build_tool_identifier: key.build_tool_identifier.clone(),
            ztoc: ztoc.to_string(),
            ztoc_size: *ztoc_size,
        };
        let mut head = format!("{MAGIC}{CACHE_VERSION}\n").into_bytes();
        serde_json::to_writer(&mut head, &line).ok()?;
        head.push(b'\n');
        (head.len() <= MAX_HEAD).then_some(head)
    }

    /// Reads both lines from the beginning of an entry, and says where the zTOC begins.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, usize), EntryProblem> {
        let bytes = &bytes[..bytes.len().min(MAX_HEAD)];
        let rest = bytes.strip_prefix(MAGIC.as_bytes()).ok_or(EntryProblem::Magic)?;
        let end = rest.iter().take(11).position(|b| *b == b'\n').ok_or(EntryProblem::Magic)?;
        let version = std::str::from_utf8(&rest[..end]).ok().and_then(|text| text.parse().ok());
        match version {
            Some(CACHE_VERSION) => {}
            Some(found) => return Err(EntryProblem::Version { found }),
            None => return Err(EntryProblem::Magic),
        }
        let damaged = |what: &str| EntryProblem::Head(what.to_owned());
        let text = &rest[end + 1..];
        let length =
            text.iter().position(|b| *b == b'\n').ok_or_else(|| damaged("it does not end"))?;
        let line: Line = serde_json::from_slice(&text[..length])
            .map_err(|error| EntryProblem::Head(error.to_string()))?;
        let head = Self {
            key: CacheKey {
                layer: line.layer.parse().map_err(|_| damaged("layer is no digest"))?,
                layer_size: line.layer_size,
                compression: key::compression(&line.compression)
                    .ok_or_else(|| damaged("unknown compression"))?,
                span_size: line.span_size,
                build_tool_identifier: line.build_tool_identifier,
            },
            ztoc: line.ztoc.parse().map_err(|_| damaged("ztoc is no digest"))?,
            ztoc_size: line.ztoc_size,
        };
        let start = MAGIC.len() + end + 1 + length + 1;
        if head.render().as_deref() != Some(&bytes[..start]) {
            return Err(damaged("its header is not canonical"));
        }
        Ok((head, start))
    }

    /// Whether the entry is for `key`.
    pub(super) fn expect(&self, key: &CacheKey) -> Result<(), EntryProblem> {
        let fields = |key: &CacheKey| {
            [
                ("layer", key.layer.to_string()),
                ("layer size", key.layer_size.to_string()),
                ("compression", key.compression.word().to_owned()),
                ("span size", key.span_size.to_string()),
                ("build tool identifier", format!("{:?}", key.build_tool_identifier)),
            ]
        };
        let pairs = fields(key).into_iter().zip(fields(&self.key));
        match pairs.into_iter().find(|(ours, its)| ours != its) {
            Some(((what, expected), (_, found))) => {
                Err(EntryProblem::Other { what, expected, found })
            }
            None => Ok(()),
        }
    }

    /// Whether the entry is one that belongs into the file `name`.
    pub(super) fn expect_name(&self, name: &str) -> Result<(), EntryProblem> {
        let found = self.key.file_name();
        if found == name {
            return Ok(());
        }
        Err(EntryProblem::Other { what: "file name", expected: name.to_owned(), found })
    }
}

/// Opens a file of the cache. No link is followed, and nothing that is not a file is opened for long.
pub(super) fn open(path: &Path) -> Result<(File, u64), EntryProblem> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let opened = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path);
    let file = opened.map_err(|error| {
        // A link; a socket.
        let errno = rustix::io::Errno::from_io_error(&error);
        if matches!(errno, Some(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO)) {
            EntryProblem::Type
        } else {
            EntryProblem::Read(error)
        }
    })?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(EntryProblem::Type) }
}

/// The head alone.
pub(super) fn read_head(file: &File) -> Result<Head, EntryProblem> {
    let mut bytes = Vec::new();
    file.take(MAX_HEAD as u64).read_to_end(&mut bytes)?;
    Head::parse(&bytes).map(|(head, _)| head)
}

/// A whole entry of `size` bytes: its head, and its zTOC checked against size, digest, structure and head.
/// `expect` is asked about the head before anything large is read.
pub(super) fn read(
    file: &File,
    size: u64,
    expect: impl FnOnce(&Head) -> Result<(), EntryProblem>,
) -> Result<(Head, Ztoc), EntryProblem> {
    let mut bytes = Vec::new();
    file.take(MAX_HEAD as u64).read_to_end(&mut bytes)?;
    let (head, start) = Head::parse(&bytes)?;
    expect(&head)?;
    let found = size.saturating_sub(start as u64);
    if head.ztoc_size != found || found > MAX_ZTOC_SIZE {
        return Err(EntryProblem::Size { expected: head.ztoc_size, found });
    }
    bytes.reserve_exact((size as usize + 1).saturating_sub(bytes.len()));
    // One byte more, so that a file that grows meanwhile is noticed.
    file.take((size + 1).saturating_sub(bytes.len() as u64)).read_to_end(&mut bytes)?;
    let blob = &bytes[start..];
    if blob.len() as u64 != head.ztoc_size {
        let (expected, found) = (head.ztoc_size, blob.len() as u64);
        return Err(EntryProblem::Size { expected, found });
    }
    let found = Digest::of(blob);
    if found != head.ztoc {
        return Err(EntryProblem::Checksum { expected: head.ztoc, found });
    }
    let ztoc = Ztoc::decode(blob)?;
    match head.key.misfit(&ztoc) {
        Some(what) => Err(EntryProblem::Misfit(what)),
        None => Ok((head, ztoc)),
    }
}

/// Whether `digest` is that of the bytes that this program writes for the zTOC.
pub(super) fn check_form(ztoc: &Ztoc, digest: &Digest) -> Result<(), EntryProblem> {
    let encoding = ztoc.encoding().map_err(|_| EntryProblem::Foreign)?;
    let mut hasher = Hasher::new();
    let written: Result<(), std::convert::Infallible> = encoding.parts(|part| {
        hasher.update(part);
        Ok(())
    });
    match written {
        Ok(()) if hasher.finish() == *digest => Ok(()),
        Ok(()) => Err(EntryProblem::Foreign),
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::media_type::Compression;

    fn head() -> Head {
        Head {
            key: CacheKey {
                layer: Digest::of(b"layer"),
                layer_size: 5,
                compression: Compression::Gzip,
                span_size: 4 << 20,
                build_tool_identifier: "tool \"ü\"\n\u{202e}".to_owned(),
            },
            ztoc: Digest::of(b"ztoc"),
            ztoc_size: 4,
        }
    }

    #[test]
    fn round_trip() {
        let mut bytes = head().render().expect("short");
        let length = bytes.len();
        bytes.extend_from_slice(b"ztoc");
        assert_eq!(Head::parse(&bytes).expect("own bytes"), (head(), length));
        assert_eq!(bytes.split(|b| *b == b'\n').count(), 3);
    }

    #[test]
    fn every_flipped_bit_of_the_head_is_noticed() {
        let good = head().render().expect("short");
        for position in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[position] ^= 1 << bit;
                if let Ok((found, _)) = Head::parse(&bytes) {
                    // A digit or a letter became another one: then it is an entry for something else, or
                    // of another zTOC.
                    let other = found.expect(&head().key).is_err()
                        || (found.ztoc, found.ztoc_size) != (head().ztoc, head().ztoc_size);
                    assert!(other, "byte {position}, bit {bit}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_head() {
        let good = head().render().expect("short");
        let text = String::from_utf8(good.clone()).expect("JSON");
        for (bytes, problem) in [
            (String::new(), "bad header"),
            ("x".repeat(100_000), "bad header"),
            ("soci-layout cache 1".to_owned(), "bad header"),
            ("soci-layout cache x\n{}\n".to_owned(), "bad header"),
            ("soci-layout cache 99999999999\n{}\n".to_owned(), "bad header"),
            ("soci-layout cache 2\nwhatever".to_owned(), "version 2, not 1"),
            ("soci-layout cache 1\n".to_owned(), "does not end"),
            ("soci-layout cache 1\n{}\n".to_owned(), "missing field"),
            (format!("soci-layout cache 1\n{}", " ".repeat(100_000)), "does not end"),
            (text.replace(":5", ":-5"), "invalid value"),
            (text.replace(":5", ": 5"), "not canonical"),
            (text.replace("gzip", "zstd"), "unknown compression"),
            (text.replace("{\"lay", "{\"more\":1,\"lay"), "not canonical"),
            (text.replace("\"layer\":\"sha256:", "\"layer\":\"sha256:../"), "no digest"),
            (format!("{}\n", "soci-layout cache 1\n".to_owned() + &"[".repeat(60_000)), "damaged"),
        ] {
            let error = Head::parse(bytes.as_bytes()).expect_err(problem).to_string();
            assert!(error.contains(problem), "{error} lacks {problem}");
        }
        let mut long = head();
        long.key.build_tool_identifier = "x".repeat(MAX_HEAD);
        assert_eq!(long.render(), None);
    }
}
