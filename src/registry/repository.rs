//! One repository of a registry: manifests, blobs, referrers.

use std::io::Read;

use ureq::http::{Method, StatusCode};

use super::client::Client;
use super::fetched::{Fetched, Problem};
use super::reference::Reference;
use super::request::{Answer, Payload, Request, read_all};
use super::url::encode;
use crate::error::Error;
use crate::limits::MAX_MANIFEST_SIZE;
use crate::oci::digest::Digest;
use crate::oci::json::excerpt;
use crate::oci::media_type::{DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST};
use crate::threads::each;
use crate::trouble::RegistryTrouble as Trouble;

/// Most pages of a list of referrers.
const MAX_PAGES: usize = 64;
/// Requests at a time for what is only looked for.
const ASKED_TOGETHER: usize = 8;

/// A repository, to be read or written.
pub(crate) struct Repository<'a> {
    client: &'a Client<'a>,
    name: Reference,
    scopes: Vec<String>,
}

impl<'a> Repository<'a> {
    /// The repository of a reference, which is only read, or `writes` is said.
    pub(crate) fn new(client: &'a Client<'a>, name: &Reference, writes: bool) -> Self {
        let actions = if writes { "pull,push" } else { "pull" };
        let scope = format!("repository:{}:{actions}", name.repository);
        Self { client, name: name.clone(), scopes: vec![scope] }
    }

    /// What it was made for.
    pub(crate) fn reference(&self) -> &Reference {
        &self.name
    }

    pub(super) fn client(&self) -> &'a Client<'a> {
        self.client
    }

    pub(super) fn request<'b>(&self, method: Method, path: &str, action: String) -> Request<'b> {
        let target = format!("/v2/{}/{path}", self.name.repository);
        let mut request = Request::new(method, target, action);
        request.scopes.clone_from(&self.scopes);
        request
    }

