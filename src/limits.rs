//! Every bound on foreign input, each with its reason.
//!
//! Limits of one format only stand with its parser ([`crate::layer::tar`], [`crate::ztoc::zinfo`]).

/// Largest manifest or index document, in bytes. Registries refuse manifests over 4 MiB, so no image
/// that can be pushed has one.
pub(crate) const MAX_MANIFEST_SIZE: u64 = 4 << 20;

/// Largest `index.json`, in bytes. It is never pushed itself, so it may name many images.
pub(crate) const MAX_INDEX_JSON_SIZE: u64 = 64 << 20;

/// Largest image configuration that is read for its platform, in bytes; the largest real ones (long
/// histories) stay under one tenth.
pub(crate) const MAX_CONFIG_SIZE: u64 = 8 << 20;

/// Largest `oci-layout` file, in bytes. It holds one version number.
pub(crate) const MAX_OCI_LAYOUT_SIZE: u64 = 4 << 10;

/// Most bytes of manifests and indexes kept of one layout, each counted as often as it is named. Real
/// layouts have a few dozen kilobytes.
pub(crate) const MAX_DOCUMENTS_SIZE: u64 = 64 << 20;

/// Most documents that are fetched from a registry for one image: one request each. Real images have a few dozen.
#[cfg(feature = "registry")]
pub(crate) const MAX_REMOTE_DOCUMENTS: u64 = 4096;

/// Deepest nesting of indexes. Real layouts have two levels (a name, its platforms).
pub(crate) const MAX_INDEX_DEPTH: usize = 16;

/// Most descriptors visited in one layout. Real ones have a few dozen.
pub(crate) const MAX_DESCRIPTORS: usize = 1_000_000;

/// Most warnings of one kind; the others are counted. A layout that is all wrong could have a million.
pub(crate) const MAX_WARNINGS: usize = 20;

/// Most missing or damaged blobs that an inspection lists. A layout that is all wrong could have a million.
pub(crate) const MAX_BROKEN_BLOBS: usize = 10_000;

/// Largest prefetch artifact that is read, in bytes: a list of span ranges, a few dozen bytes each.
pub(crate) const MAX_PREFETCH_SIZE: u64 = 4 << 20;

/// Largest list of files to be fetched ahead, in bytes. An image with all its files in it takes some tens of megabytes.
pub(crate) const MAX_PREFETCH_LIST_SIZE: u64 = 256 << 20;

/// Largest zTOC blob that is read back, in bytes: no reader takes a larger one (`soci-formats` 1.3).
pub(crate) const MAX_ZTOC_SIZE: u64 = 1 << 30;

/// Longest path of a file in an image, in bytes, and longest target of a symbolic link: Linux's `PATH_MAX`, so
/// no runtime can unpack a longer one.
pub(crate) const MAX_PATH: usize = 4096;

/// Most bytes that a verification keeps of directories which layers have no entry for, and of what other layers say
/// about them. A layer of a hundred thousand such directories takes a few dozen megabytes; most have none.
pub(crate) const MAX_WATCHED_SIZE: usize = 1 << 27;

/// Most names in the trees of one image's layers, about 1 GiB. Images have some hundred thousand.
pub(crate) const MAX_NODES: usize = 1 << 24;

/// Most directories in the trees of one image's layers that have no entry, about 100 MiB. One name of 4,096 bytes
/// may have two thousand of them, and a small blob a thousand such names; builders write entries for theirs.
pub(crate) const MAX_IMPLIED_NODES: usize = 1 << 18;

/// Most components of names that are walked behind symbolic links while the trees of one image's layers are made. Each
/// entry may lead through 255 links of two thousand components; in real layers few lead through one.
pub(crate) const MAX_LINK_STEPS: usize = 1 << 22;

/// Most pieces of data of all sparse files of a layer that is unpacked: 16 MB.
pub(crate) const MAX_SPARSE_FRAGMENTS: usize = 1 << 20;

const _: () = assert!(usize::BITS == 64, "sizes are kept as usize where they index memory");
