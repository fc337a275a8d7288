//! Which members of an archive are taken, and why others are not. Pure: headers in, decisions out.
//!
//! An archive of an image layout has two documents that must be there, two that Docker adds, and blobs
//! named after their content. Everything else is refused by name: who unpacks less than an archive
//! holds, or something else than another program would, hands on an image that was not checked.

use std::collections::HashSet;
use std::fmt;

use crate::oci::digest::Digest;
use crate::trouble::InputTrouble;

/// Largest size in bytes that the 11 octal digits of a tar header hold.
pub(super) const MAX_OCTAL_SIZE: u64 = (1 << 33) - 1;

/// What an archive says about a member before its content.
#[derive(Clone, Debug)]
pub(super) struct Header<'a> {
    pub(super) name: &'a [u8],
    /// The type flag.
    pub(super) kind: u8,
    /// Size in bytes by which the member is read.
    pub(super) size: u64,
    /// Size in bytes of the ustar header alone.
    pub(super) size_alone: u64,
    /// PAX records of this member.
    pub(super) pax: Vec<(&'a [u8], &'a [u8])>,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// A directory of the layout; it is made anyway.
    Directory,
    /// A file beside `blobs/`.
    Document(Document),
    /// A blob.
    Blob(BlobName),
}

/// The files beside `blobs/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// The layout's version.
    OciLayout,
    /// The roots.
    IndexJson,
    /// For `docker load`: configuration and layers by their paths, which stay true.
    ManifestJson,
    /// For `docker load` of old: names by layer.
    Repositories,
}

impl Document {
    pub(super) const ALL: [Self; 4] =
        [Self::OciLayout, Self::IndexJson, Self::ManifestJson, Self::Repositories];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OciLayout => "oci-layout",
            Self::IndexJson => "index.json",
            Self::ManifestJson => "manifest.json",
            Self::Repositories => "repositories",
        }
    }
}

/// A blob's algorithm and digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlobName {
    Sha256(Digest),
    /// Checked and kept, but never looked into.
    Sha512([u8; 64]),
}

impl BlobName {
    /// The hexadecimal digits: the blob's file name.
    pub(super) fn hex(self) -> String {
        match self {
            Self::Sha256(digest) => digest.hex(),
            Self::Sha512(bytes) => {
                let (halves, _) = bytes.as_chunks::<32>();
                halves.iter().map(|half| Digest(*half).hex()).collect()
            }
        }
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = if let Self::Sha256(_) = self { "sha256" } else { "sha512" };
        write!(f, "{algorithm}:{}", self.hex())
    }
}

/// Why a member is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) problem: String,
    pub(super) trouble: Option<InputTrouble>,
}

/// Decides about one member.
pub(super) fn classify(header: &Header<'_>) -> Result<Member, Refusal> {
    check_pax(header)?;
    let name = path(header.name)?;
    if is_dir_transport(name, header.kind) {
        return Err(refuse(
            "it belongs to an image in the form of skopeo's dir:, which is no OCI layout",
            InputTrouble::DirTransport,
        ));
    }
    if is_docker_archive(name) {
        return Err(refuse(
            "it belongs to a docker-archive, which is no OCI layout",
            InputTrouble::DockerArchive,
        ));
    }
    let (name, has_slash) = name.strip_suffix('/').map_or((name, false), |name| (name, true));
    check_kind(header.kind, has_slash)?;
    if header.kind == b'5' {
        return directory(name, header.size);
    }
    if let Some(document) = Document::ALL.into_iter().find(|document| document.name() == name) {
        return Ok(Member::Document(document));
    }
    match name.split('/').collect::<Vec<_>>().as_slice() {
        ["blobs", "sha256", hex] => blob(Digest::from_hex(hex).map(BlobName::Sha256), 64),
        ["blobs", "sha512", hex] => blob(sha512(hex).map(BlobName::Sha512), 128),
        ["blobs", _, _] => Err(unknown_algorithm()),
        [_, .., "oci-layout" | "index.json"] | [_, "blobs", ..] => Err(refuse(
            "the layout lies in a directory of the archive, not at its top",
            InputTrouble::NotAtTop,
        )),
        _ => Err(foreign()),
    }
}

