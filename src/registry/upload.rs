//! Blobs into a repository: an upload is begun, its bytes are sent, and it is closed with the digest.
//!
//! The bytes go in one request, as all tools send them and every registry takes them. When it is cut, the registry is asked how
//! much it has and is sent the rest; one that does not say it is sent everything again.

use std::io::Read;

use ureq::http::Method;

use super::fetched::Problem;
use super::repository::{Mounted, Presence, Repository};
use super::request::{Answer, Payload, Request};
use crate::error::Error;
use crate::oci::digest::Digest;
use crate::trouble::RegistryTrouble as Trouble;

/// How often a blob is begun to be sent at most, without progress in between.
const ATTEMPTS: u32 = 5;

/// A blob that can be read from any of its bytes on.
pub(crate) trait Blob {
    /// Its bytes from `offset` on.
    ///
    /// # Errors
    /// Of this machine.
    fn from(&self, offset: u64) -> Result<Box<dyn Read + '_>, Error>;
}

impl Repository<'_> {
    /// Sends a blob. Where an upload has begun already, it is `begun`.
    ///
    /// # Errors
    /// [`Error::Registry`], those of `blob`, [`Error::Cancelled`].
    pub(crate) fn upload(
        &self,
        digest: &Digest,
        size: u64,
        blob: &dyn Blob,
        begun: Option<String>,
    ) -> Result<(), Error> {
        let action = || format!("write blob {digest}");
        let (mut place, mut offset, mut attempt) = (begun, 0, 1);
        loop {
            let location = if let Some(location) = place.take() {
                location
            } else {
                offset = 0;
                self.begin(action())?
            };
            let error = match self.rest(&location, digest, (size, offset), blob, action()) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let trouble = match &error {
                Error::Registry { trouble, .. } => *trouble,
                _ => return Err(error),
            };
            let passes = matches!(trouble, Trouble::Unreachable | Trouble::Overloaded)
                // The upload is gone, or is not where it was thought to be.
                || (matches!(trouble, Trouble::NotFound | Trouble::Refused) && attempt < 3);
            if !passes || attempt == ATTEMPTS {
                return Err(error);
            }
            self.client().wait(attempt)?;
            attempt += 1;
            if trouble == Trouble::Unreachable
                && let Some((next, has)) = self.begun(&location)
                && has > offset
                && has <= size
            {
                (place, offset, attempt) = (Some(next), has, 1);
            }
        }
    }

    /// Begins an upload and gives its place.
    fn begin(&self, action: String) -> Result<String, Error> {
        let request = self.request(Method::POST, "blobs/uploads/", action);
        let answer = self.send(&request)?;
        if answer.status.as_u16() != 202 {
            return Err(self.unexpected(&request, answer));
        }
        self.location(&request, &answer)
    }

    fn location(&self, request: &Request<'_>, answer: &Answer) -> Result<String, Error> {
        let none = || {
            let problem = Problem::broken("it does not say where the upload goes");
            request.failed(self.reference(), problem)
        };
        answer.header("location").map(str::to_owned).ok_or_else(none)
    }

    /// Sends the bytes from `offset` on and closes the upload.
    fn rest(
        &self,
        location: &str,
        digest: &Digest,
        (size, offset): (u64, u64),
        blob: &dyn Blob,
        action: String,
    ) -> Result<(), Error> {
        let open = || blob.from(offset);
        let closing = |location: &str| {
            let joint = if location.contains('?') { '&' } else { '?' };
            format!("{location}{joint}digest=sha256%3A{}", digest.hex())
        };
        let mut last = if offset == 0 {
            let mut request = self.request_at(Method::PUT, closing(location), action);
            request.body = Payload::Stream(&open, size);
            request
        } else {
            let mut request = self.request_at(Method::PATCH, location.to_owned(), action.clone());
            if offset < size {
                request.body = Payload::Stream(&open, size - offset);
                request.headers.push(("content-range", format!("{offset}-{}", size - 1)));
                request.headers.push(("content-type", "application/octet-stream".to_owned()));
                request.again = false;
                let answer = self.send(&request)?;
                if !matches!(answer.status.as_u16(), 201 | 202 | 204) {
                    return Err(self.unexpected(&request, answer));
                }
                let next = self.location(&request, &answer)?;
                self.request_at(Method::PUT, closing(&next), action)
            } else {
                self.request_at(Method::PUT, closing(location), action)
            }
        };
        last.headers.push(("content-type", "application/octet-stream".to_owned()));
        last.again = false;
        let answer = self.send(&last)?;
        if !matches!(answer.status.as_u16(), 201 | 204) {
            return Err(self.unexpected(&last, answer));
        }
        let found = answer.header("docker-content-digest").map(str::to_owned);
        match found.filter(|found| *found != digest.to_string()) {
            None => Ok(()),
            Some(found) => {
                let problem = format!("expected the digest {digest}, found {found}");
                Err(last.failed(self.reference(), Problem::broken(problem)))
            }
        }
    }

    /// Where an upload that was cut goes on, and how many bytes it has.
    fn begun(&self, location: &str) -> Option<(String, u64)> {
        let action = "look for an upload".to_owned();
        let mut request = self.request_at(Method::GET, location.to_owned(), action);
        request.again = false;
        let answer = self.send(&request).ok()?;
        if answer.status.as_u16() != 204 {
            return None;
        }
        let last = answer.header("range")?.rsplit('-').next()?.parse::<u64>().ok()?;
        let next = answer.header("location").unwrap_or(location).to_owned();
        Some((next, last.checked_add(1)?))
    }

    /// Brings a blob there in the cheapest way: it is there, another repository of the registry has it, or it is sent.
    pub(crate) fn bring(
        &self,
        digest: &Digest,
        size: u64,
        blob: &dyn Blob,
        others: &[String],
    ) -> Result<Brought, Error> {
        match self.blob_size(digest)? {
            Presence::There => return Ok(Brought::There),
            Presence::Sized(found) if found == size => return Ok(Brought::There),
            _ => {}
        }
        let mut begun = None;
        for other in others.iter().filter(|other| **other != self.reference().repository) {
            match self.mount(digest, other) {
                Ok(Mounted::Done) => return Ok(Brought::Mounted),
                Ok(Mounted::Upload(location)) => begun = Some(location),
                Ok(Mounted::No) | Err(Error::Registry { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.upload(digest, size, blob, begun)?;
        Ok(Brought::Sent)
    }
}

/// How a blob came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brought {
    /// It was there.
    There,
    /// From another repository.
    Mounted,
    /// From here.
    Sent,
}
