//! Where documents and blobs come from: a layout directory, or a repository of a registry. What reads a tree or checks a SOCI
//! index does not know which.

use super::Layout;
use super::descriptor::Descriptor;
use crate::error::Error;
use crate::limits::MAX_MANIFEST_SIZE;
use crate::oci::digest::Digest;

/// Something that has documents and blobs.
pub(crate) trait Source {
    /// The manifest or index of a descriptor, held to its size and digest; `None` when it is not there.
    ///
    /// # Errors
    /// What [`Layout::read_blob`] says.
    fn document(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, Error>;

    /// Another blob, held to size and digest; `None` when it is not there. `limit` bounds `size`.
    ///
    /// # Errors
    /// What [`Layout::read_blob`] says.
    fn blob(&self, digest: &Digest, size: u64, limit: u64) -> Result<Option<Vec<u8>>, Error>;

    /// The name of its list of roots, for messages.
    fn place(&self) -> String;
}

impl Source for Layout {
    fn document(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
        self.read_blob(&descriptor.digest, descriptor.size, MAX_MANIFEST_SIZE)
    }

    fn blob(&self, digest: &Digest, size: u64, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        self.read_blob(digest, size, limit)
    }

    fn place(&self) -> String {
        match &self.elsewhere {
            Some(elsewhere) => elsewhere.place(),
            None => self.index_json().display().to_string(),
        }
    }
}
