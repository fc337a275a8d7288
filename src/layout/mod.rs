//! An OCI image layout directory on disk.
//!
//! ```text
//! oci-layout           {"imageLayoutVersion":"1.0.0"}
//! index.json           the roots: one descriptor per name
//! index.json.lock      BuildKit's lock, while somebody reads or writes
//! blobs/sha256/<hex>   every blob, named after its content
//! ```
//!
//! [`Layout`] reads; only a [`lock::LockedLayout`] can write, so a change without the lock does not
//! compile. Blobs are immutable: they are only ever added (or, by prune, removed), never opened for
//! writing, so a blob that is a hard link into a shared store stays what it is.

pub(crate) mod blob;
pub(crate) mod commit;
pub(crate) mod config;
pub(crate) mod descriptor;
mod directory;
mod found;
pub(crate) mod lock;
mod mentions;
mod open;
pub(crate) mod opened;
pub(crate) mod reach;
pub(crate) mod select;
pub(crate) mod source;
mod store;
pub(crate) mod sync;
pub(crate) mod tree;
#[cfg(any(feature = "archives", feature = "registry"))]
pub(crate) mod workplace;

pub(crate) use directory::Layout;