    /// As [`Self::request`], at an URL that the registry gave.
    pub(super) fn request_at<'b>(
        &self,
        method: Method,
        url: String,
        action: String,
    ) -> Request<'b> {
        let mut request = Request::new(method, url, action);
        request.scopes.clone_from(&self.scopes);
        request
    }

    pub(super) fn send(&self, request: &Request<'_>) -> Result<Answer, Error> {
        self.client.send(&self.name, request)
    }

    /// The error for an answer with a status that was not expected.
    pub(super) fn unexpected(&self, request: &Request<'_>, answer: Answer) -> Error {
        let trouble = match answer.status.as_u16() {
            401 | 403 => Trouble::Denied,
            404 => Trouble::NotFound,
            400..=499 => Trouble::Refused,
            500..=599 => Trouble::Overloaded,
            _ => Trouble::Broken,
        };
        let problem = self.client.told(answer);
        request.failed(&self.name, Problem::new(trouble, problem))
    }

    /// What the reference leads to.
    ///
    /// # Errors
    /// [`Trouble::NotFound`], and those of [`Self::manifest`].
    pub(crate) fn root(&self) -> Result<Fetched, Error> {
        let reference = self.reference();
        let asked = reference.asked();
        let missing = || Error::Registry {
            name: reference.name(),
            action: format!("read manifest {asked}"),
            problem: "there is no such image".to_owned(),
            trouble: Trouble::NotFound,
        };
        self.manifest(&asked)?.ok_or_else(missing)
    }

    /// The manifest or index of a tag or digest; `None` when it is not there.
    ///
    /// # Errors
    /// [`Error::Registry`], also for another digest than the one asked for or announced.
    pub(crate) fn manifest(&self, of: &str) -> Result<Option<Fetched>, Error> {
        let mut request =
            self.request(Method::GET, &format!("manifests/{of}"), format!("read manifest {of}"));
        let types = [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST];
        request.headers.push(("accept", types.join(", ")));
        request.expected = MAX_MANIFEST_SIZE;
        let mut tries = 1;
        loop {
            let mut answer = self.send(&request)?;
            match answer.status {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(None),
                _ => return Err(self.unexpected(&request, answer)),
            }
            let media_type = answer.header("content-type").unwrap_or_default();
            let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
            let announced = answer.header("docker-content-digest").map(str::to_owned);
            let bytes = match read_all(&mut answer.body, MAX_MANIFEST_SIZE) {
                Ok(bytes) => bytes,
                Err(problem) if problem.passes() && tries < 3 => {
                    self.client.wait(tries)?;
                    tries += 1;
                    continue;
                }
                Err(problem) => return Err(request.failed(&self.name, problem)),
            };
            let digest = Digest::of(&bytes);
            let expected = if of.contains(':') { Some(of.to_owned()) } else { announced };
            if let Some(expected) = expected.filter(|text| text.parse::<Digest>() != Ok(digest)) {
                let problem = format!("expected the digest {expected}, found {digest}");
                return Err(request.failed(&self.name, Problem::broken(problem)));
            }
            let media_type = if media_type_is_known(&media_type) {
                media_type
            } else {
                said_type(&bytes).unwrap_or(media_type)
            };
            return Ok(Some(Fetched { bytes, media_type, digest }));
        }
    }

    /// Whether the manifest of a digest or tag is there.
    pub(crate) fn has_manifest(&self, of: &str) -> Result<bool, Error> {
        Ok(self.manifest_digest(of)?.is_some())
    }

    /// What the registry says the digest of a tag's manifest is; empty when it does not say it.
    pub(crate) fn manifest_digest(&self, of: &str) -> Result<Option<String>, Error> {
        let mut request = self.request(
            Method::HEAD,
            &format!("manifests/{of}"),
            format!("look for manifest {of}"),
        );
        let types = [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST];
        request.headers.push(("accept", types.join(", ")));
        let answer = self.send(&request)?;
        match answer.status {
            StatusCode::OK => {
                Ok(Some(answer.header("docker-content-digest").unwrap_or_default().to_owned()))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.unexpected(&request, answer)),
        }
    }

    /// Whether the blob is there, and its size where the registry says it.
    pub(crate) fn blob_size(&self, digest: &Digest) -> Result<Presence, Error> {
        let request = self.request(
            Method::HEAD,
            &format!("blobs/{digest}"),
            format!("look for blob {digest}"),
        );
        let answer = self.send(&request)?;
        match answer.status {
            StatusCode::OK => {
                let size = answer.header("content-length").and_then(|text| text.parse().ok());
                Ok(size.map_or(Presence::There, Presence::Sized))
            }
            StatusCode::NOT_FOUND => Ok(Presence::Absent),
            _ => Err(self.unexpected(&request, answer)),
        }
    }

    /// [`Self::blob_size`] of blobs, several at a time. One that cannot be asked for is left out.
    pub(crate) fn blob_sizes(&self, blobs: &[Digest]) -> Vec<(Digest, Presence)> {
        let ask = |number: usize| Some((blobs[number], self.blob_size(&blobs[number]).ok()?));
        each(ASKED_TOGETHER, blobs.len(), ask).into_iter().flatten().collect()
    }

    /// A whole blob, held to size and digest; `None` when it is not there.
    ///
    /// # Errors
    /// [`Error::Limit`] for one beyond `limit`, [`Error::Registry`].
    pub(crate) fn blob(
        &self,
        digest: &Digest,
        size: u64,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        if size > limit {
            let (place, what) = (format!("blob {digest}"), "its size in bytes");
            return Err(Error::Limit { place, what, limit, found: size });
        }
        let mut request =
            self.request(Method::GET, &format!("blobs/{digest}"), format!("read blob {digest}"));
        request.expected = size;
        let mut bytes: Vec<u8> = Vec::new();
        let mut tries = 1;
        loop {
            let begun = bytes.len() as u64;
            request.headers.clear();
            if begun > 0 {
                request.headers.push(("range", format!("bytes={begun}-")));
            }
            let mut answer = self.send(&request)?;
            match self.beginning(&request, &answer, begun)? {
                Some(from) => bytes.truncate(usize::try_from(from).unwrap_or(0)),
                None if answer.status == StatusCode::NOT_FOUND => return Ok(None),
                None => return Err(self.unexpected(&request, answer)),
            }
            let room = size + 1 - bytes.len() as u64;
            let body = answer.body.with_config().limit(u64::MAX).reader();
            let read = body.take(room).read_to_end(&mut bytes);
            let found = bytes.len() as u64;
            if found > size {
                let problem = format!("expected {size} bytes, found more");
                return Err(request.failed(&self.name, Problem::broken(problem)));
            }
            if found == size {
                break;
            }
            let problem = match read {
                Ok(_) => Problem::broken(format!("expected {size} bytes, found {found}")),
                Err(error) => Problem::of(&ureq::Error::from(error), ""),
            };
            // What is gained is kept, so a connection that is cut again and again comes to an end as well.
            if tries == 5 {
                return Err(request.failed(&self.name, problem));
            }
            self.client.wait(tries)?;
            tries += 1;
        }
        let found = Digest::of(&bytes);
        if found != *digest {
            let problem = format!("its content has the digest {found}");
            return Err(request.failed(&self.name, Problem::broken(problem)));
        }
        Ok(Some(bytes))
    }

    /// Where the bytes begin that were asked for from `offset` on: there, or at the first byte where the registry has no
    /// ranges; `None` for an answer of another kind.
    ///
    /// # Errors
    /// [`Error::Registry`] for another part.
    pub(super) fn beginning(
        &self,
        request: &Request<'_>,
        answer: &Answer,
        offset: u64,
    ) -> Result<Option<u64>, Error> {
        match answer.status {
            StatusCode::OK => return Ok(Some(0)),
            StatusCode::PARTIAL_CONTENT => {}
            _ => return Ok(None),
        }
        let range = answer.header("content-range");
        let begin = range.and_then(|text| text.strip_prefix("bytes ")?.split('-').next());
        if begin.and_then(|text| text.parse().ok()) == Some(offset) {
            return Ok(Some(offset));
        }
        let found = excerpt(range.unwrap_or("no Content-Range"));
        let problem = format!("expected the bytes from {offset} on, found {found}");
        Err(request.failed(&self.name, Problem::broken(problem)))
    }

    /// What refers to a manifest, as index documents: pages of the referrers API, or the list of the referrers tag schema where
    /// there is no such API.
    pub(crate) fn referrers(&self, subject: &Digest) -> Result<Referrers, Error> {
        let action = || format!("list what refers to {subject}");
        let mut request = self.request(Method::GET, &format!("referrers/{subject}"), action());
        request.headers.push(("accept", OCI_INDEX.to_owned()));
        request.expected = MAX_MANIFEST_SIZE;
        let mut pages = Vec::new();
        loop {
            let mut answer = self.send(&request)?;
            let index = answer.header("content-type").is_some_and(|found| {
                found.split(';').next().is_some_and(|t| t.trim() == OCI_INDEX)
            });
            match answer.status.as_u16() {
                200 if index => {}
                // Some have another page there, for people.
                200 | 400 | 404 | 405 if pages.is_empty() => break,
                _ => return Err(self.unexpected(&request, answer)),
            }
            let next = answer.header("link").and_then(next_page);
            let bytes = read_all(&mut answer.body, MAX_MANIFEST_SIZE)
                .map_err(|problem| request.failed(&self.name, problem))?;
            pages.push(self.text(&request, bytes)?);
            let Some(next) = next else {
                return Ok(Referrers { pages, api: true });
            };
            if pages.len() == MAX_PAGES || !next.starts_with('/') {
                let problem = Problem::broken("the list of referrers does not end");
                return Err(request.failed(&self.name, problem));
            }
            request.target = next;
        }
        let list = self.manifest(&fallback_tag(subject))?;
        let list = list.map(|list| self.text(&request, list.bytes)).transpose()?;
        Ok(Referrers { pages: list.into_iter().collect(), api: false })
    }

    fn text(&self, request: &Request<'_>, bytes: Vec<u8>) -> Result<String, Error> {
        let not = |_| request.failed(&self.name, Problem::broken("its answer is not UTF-8"));
        String::from_utf8(bytes).map_err(not)
    }

    /// Puts a manifest or index there, by tag or digest. Says whether the registry took note of its subject.
    pub(crate) fn put_manifest(
        &self,
        at: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, Error> {
        let action = format!("write manifest {at}");
        let mut request = self.request(Method::PUT, &format!("manifests/{at}"), action);
        request.headers.push(("content-type", media_type.to_owned()));
        request.body = Payload::Bytes(bytes);
        let answer = self.send(&request)?;
        if answer.status != StatusCode::CREATED && answer.status != StatusCode::OK {
            return Err(self.unexpected(&request, answer));
        }
        let digest = Digest::of(bytes).to_string();
        let found = answer.header("docker-content-digest").unwrap_or(&digest);
        if found != digest {
            let problem = format!("expected the digest {digest}, found {found}");
            return Err(request.failed(&self.name, Problem::broken(problem)));
        }
        Ok(answer.header("oci-subject").is_some())
    }

    /// Takes a blob over from another repository of the registry. Says whether it did.
    pub(crate) fn mount(&self, digest: &Digest, from: &str) -> Result<Mounted, Error> {
        let query = encode(&[("mount", &digest.to_string()), ("from", from)]);
        let action = format!("take over blob {digest}");
        let mut request = self.request(Method::POST, &format!("blobs/uploads/?{query}"), action);
        request.scopes.push(format!("repository:{from}:pull"));
        let answer = self.send(&request)?;
        Ok(match answer.status.as_u16() {
            201 => Mounted::Done,
            202 => match answer.header("location") {
                Some(location) => Mounted::Upload(location.to_owned()),
                None => Mounted::No,
            },
            // It may not be read by who asks; the blob is uploaded then.
            _ => Mounted::No,
        })
    }
}

/// Whether a blob is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Absent,
    /// With so many bytes.
    Sized(u64),
    /// The registry does not say its size.
    There,
}

/// What became of a wish to take a blob over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mounted {
    /// It is there.
    Done,
    /// It was not taken over; an upload has begun at this place.
    Upload(String),
    /// Nothing happened.
    No,
}

/// What refers to a manifest.
#[derive(Debug)]
pub(crate) struct Referrers {
    /// Texts of index documents.
    pub(crate) pages: Vec<String>,
    /// Whether the registry has the referrers API.
    pub(crate) api: bool,
}

/// The tag of the list of what refers to a manifest.
pub(crate) fn fallback_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// The URL of `Link: <…>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (url, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| url.to_owned())
}

fn media_type_is_known(text: &str) -> bool {
    [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST].contains(&text)
}

/// What a document says about itself.
fn said_type(bytes: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Said {
        #[serde(rename = "mediaType")]
        media_type: String,
    }
    serde_json::from_slice::<Said>(bytes).ok().map(|said| said.media_type)
}
