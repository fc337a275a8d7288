//! A repository as a source of documents and blobs, as a layout is one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::fetched::Fetched;
use super::repository::Repository;
use crate::error::Error;
use crate::layout::descriptor::Descriptor;
use crate::layout::source::Source;
use crate::limits::{MAX_DOCUMENTS_SIZE, MAX_REMOTE_DOCUMENTS};
use crate::oci::digest::Digest;
use crate::trouble::RegistryTrouble as Trouble;

/// The documents of a repository. Each is fetched once.
pub(crate) struct RemoteSource<'a> {
    repository: &'a Repository<'a>,
    /// Whether a document that is wrong makes reading impossible.
    strict: bool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// `None` for those that are not there.
    documents: BTreeMap<Digest, Option<Vec<u8>>>,
    bytes: u64,
    /// Why nothing more can be had. Who reads a tree goes on after what cannot be read; a registry that is gone is
    /// no property of the image.
    failed: Option<Error>,
}

impl<'a> RemoteSource<'a> {
    pub(crate) fn new(repository: &'a Repository<'a>) -> Self {
        Self { repository, strict: false, kept: Mutex::default() }
    }

    /// One of which all documents that are there are needed.
    pub(crate) fn strict(repository: &'a Repository<'a>) -> Self {
        Self { strict: true, ..Self::new(repository) }
    }

    pub(crate) fn repository(&self) -> &'a Repository<'a> {
        self.repository
    }

    /// Keeps a document that was fetched already.
    pub(crate) fn keep(&self, fetched: &Fetched) {
        let mut kept = self.kept();
        kept.bytes += fetched.bytes.len() as u64;
        kept.documents.insert(fetched.digest, Some(fetched.bytes.clone()));
    }

    /// A document by its digest alone; `None` when it is not there.
    ///
    /// # Errors
    /// [`Error::Registry`], [`Error::Limit`].
    pub(crate) fn by_digest(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        if let Some(known) = self.kept().documents.get(digest) {
            return Ok(known.clone());
        }
        self.room()?;
        let found = self.repository.manifest(&digest.to_string())?.map(|fetched| fetched.bytes);
        let mut kept = self.kept();
        kept.bytes += found.as_ref().map_or(0, |bytes| bytes.len() as u64);
        kept.documents.insert(*digest, found.clone());
        Ok(found)
    }

    fn room(&self) -> Result<(), Error> {
        let kept = self.kept();
        let limits = [
            ("the number of its documents", MAX_REMOTE_DOCUMENTS, kept.documents.len() as u64),
            ("the size of all manifests and indexes in bytes", MAX_DOCUMENTS_SIZE, kept.bytes),
        ];
        let over = limits.into_iter().find(|(_, limit, found)| found > limit);
        match over {
            None => Ok(()),
            Some((what, limit, found)) => {
                let place = self.repository.reference().to_string();
                Err(Error::Limit { place, what, limit, found })
            }
        }
    }

    /// What made reading impossible, if anything did.
    pub(crate) fn failed(&self) -> Result<(), Error> {
        self.kept().failed.take().map_or(Ok(()), Err)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers an error that is not about one document.
    fn noted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        let Err(error) = result else { return result };
        let of_one = matches!(
            error,
            Error::Registry { trouble: Trouble::Broken, .. } | Error::BlobSize { .. }
        );
        if of_one && !self.strict {
            return Err(error);
        }
        let told = Error::Document { place: self.place(), problem: error.to_string() };
        self.kept().failed.get_or_insert(error);
        Err(told)
    }
}

impl Source for RemoteSource<'_> {
    fn document(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
        let Descriptor { digest, size, .. } = *descriptor;
        let Some(bytes) = self.noted(self.by_digest(&digest))? else { return Ok(None) };
        let found = bytes.len() as u64;
        if found != size {
            return self.noted(Err(Error::BlobSize { digest, expected: size, found }));
        }
        Ok(Some(bytes))
    }

    fn blob(&self, digest: &Digest, size: u64, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        if size > limit {
            // Nothing of the registry's, so reading goes on.
            return self.repository.blob(digest, size, limit);
        }
        self.noted(self.repository.blob(digest, size, limit))
    }

    fn place(&self) -> String {
        self.repository.reference().to_string()
    }
}