/// The name as UTF-8, relative, in its shortest form; `tar -C DIR -c .` puts `./` in front.
fn path(name: &[u8]) -> Result<&str, Refusal> {
    let Ok(name) = std::str::from_utf8(name) else {
        return Err(plain("its name is not UTF-8"));
    };
    if name.starts_with('/') {
        return Err(plain("its path is absolute"));
    }
    if name.bytes().any(|byte| byte == 0) {
        return Err(plain("its name holds a zero byte"));
    }
    let name = if name == "." { "./" } else { name };
    let short = name.strip_prefix("./").unwrap_or(name);
    let inner = short.strip_suffix('/').unwrap_or(short);
    if short.is_empty() && name.is_empty() {
        return Err(plain("it has no name"));
    }
    if inner.split('/').any(|part| part == "..") {
        return Err(plain("its path leads out of the archive (\"..\")"));
    }
    if !short.is_empty() && inner.split('/').any(|part| part.is_empty() || part == ".") {
        return Err(plain("its path is not in its shortest form"));
    }
    Ok(short)
}

fn check_kind(kind: u8, has_slash: bool) -> Result<(), Refusal> {
    let found = match kind {
        // Old archives mark a directory by the name alone.
        b'0' | 0 if has_slash => "a file whose name ends with a slash",
        b'0' | 0 | b'5' => return Ok(()),
        b'1' => "a hard link",
        b'2' => "a symbolic link",
        b'3' | b'4' => "a device",
        b'6' => "a named pipe",
        b'S' => "a sparse file",
        b'g' => "a global PAX header",
        _ => {
            let kind = char::from(kind);
            return Err(plain(format!(
                "it is of type {kind:?}; only files and directories are taken"
            )));
        }
    };
    let problem = format!("it is {found}; only files and directories are taken");
    let trouble = matches!(kind, b'1' | b'2').then_some(InputTrouble::Links);
    Err(Refusal { problem, trouble })
}

fn directory(name: &str, size: u64) -> Result<Member, Refusal> {
    if size != 0 {
        return Err(plain("it is a directory with content"));
    }
    match name.split('/').collect::<Vec<_>>().as_slice() {
        // BuildKit leaves an empty `ingest/`.
        ["" | "blobs" | "ingest"] | ["blobs", "sha256" | "sha512"] => Ok(Member::Directory),
        ["blobs", _] => Err(unknown_algorithm()),
        _ => Err(foreign()),
    }
}

fn blob(name: Option<BlobName>, digits: usize) -> Result<Member, Refusal> {
    name.map(Member::Blob).ok_or_else(|| {
        plain(format!("a blob is named by the {digits} lowercase hexadecimal digits of its digest"))
    })
}

/// Two sizes for one member let two programs see different members (RUSTSEC-2025-0111). Only a size
/// that the header cannot hold may stand in the record alone; there Go, GNU tar and Python write zero.
fn check_pax(header: &Header<'_>) -> Result<(), Refusal> {
    let mut seen: HashSet<&[u8]> = HashSet::new();
    for (key, value) in &header.pax {
        if key.starts_with(b"GNU.sparse.") {
            return Err(plain("it is a sparse file; only files and directories are taken"));
        }
        if !seen.insert(key) {
            let key = String::from_utf8_lossy(key);
            return Err(plain(format!("its PAX record {key:?} is there twice")));
        }
        if *key == b"path" && value.contains(&0) {
            return Err(plain("its name holds a zero byte"));
        }
    }
    let (size, in_header) = (header.size, header.size_alone);
    let beyond_octal = size > MAX_OCTAL_SIZE && (in_header == 0 || in_header == MAX_OCTAL_SIZE);
    if size != in_header && !beyond_octal {
        return Err(plain(format!(
            "its size is {in_header} bytes by its header and {size} bytes by its PAX record"
        )));
    }
    Ok(())
}

