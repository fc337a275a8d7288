//! What is sent to a registry, and what comes back.

use std::io::Read;

use ureq::Body;
use ureq::http::{HeaderMap, Method, StatusCode};

use super::fetched::Problem;
use super::reference::Reference;
use crate::error::Error;

/// A request.
pub(crate) struct Request<'a> {
    pub(super) method: Method,
    /// Below the origin of the registry, or an URL that it gave.
    pub(super) target: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Payload<'a>,
    /// What a token has to allow.
    pub(super) scopes: Vec<String>,
    /// Whether it can be sent again after it was sent.
    pub(super) again: bool,
    /// For errors: `read manifest v1`.
    pub(super) action: String,
    /// Bytes of the answer that are expected.
    pub(super) expected: u64,
}

/// What is sent along.
pub(crate) enum Payload<'a> {
    Nothing,
    Bytes(&'a [u8]),
    /// A reader, which is opened anew for each attempt, and its bytes.
    Stream(&'a (dyn Fn() -> Result<Box<dyn Read + 'a>, Error> + 'a), u64),
}

/// An answer.
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Request<'_> {
    pub(super) fn new(method: Method, target: String, action: impl Into<String>) -> Self {
        Self {
            method,
            target,
            headers: Vec::new(),
            body: Payload::Nothing,
            scopes: Vec::new(),
            again: true,
            action: action.into(),
            expected: 0,
        }
    }

    /// Its origin is not the registry's, and it is asked for a token.
    pub(super) fn is_for_token(&self) -> bool {
        self.scopes.is_empty()
    }

    pub(super) fn failed(&self, to: &Reference, problem: Problem) -> Error {
        let Problem { trouble, problem } = problem;
        Error::Registry { name: to.name(), action: self.action.clone(), problem, trouble }
    }
}

/// A whole answer of at most `limit` bytes.
pub(super) fn read_all(body: &mut Body, limit: u64) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    // Not what the header says: it may say anything.
    let read = body.with_config().limit(u64::MAX).reader().take(limit + 1).read_to_end(&mut bytes);
    if let Err(error) = read {
        return Err(Problem::of(&ureq::Error::from(error), ""));
    }
    if bytes.len() as u64 > limit {
        let problem = format!("it sends more than {limit} bytes");
        return Err(Problem::broken(problem));
    }
    Ok(bytes)
}
