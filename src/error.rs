//! The errors of the library: what, where, expected and found. What to do about it depends on who calls: each has
//! a kind, and the command line its own hints.

use std::io;
use std::path::{Path, PathBuf};

use crate::layer::ScanError;
use crate::oci::digest::{Digest, ParseDigestError};
use crate::oci::json::excerpt;
use crate::oci::json::schema::Mistake;
use crate::trouble::{ErrorKind, InputTrouble, RegistryTrouble, Taken};

/// What can go wrong in a run.
///
/// Messages say what happened; [`Error::kind`] says what kind of trouble it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    #[error("failed to {action} {}", path.display())]
    Io {
        /// A verb phrase: `read`, `create`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The path is no OCI image layout directory.
    #[error("{} is not an OCI image layout: {trouble}", path.display())]
    NotALayout {
        /// The path.
        path: PathBuf,
        /// What it is or lacks.
        trouble: InputTrouble,
    },
    /// Blobs are links to files outside of the layout.
    #[error("{}: {links} of its {blobs} blobs {} out of the layout", path.display(),
        if *links == 1 { "is a symbolic link" } else { "are symbolic links" })]
    LinkedBlobs {
        /// The directory of blobs.
        path: PathBuf,
        /// How many of them are symbolic links.
        links: usize,
        /// How many there are.
        blobs: usize,
    },
    /// The layout's version.
    #[error("{}: image layout version: expected \"1.0.0\", found {found:?}", path.display())]
    LayoutVersion {
        /// The `oci-layout` file.
        path: PathBuf,
        /// The version in it.
        found: String,
    },
    /// A document is not what it should be.
    #[error("{place}: {problem}")]
    Document {
        /// The file or blob.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The documents that a run would write could not be read again. Nothing was written.
    #[error(
        "the layout could not be read any more after this run, so nothing was changed: {problem}"
    )]
    Unreadable {
        /// Why not.
        problem: String,
    },
    /// A JSON document cannot be read.
    #[error("{place} is not valid: {source}")]
    Json {
        /// The file or blob.
        place: String,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// A digest that cannot be used.
    #[error("{place}: digest {value:?} cannot be used: {source}")]
    InvalidDigest {
        /// The document it stands in.
        place: String,
        /// The text.
        value: String,
        /// Why.
        source: ParseDigestError,
    },
    /// A blob that is referenced but not there.
    #[error("blob {digest} is missing (referenced by {referrer})")]
    BlobMissing {
        /// The blob.
        digest: Digest,
        /// Who refers to it.
        referrer: String,
    },
    /// A blob that is no regular file.
    #[error("blob {digest} is {found}, not a regular file")]
    BlobType {
        /// The blob.
        digest: Digest,
        /// What it is.
        found: &'static str,
    },
    /// A blob whose size is not the descriptor's.
    #[error("blob {digest}: size: expected {expected} bytes (by its descriptor), found {found}")]
    BlobSize {
        /// The blob.
        digest: Digest,
        /// By the descriptor.
        expected: u64,
        /// On disk.
        found: u64,
    },
    /// A blob whose content is not that of its digest.
    #[error("blob {digest} is corrupt: its content has the digest {found}")]
    BlobDigest {
        /// The blob.
        digest: Digest,
        /// Digest of its content.
        found: Digest,
    },
    /// A layer whose content is no layer.
    #[error("layer {digest} is corrupt{}: {problem}", at(*.offset, *.uncompressed_offset))]
    CorruptLayer {
        /// The layer's blob.
        digest: Digest,
        /// Where in the blob, in bytes.
        offset: Option<u64>,
        /// Where in the uncompressed archive, in bytes.
        uncompressed_offset: Option<u64>,
        /// What is wrong.
        problem: String,
    },
    /// A layer that cannot be indexed, under `strict`.
    #[error("layer {digest} cannot be indexed: {reason}")]
    UnsupportedLayer {
        /// The layer.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// A layer whose files cannot be listed.
    #[error("layer {digest} cannot be read: {reason}")]
    UnreadableLayer {
        /// The layer.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// A span of a layer that is not what its zTOC says.
    #[error(
        "layer {layer}: span {span} (from byte {offset}) does not match its digest in the zTOC: expected {expected}, found {found}"
    )]
    SpanDigest {
        /// The layer.
        layer: Digest,
        /// Number of the span, from 0.
        span: u64,
        /// Where it begins in the blob, in bytes.
        offset: u64,
        /// By the zTOC.
        expected: Digest,
        /// Of the bytes in the blob.
        found: Digest,
    },
    /// A zTOC that does not match its layer.
    #[error("zTOC {ztoc} does not match layer {layer}{}: {problem}", offset.map_or_else(String::new, |at| format!(" at byte {at}")))]
    BadZtoc {
        /// The zTOC.
        ztoc: Digest,
        /// The layer.
        layer: Digest,
        /// Where, in bytes; which bytes are meant, `problem` says.
        offset: Option<u64>,
        /// What is wrong.
        problem: String,
    },
    /// Several images where one is wanted.
    #[error("the layout has {} images to choose from: {}", found.len(), list(found))]
    SeveralImages {
        /// Name, platform and digest of each.
        found: Vec<String>,
    },
    /// Several entries of `index.json` where one is wanted.
    #[error("the layout has several entries to choose from: {}", list(found))]
    SeveralNames {
        /// The name of each, or its digest.
        found: Vec<String>,
    },
    /// No layer of that number or digest.
    #[error("the image has no layer {layer} (found: {})", list(found))]
    NoSuchLayer {
        /// What was asked for.
        layer: String,
        /// Number and digest of each.
        found: Vec<String>,
    },
    /// Something foreign exceeds a limit of this program.
    #[error("{place}: {what} exceeds the limit of {limit} (found {found})")]
    Limit {
        /// Where.
        place: String,
        /// What.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The value, or the first one beyond the limit.
        found: u64,
    },
    /// No image of that name.
    #[error("no image named {name:?} in the layout (found: {})", list(found))]
    NoSuchRef {
        /// The name asked for.
        name: String,
        /// The names there are.
        found: Vec<String>,
    },
    /// No image for that platform.
    #[error("no image for platform {platform} in the layout (found: {})", list(found))]
    NoSuchPlatform {
        /// The platform asked for.
        platform: String,
        /// The platforms there are.
        found: Vec<String>,
    },
    /// The layout has no image at all.
    #[error("{} holds no container image", path.display())]
    NoImage {
        /// The layout.
        path: PathBuf,
    },
    /// None of the manifests is there.
    #[error(
        "all image manifests that index.json leads to are missing ({count}, the first is {digest})"
    )]
    AllMissing {
        /// The first of them.
        digest: Digest,
        /// How many.
        count: usize,
    },
    /// V1 in the tagged shape for an `index.json` that is itself an image's index.
    #[error(
        "index.json is itself the index of a multi-platform image and has no name, and the tagged V1 shape needs one"
    )]
    TaggedImageIndex,
    /// V1 in the tagged shape for an image without a name.
    #[error("the image {digest} has no name in index.json, and the tagged V1 shape needs one")]
    NeedsName {
        /// Digest of the entry.
        digest: Digest,
    },
    /// A name was given where it cannot be used.
    #[error("cannot set image name {name:?}: {problem}")]
    CannotName {
        /// The name.
        name: String,
        /// Why.
        problem: String,
    },
    /// A name was given for several entries of `index.json`.
    #[error("cannot set image name {name:?}: several entries of index.json are selected")]
    SeveralNamed {
        /// The name.
        name: String,
    },
    /// An option's value.
    #[error("{option}: {problem}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Blobs that others may use, where some were to be removed.
    #[error("{} is outside of the layout, in {}: others may use the blobs there", path.display(), target.display())]
    ExternalBlobs {
        /// The directory by its name in the layout.
        path: PathBuf,
        /// Where it is.
        target: PathBuf,
    },
    /// A list of files to be fetched ahead that cannot be taken.
    #[error("{}: {problem}", path.display())]
    PrefetchList {
        /// The list.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Paths to be fetched ahead that no image has, under `strict`.
    #[error("no image has the files to be fetched ahead: {}", list(paths))]
    PrefetchNotFound {
        /// The paths.
        paths: Vec<String>,
    },
    /// Somebody else works on the layout.
    #[error("the layout is locked by another process ({})", path.display())]
    Locked {
        /// What is locked.
        path: PathBuf,
    },
    /// Somebody changed the layout during the run.
    #[error("{} was changed by another process during the run; nothing was committed", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A command on a cache directory.
    #[error("failed to {action} {} (cache directory)", path.display())]
    Cache {
        /// A verb: `list`, `remove`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// An archive that cannot be taken.
    #[error("{archive}{}: {problem}", at(*.offset, None))]
    Archive {
        /// The archive.
        archive: String,
        /// Where in the tar archive, in bytes.
        offset: Option<u64>,
        /// What is wrong.
        problem: String,
        /// Which kind of trouble it is, where that is known.
        trouble: Option<InputTrouble>,
    },
    /// A member of an archive that is not taken.
    #[error("{archive}: member {member:?} at byte {offset}: {problem}")]
    Member {
        /// The archive.
        archive: String,
        /// The member's name.
        member: String,
        /// Of its header in the tar archive, in bytes.
        offset: u64,
        /// What is wrong.
        problem: String,
        /// Which kind of trouble it is, where that is known.
        trouble: Option<InputTrouble>,
    },
    /// A place where the result cannot go.
    #[error("{} {problem}", path.display())]
    Output {
        /// The place.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What stands there, when another one could go there.
        taken: Option<Taken>,
    },
    /// A registry that cannot be reached, refuses, or answers with what it should not.
    #[error("{name}: failed to {action}: {problem}")]
    Registry {
        /// Host and repository.
        name: String,
        /// A verb phrase: `read manifest v1`.
        action: String,
        /// What happened. No URL, since it may hold a secret.
        problem: String,
        /// Which kind of trouble it is.
        trouble: RegistryTrouble,
    },
    /// The run was cancelled.
    #[error("cancelled; the layout is as before")]
    Cancelled,
}

fn at(offset: Option<u64>, uncompressed: Option<u64>) -> String {
    match (offset, uncompressed) {
        (Some(offset), _) => format!(" at byte {offset}"),
        (None, Some(offset)) => format!(" at uncompressed byte {offset}"),
        (None, None) => String::new(),
    }
}

/// Most names, images or layers that a message lists.
const MAX_LISTED: usize = 50;

fn list(found: &[String]) -> String {
    if found.is_empty() {
        return "none".to_owned();
    }
    let mut told: Vec<_> = found.iter().take(MAX_LISTED).map(|text| excerpt(text)).collect();
    if found.len() > MAX_LISTED {
        told.push(format!("{} more", found.len() - MAX_LISTED).into());
    }
    told.join(", ")
}

impl Error {
    /// Wraps an operating system error; for use with `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Why the scan of the layer `digest` of `size` bytes, in the file `path`, failed.
    pub(crate) fn scan(error: ScanError, path: PathBuf, digest: Digest, size: u64) -> Self {
        match error {
            ScanError::Read(source) => Self::Io { action: "read", path, source },
            ScanError::Cancelled => Self::Cancelled,
            ScanError::Digest { found } => Self::BlobDigest { digest, found },
            ScanError::Size { found } => Self::BlobSize { digest, expected: size, found },
            ScanError::Content { problem, offset, uncompressed_offset } => {
                Self::CorruptLayer { digest, offset, uncompressed_offset, problem }
            }
        }
    }

    /// Wraps an operating system error about the cache; for use with `map_err`.
    pub(crate) fn cache(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Cache { action, path, source }
    }

    /// Wraps a JSON error; for use with `map_err`.
    pub(crate) fn json(place: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        let place = place.into();
        move |source| Self::Json { place, source }
    }

    /// Wraps what is wrong with a document; for use with `map_err`.
    pub(crate) fn mistake(place: impl Into<String>) -> impl FnOnce(Mistake) -> Self {
        let place = place.into();
        move |mistake| Self::Document { place, problem: mistake.to_string() }
    }

    /// A digest that cannot be used, however long it is.
    pub(crate) fn digest(place: &str, value: &str, source: ParseDigestError) -> Self {
        Self::InvalidDigest { place: place.to_owned(), value: excerpt(value).into_owned(), source }
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Cache { .. } => ErrorKind::System,
            Self::NotALayout { .. }
            | Self::LayoutVersion { .. }
            | Self::LinkedBlobs { .. }
            | Self::Archive { .. }
            | Self::Member { .. } => ErrorKind::Input,
            Self::Document { .. }
            | Self::Json { .. }
            | Self::InvalidDigest { .. }
            | Self::Unreadable { .. }
            | Self::BlobType { .. }
            | Self::BlobSize { .. }
            | Self::BlobDigest { .. }
            | Self::CorruptLayer { .. }
            | Self::SpanDigest { .. }
            | Self::BadZtoc { .. } => ErrorKind::Damaged,
            Self::BlobMissing { .. } | Self::AllMissing { .. } => ErrorKind::Missing,
            Self::UnsupportedLayer { .. } | Self::UnreadableLayer { .. } | Self::Limit { .. } => {
                ErrorKind::Unsupported
            }
            Self::SeveralImages { .. }
            | Self::SeveralNames { .. }
            | Self::NoSuchLayer { .. }
            | Self::NoSuchRef { .. }
            | Self::NoSuchPlatform { .. }
            | Self::PrefetchNotFound { .. }
            | Self::NoImage { .. } => ErrorKind::Selection,
            Self::TaggedImageIndex
            | Self::NeedsName { .. }
            | Self::CannotName { .. }
            | Self::SeveralNamed { .. }
            | Self::PrefetchList { .. }
            | Self::Option { .. } => ErrorKind::Options,
            Self::Output { .. } | Self::ExternalBlobs { .. } => ErrorKind::Destination,
            Self::Locked { .. } | Self::Changed { .. } => ErrorKind::Busy,
            Self::Registry { .. } => ErrorKind::Registry,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}
