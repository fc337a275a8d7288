//! zTOCs kept outside of layouts, so that a layer is scanned once and not once per job.
//!
//! ```text
//! DIR/<layer, 64 hex digits>-<settings, 16 hex digits>.v1.ztoc    one entry per layer and settings
//! DIR/.soci-layout-<random>.tmp                                   an entry that is being written
//! ```
//!
//! **Entries** ([`entry`]) say themselves what they are for, and their bytes follow from layer and
//! settings alone. So concurrent writers write the same bytes, an entry in the wrong place is noticed, and
//! nothing in it tells where it was made.
//!
//! **Sharing.** No lock is taken (network file systems have none to rely on): an entry is written under a
//! name of its own, synced, and renamed to its place. A reader sees a whole entry or none. What is read
//! is checked against its checksum all the same.
//!
//! **Trust.** The checksum finds accidents, not malice: it stands beside what it covers. A zTOC with a
//! wrong window makes a runtime show wrong file content without an error (`soci-formats` 7), and only
//! inflating the layer tells (`verify`). So everyone who can write into the directory is trusted as
//! the layout's author is: zTOCs found in a layout, which may have come from anywhere, are never put into
//! the cache, and a directory that is made here is for its owner only.
//!
//! **No negative results.** That a layer cannot be indexed is not kept: nothing could be held against the
//! layer, another version may be able to index it, and finding out ends the walk early while the digest of the
//! blob has to be computed anyway.
//!
//! **Last use** is an entry's modification time: access times are not kept on many mounts. A hit sets it to
//! now, at most once a day, where that is permitted.

pub(crate) mod entry;
mod key;
mod list;
mod prune;
mod store;
mod verify;

pub(crate) use key::CacheKey;
pub use list::{CACHE_REPORT_VERSION, ListedEntry, Listing, UnusableEntry};
pub use prune::{PruneOptions, Pruned, Reason, RemovedEntry};
pub use store::Cache;
pub(crate) use store::Found;
pub use verify::{Checked, CorruptEntry};

/// Version of entries, in their names and in their first lines. It has to be raised when their form
/// changes, and whenever a scan gives any zTOC other bytes under the same settings: entries made before are
/// then no longer found, and grow old. A test (`tests/it/cache.rs`) holds it against the zTOCs of all exports
/// in `testdata/layouts`.
pub const CACHE_VERSION: u32 = 1;
