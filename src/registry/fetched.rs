//! What came from a registry: a document with its type and digest, or what is wrong.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::layout::tree::REF_NAME;
use crate::oci::digest::Digest;
use crate::oci::json::{excerpt, write_string};
use crate::trouble::RegistryTrouble as Trouble;

/// A manifest or index as it came.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
}

impl Fetched {
    /// A list of roots with this one as its only entry.
    pub(crate) fn as_index(&self) -> String {
        index_of(&[self.as_entry(None)])
    }

    /// Its descriptor, as an entry of that name where there is one.
    pub(super) fn as_entry(&self, name: Option<&str>) -> String {
        let mut text = String::from("{\"mediaType\":");
        write_string(&mut text, &self.media_type);
        let (digest, size) = (self.digest, self.bytes.len());
        let _ = write!(text, ",\"digest\":\"{digest}\",\"size\":{size}");
        if let Some(name) = name {
            let _ = write!(text, ",\"annotations\":{{\"{REF_NAME}\":");
            write_string(&mut text, name);
            text.push('}');
        }
        text.push('}');
        text
    }
}

/// A list of roots with these entries.
pub(super) fn index_of(entries: &[String]) -> String {
    format!("{{\"schemaVersion\":2,\"manifests\":[{}]}}", entries.join(","))
}

/// Something that is wrong, for people.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) trouble: Trouble,
    pub(super) problem: String,
}

impl Problem {
    pub(super) fn new(trouble: Trouble, problem: impl Into<String>) -> Self {
        Self { trouble, problem: problem.into() }
    }

    pub(super) fn broken(problem: impl Into<String>) -> Self {
        Self::new(Trouble::Broken, problem)
    }

    /// What the exchange with `host` ended with.
    pub(super) fn of(error: &ureq::Error, host: &str) -> Self {
        let tls = |error: &rustls::Error| match error {
            rustls::Error::InvalidCertificate(why) => {
                let problem = format!("the certificate of {host} is not trusted: {why}");
                Self::new(Trouble::Certificate, problem)
            }
            error => Self::new(Trouble::Unreachable, format!("TLS with {host}: {error}")),
        };
        match error {
            ureq::Error::Rustls(error) => tls(error),
            ureq::Error::Io(error) => match error.get_ref().and_then(|e| e.downcast_ref()) {
                Some(inner) => tls(inner),
                None => Self::new(Trouble::Unreachable, format!("the connection failed: {error}")),
            },
            ureq::Error::Timeout(_) => {
                Self::new(Trouble::Unreachable, "it is too slow: no answer in time")
            }
            ureq::Error::HostNotFound => {
                Self::new(Trouble::Unreachable, format!("there is no host {host}"))
            }
            ureq::Error::ConnectionFailed => {
                Self::new(Trouble::Unreachable, format!("no connection to {host}"))
            }
            ureq::Error::ConnectProxyFailed(why) => {
                Self::new(Trouble::Unreachable, format!("the proxy: {}", excerpt(why)))
            }
            ureq::Error::BodyStalled => Self::new(Trouble::Unreachable, "the connection was cut"),
            error => Self::new(Trouble::Broken, format!("it does not speak HTTP: {error}")),
        }
    }

    /// Whether it may be over the next time.
    pub(super) fn passes(&self) -> bool {
        self.trouble == Trouble::Unreachable && !self.problem.starts_with("there is no host")
            || self.trouble == Trouble::Overloaded
    }
}

/// The first error of a registry's answer: `{"errors":[{"code":…,"message":…}]}`.
pub(super) fn message(text: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let answer: Answer = serde_json::from_slice(text).ok()?;
    let One { code, message } = answer.errors.into_iter().next()?;
    Some(if message.is_empty() { code } else { message })
}
