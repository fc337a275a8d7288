//! Kinds of errors, for who decides or gives advice by them: the texts say what happened, and change.

use std::fmt;

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused something: a permission, a full disk.
    System,
    /// What was given is no layout, or no archive of one.
    Input,
    /// A document, blob, layer or zTOC is not what it should be.
    Damaged,
    /// A blob that is needed is not there.
    Missing,
    /// It may be right, and this program does not work with it.
    Unsupported,
    /// The layout does not have what was asked for, or several of it.
    Selection,
    /// Settings that make no sense for this layout.
    Options,
    /// The result cannot go where it should, or blobs are not this layout's alone.
    Destination,
    /// Another process works on the layout.
    Busy,
    /// A registry cannot be reached, refuses, or answers with what it should not.
    Registry,
    /// The run was told to end.
    Cancelled,
}

/// Kinds of trouble with a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryTrouble {
    /// Nobody answers: wrong name, no connection, too slow.
    Unreachable,
    /// Its certificate is not trusted.
    Certificate,
    /// It wants other credentials, or its answers would have to be read without encryption.
    Denied,
    /// It has no such thing.
    NotFound,
    /// It refuses what it was sent.
    Refused,
    /// It does not let a tag lead elsewhere.
    Immutable,
    /// It fails, or asks to wait longer than is waited.
    Overloaded,
    /// It answered with something that is wrong: another digest, too much, no protocol.
    Broken,
}

/// What stands where a result should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Taken {
    /// Something that may be replaced by who says so.
    Replaceable,
    /// A directory that is no layout: it is not replaced.
    NotALayout,
    /// A layout with files of others in it: it is not replaced.
    Shared,
}

/// What was given in place of an OCI image layout or of an archive of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputTrouble {
    /// Nothing has this path.
    Absent,
    /// A file of some kind, not a directory.
    File,
    /// A tar archive, not a directory.
    TarArchive,
    /// A file compressed with gzip, not a directory.
    GzipFile,
    /// A directory, not an archive.
    Directory,
    /// A directory with nothing in it.
    EmptyDirectory,
    /// A file with nothing in it.
    EmptyFile,
    /// An image in the form of skopeo's `dir:`.
    DirTransport,
    /// A docker-archive, packed or unpacked.
    DockerArchive,
    /// All of a layout but its file `oci-layout`.
    NoMarker,
    /// All of a layout but its `index.json`.
    NoIndex,
    /// A directory or an archive of other files.
    OtherFiles,
    /// A zip archive.
    ZipArchive,
    /// Not a tar archive.
    OtherFormat,
    /// An archive that this program, by name, decompresses.
    Compressed(&'static str),
    /// An archive that has the layout in a directory, or other files beside it.
    NotAtTop,
    /// An archive with links in place of files.
    Links,
    /// An archive that does not hold what it says.
    Corrupt,
}

impl fmt::Display for InputTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there is no such directory",
            Self::File => "it is a file, not a directory",
            Self::TarArchive => "it is a tar archive, not a directory",
            Self::GzipFile => "it is a gzip file, not a directory",
            Self::Directory => "it is a directory, not an archive",
            Self::EmptyDirectory => "the directory is empty",
            Self::EmptyFile => "it is empty",
            Self::DirTransport => {
                "it is an image in the form of skopeo's dir: (podman's docker-dir and oci-dir)"
            }
            Self::DockerArchive => {
                "it looks like an unpacked docker-archive (manifest.json, no index.json)"
            }
            Self::NoMarker => "it has index.json and blobs but no oci-layout file",
            Self::NoIndex => "it has no index.json",
            Self::OtherFiles => "it has no oci-layout file",
            Self::ZipArchive => "it is a zip archive, not a tar archive",
            Self::OtherFormat => "not a tar archive (plain, gzip or zstd)",
            Self::Compressed(program) => {
                return write!(f, "it is compressed with {program}; gzip and zstd are understood");
            }
            Self::NotAtTop => "the layout does not lie alone at the top of the archive",
            Self::Links => "it holds links in place of files",
            Self::Corrupt => "it is corrupt",
        })
    }
}