/// What `docker save` wrote before version 25, and what copies of it look like: configurations and
/// layers under their digests at the top, or a directory for each layer.
fn is_docker_archive(name: &str) -> bool {
    let (first, rest) =
        name.split_once('/').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let stem = first.strip_prefix("sha256:").unwrap_or(first);
    let (hex, ending) = stem.split_at(stem.bytes().take_while(u8::is_ascii_hexdigit).count());
    hex.len() == 64
        && match rest {
            None => matches!(ending, "" | ".json" | ".tar" | ".tar.gz"),
            Some(rest) => {
                ending.is_empty() && matches!(rest, "" | "json" | "VERSION" | "layer.tar")
            }
        }
}

/// skopeo's `dir:` has bare digests for blobs, the version of the form, and a manifest per platform.
fn is_dir_transport(name: &str, kind: u8) -> bool {
    let stem = name.strip_suffix(".manifest.json").unwrap_or(name);
    matches!(kind, b'0' | 0) && (name == "version" || Digest::from_hex(stem).is_some())
}

fn sha512(hex: &str) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    let (first, second) = hex.split_at_checked(64)?;
    bytes[..32].copy_from_slice(&Digest::from_hex(first)?.0);
    bytes[32..].copy_from_slice(&Digest::from_hex(second)?.0);
    Some(bytes)
}

fn foreign() -> Refusal {
    refuse(
        "it does not belong to an OCI layout (oci-layout, index.json, blobs/, and Docker's manifest.json \
         and repositories)",
        InputTrouble::NotAtTop,
    )
}

fn unknown_algorithm() -> Refusal {
    plain("its digest algorithm is not known here (only sha256 and sha512 are)")
}

fn plain(problem: impl Into<String>) -> Refusal {
    Refusal { problem: problem.into(), trouble: None }
}

