//! Blobs of a repository as streams that outlive their connections: what is cut goes on at the byte where it was cut.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};

use ureq::BodyReader;
use ureq::http::Method;

use super::client::Client;
use super::fetched::Problem;
use super::reference::Reference;
use super::repository::{Presence, Repository};
use crate::error::Error;
use crate::layout::opened::{Elsewhere, Stream};
use crate::oci::digest::Digest;
use crate::trouble::RegistryTrouble as Trouble;

/// Connections in a row that may bring little or nothing.
const ATTEMPTS: u32 = 5;
/// What is not little, in bytes.
const PROGRESS: u64 = 1 << 20;

/// The blobs of one repository.
pub(crate) struct RemoteBlobs {
    client: Arc<Client<'static>>,
    name: Reference,
    /// Of those that were asked for; `None` where there is no such blob.
    sizes: Mutex<BTreeMap<Digest, Option<u64>>>,
    /// Why a stream ended early, once one did. Who reads it may take the end for the blob's own fault.
    failed: Mutex<Option<Error>>,
}

impl fmt::Debug for RemoteBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteBlobs").field(&self.name).finish()
    }
}

impl RemoteBlobs {
    pub(super) fn new(client: &Arc<Client<'static>>, name: &Reference) -> Arc<Self> {
        let (client, name) = (Arc::clone(client), name.clone());
        Arc::new(Self { client, name, sizes: Mutex::default(), failed: Mutex::default() })
    }

    fn repository(&self) -> Repository<'_> {
        Repository::new(&self.client, &self.name, false)
    }

    /// Asks for blobs ahead. What goes wrong is told when one of them is needed.
    pub(super) fn ask(&self, blobs: &[Digest]) {
        let found = self.repository().blob_sizes(blobs);
        let known = found.into_iter().filter_map(|(digest, presence)| match presence {
            Presence::Absent => Some((digest, None)),
            Presence::Sized(size) => Some((digest, Some(size))),
            Presence::There => None,
        });
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner).extend(known);
    }

    /// Why something could not be read, if that happened.
    pub(super) fn failed(&self) -> Result<(), Error> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.take().map_or(Ok(()), Err)
    }
}

impl Elsewhere for RemoteBlobs {
    fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let known = || self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(size) = known().get(digest) {
            return Ok(*size);
        }
        let size = match self.repository().blob_size(digest)? {
            Presence::Absent => None,
            Presence::Sized(size) => Some(size),
            Presence::There => {
                let action = format!("look for blob {digest}");
                let problem = "it does not say the blob's size".to_owned();
                let (name, trouble) = (self.name.name(), Trouble::Broken);
                return Err(Error::Registry { name, action, problem, trouble });
            }
        };
        known().insert(*digest, size);
        Ok(size)
    }

    fn read(self: Arc<Self>, digest: Digest, start: u64, end: u64) -> Stream {
        let blobs = self;
        Box::new(BlobStream {
            blobs,
            digest,
            at: start,
            end,
            body: None,
            skip: 0,
            gained: 0,
            tries: 0,
        })
    }

    fn place(&self) -> String {
        self.name.to_string()
    }
}

/// The rest of a blob, or of a part of one.
struct BlobStream {
    blobs: Arc<RemoteBlobs>,
    digest: Digest,
    /// Offset of the next byte.
    at: u64,
    end: u64,
    body: Option<BodyReader<'static>>,
    /// Bytes in front that were not asked for: the registry has no ranges.
    skip: u64,
    /// Bytes since the last failure.
    gained: u64,
    tries: u32,
}

impl BlobStream {
    /// Asks for the rest.
    fn open(&mut self) -> Result<BodyReader<'static>, Error> {
        let repository = self.blobs.repository();
        let (digest, at) = (self.digest, self.at);
        let (path, action) = (format!("blobs/{digest}"), format!("read blob {digest}"));
        let mut request = repository.request(Method::GET, &path, action);
        request.expected = self.end - at;
        request.headers.push(("range", format!("bytes={at}-{}", self.end - 1)));
        let answer = repository.send(&request)?;
        let Some(from) = repository.beginning(&request, &answer, at)? else {
            return Err(repository.unexpected(&request, answer));
        };
        self.skip = at - from;
        Ok(answer.body.into_with_config().limit(u64::MAX).reader())
    }

    /// Reads on; `None` when the connection ended.
    fn more(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        let mut body = match self.body.take() {
            Some(body) => body,
            None => self.open()?,
        };
        let ended = loop {
            let left = if self.skip > 0 { self.skip } else { self.end - self.at };
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            match body.read(&mut buffer[..want]) {
                Ok(0) => break Problem::new(Trouble::Unreachable, "the connection was cut"),
                Ok(count) if self.skip > 0 => self.skip -= count as u64,
                Ok(count) => {
                    self.at += count as u64;
                    self.gained += count as u64;
                    self.body = Some(body);
                    return Ok(Some(count));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Problem::of(&ureq::Error::from(error), &self.blobs.name.host),
            }
        };
        self.tries = if self.gained >= PROGRESS { 1 } else { self.tries + 1 };
        self.gained = 0;
        if self.tries == ATTEMPTS || !ended.passes() {
            let (at, end) = (self.at, self.end);
            let problem = format!("{} at byte {at} of {end}, again and again", ended.problem);
            let (name, action) = (self.blobs.name.name(), format!("read blob {}", self.digest));
            return Err(Error::Registry { name, action, problem, trouble: ended.trouble });
        }
        self.blobs.client.wait(self.tries)?;
        Ok(None)
    }
}

impl Read for BlobStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.end || buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.more(buffer) {
                Ok(Some(count)) => return Ok(count),
                Ok(None) => {}
                Err(error) => {
                    let mut failed =
                        self.blobs.failed.lock().unwrap_or_else(PoisonError::into_inner);
                    let told = error.to_string();
                    failed.get_or_insert(error);
                    return Err(io::Error::other(told));
                }
            }
        }
    }
}