fn refuse(problem: &str, trouble: InputTrouble) -> Refusal {
    Refusal { problem: problem.to_owned(), trouble: Some(trouble) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn header(name: &[u8], kind: u8) -> Header<'_> {
        Header { name, kind, size: 0, size_alone: 0, pax: Vec::new() }
    }

    fn refused(header: &Header<'_>, part: &str) {
        let name = String::from_utf8_lossy(header.name);
        match classify(header) {
            Err(refusal) => assert!(refusal.problem.contains(part), "{name}: {}", refusal.problem),
            Ok(member) => panic!("{name}: {member:?} instead of {part:?}"),
        }
    }

    #[test]
    fn members_of_a_layout() {
        let digest = Digest::of(b"");
        let (blob, wide) = (format!("blobs/sha256/{HEX}"), format!("./blobs/sha512/{HEX}{HEX}"));
        let mut sha512 = [0; 64];
        sha512[..32].copy_from_slice(&digest.0);
        sha512[32..].copy_from_slice(&digest.0);
        for (name, kind, expected) in [
            ("oci-layout", b'0', Member::Document(Document::OciLayout)),
            ("./index.json", b'0', Member::Document(Document::IndexJson)),
            ("manifest.json", 0, Member::Document(Document::ManifestJson)),
            ("repositories", b'0', Member::Document(Document::Repositories)),
            (blob.as_str(), b'0', Member::Blob(BlobName::Sha256(digest))),
            (wide.as_str(), b'0', Member::Blob(BlobName::Sha512(sha512))),
            (".", b'5', Member::Directory),
            ("./", b'5', Member::Directory),
            ("blobs", b'5', Member::Directory),
            ("./blobs/", b'5', Member::Directory),
            ("blobs/sha256/", b'5', Member::Directory),
            ("blobs/sha512", b'5', Member::Directory),
            ("ingest/", b'5', Member::Directory),
        ] {
            assert_eq!(classify(&header(name.as_bytes(), kind)), Ok(expected), "{name}");
        }
    }

    #[test]
    fn names_that_are_refused() {
        let upper = format!("blobs/sha256/{}", HEX.to_uppercase());
        for (name, kind, part) in [
            ("", b'0', "no name"),
            ("/index.json", b'0', "absolute"),
            ("//index.json", b'0', "absolute"),
            ("../index.json", b'0', "leads out"),
            ("blobs/../index.json", b'0', "leads out"),
            ("./../index.json", b'0', "leads out"),
            ("blobs/sha256/..", b'5', "leads out"),
            ("././index.json", b'0', "shortest"),
            (".//index.json", b'0', "shortest"),
            ("blobs//sha256", b'5', "shortest"),
            ("blobs/./sha256/", b'5', "shortest"),
            ("index.json/", b'0', "ends with a slash"),
            ("index.json\0x", b'0', "zero byte"),
            ("INDEX.JSON", b'0', "does not belong"),
            ("._index.json", b'0', "does not belong"),
            ("index.json.lock", b'0', "does not belong"),
            ("ingest/x", b'0', "does not belong"),
            ("index.json", b'5', "does not belong"),
            ("blobs/x", b'0', "does not belong"),
            ("blobs/sha256/x", b'0', "64 lowercase"),
            (upper.as_str(), b'0', "64 lowercase"),
            ("blobs/sha512/x", b'0', "128 lowercase"),
            ("blobs/md5/x", b'0', "algorithm"),
            ("blobs/md5/", b'5', "algorithm"),
            ("blobs/sha256/x/y", b'0', "does not belong"),
            ("dir/oci-layout", b'0', "in a directory"),
            ("dir/blobs/sha256/x", b'0', "in a directory"),
        ] {
            refused(&header(name.as_bytes(), kind), part);
        }
        refused(&header(b"blobs/\xff", b'0'), "UTF-8");
    }

    #[test]
    fn types_that_are_refused() {
        let blob = format!("blobs/sha256/{HEX}");
        for (kind, part) in [
            (b'1', "hard link"),
            (b'2', "symbolic link"),
            (b'3', "device"),
            (b'4', "device"),
            (b'6', "pipe"),
            (b'7', "type '7'"),
            (b'S', "sparse"),
            (b'g', "global"),
            (b'V', "type 'V'"),
            (0xff, "type"),
        ] {
            refused(&header(blob.as_bytes(), kind), part);
            refused(&header(b"index.json", kind), part);
        }
        refused(&Header { size: 1, size_alone: 1, ..header(b"blobs/", b'5') }, "with content");
    }

    #[test]
    fn docker_archives_are_recognised() {
        for name in [
            format!("{HEX}.json"),
            format!("{HEX}.tar"),
            format!("{HEX}.tar.gz"),
            format!("sha256:{HEX}"),
            format!("{HEX}/"),
            format!("{HEX}/layer.tar"),
            format!("./{HEX}/VERSION"),
        ] {
            refused(&header(name.as_bytes(), b'0'), "docker-archive");
            // Layers that are there twice are links.
            refused(&header(name.as_bytes(), b'2'), "docker-archive");
        }
    }

    #[test]
    fn skopeos_directories_are_recognised() {
        for name in [
            HEX.to_owned(),
            format!("./{HEX}"),
            format!("{HEX}.manifest.json"),
            "version".to_owned(),
        ] {
            refused(&header(name.as_bytes(), b'0'), "skopeo's dir:");
        }
    }

    #[test]
    fn sizes_must_agree() {
        let size = |size, size_alone| Header { size, size_alone, ..header(b"index.json", b'0') };
        assert!(classify(&size(7, 7)).is_ok());
        // As Go writes what the header cannot hold, and as others do.
        assert!(classify(&size(1 << 33, 0)).is_ok());
        assert!(classify(&size(1 << 33, MAX_OCTAL_SIZE)).is_ok());
        assert!(classify(&size(1 << 33, 1 << 33)).is_ok());
        for (by_pax, by_header) in
            [(512, 0), (0, 512), (1024, 512), (MAX_OCTAL_SIZE, 0), (1 << 33, 512)]
        {
            refused(&size(by_pax, by_header), "by its PAX record");
        }
    }

    #[test]
    fn pax_records_that_are_refused() {
        let with = |pax: &[(&'static [u8], &'static [u8])]| Header {
            pax: pax.to_vec(),
            ..header(b"index.json", b'0')
        };
        assert!(classify(&with(&[(b"mtime", b"1.5"), (b"SCHILY.xattr.user.x", b"y")])).is_ok());
        refused(&with(&[(b"GNU.sparse.size", b"1")]), "sparse");
        refused(&with(&[(b"path", b"a"), (b"path", b"b")]), "twice");
        refused(&with(&[(b"path", b"a\0b")]), "zero byte");
    }
}
