//! Names of images in registries: `[HOST/]REPO[:TAG][@DIGEST]`.

use std::fmt;
use std::str::FromStr;

use crate::oci::digest::Digest;

/// The name that people write, and the host that answers, for Docker Hub.
const HUB: [&str; 2] = ["docker.io", "registry-1.docker.io"];

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Host, with its port when there is one, as people write it.
    pub(crate) host: String,
    /// The repository in it.
    pub(crate) repository: String,
    /// The tag; one that is not written is `None`.
    pub(crate) tag: Option<String>,
    /// The digest that the tag should have, or that is meant itself.
    pub(crate) digest: Option<Digest>,
}

/// Why a text is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseReferenceError(String);

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |what: &str| ParseReferenceError(what.to_owned());
        if text.contains("://") {
            return Err(wrong("expected HOST/REPO:TAG without a scheme in front"));
        }
        if text.starts_with(['/', '.']) {
            return Err(wrong(
                "this is a path; expected [HOST/]REPO[:TAG] of an image in a registry",
            ));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.parse().map_err(|error| wrong(&format!("{error}")))?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        // A colon in the first part is a port's.
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name[last..].find(':') {
            Some(colon) => (&name[..last + colon], Some(&name[last + colon + 1..])),
            None => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("a tag has 1 to 128 letters, digits, '_', '.' and '-'"));
        }
        let (host, repository) = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
            _ => (HUB[0], name),
        };
        if !is_host(host) {
            return Err(wrong("the host is not one"));
        }
        let repository = match host {
            "docker.io" | "index.docker.io" if !repository.contains('/') => {
                format!("library/{repository}")
            }
            _ => repository.to_owned(),
        };
        if repository.len() > 255 || !repository.split('/').all(is_component) {
            return Err(wrong(
                "a repository has lower-case letters, digits, '.', '_' and '-', in parts separated by '/'",
            ));
        }
        let host = if host == "index.docker.io" { HUB[0] } else { host };
        Ok(Self { host: host.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }
}

impl Reference {
    /// The host that answers.
    pub(crate) fn server(&self) -> &str {
        if self.host == HUB[0] { HUB[1] } else { &self.host }
    }

    /// Whether only this machine can answer.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Host and repository.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// The same repository with another tag.
    pub(crate) fn with_tag(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }

    /// The repository alone.
    pub(crate) fn without_tag(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }

    /// What is asked for: the tag, else the digest, else `latest`.
    pub(crate) fn asked(&self) -> String {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => tag.clone(),
            (None, Some(digest)) => digest.to_string(),
            (None, None) => "latest".to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Whether a text can be a tag.
pub(crate) fn is_tag(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next();
    first.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.len() <= 128
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Whether a host, with or without a port, is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let address = bare.parse::<std::net::IpAddr>();
    bare.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let number =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if port.is_some_and(|port| !number(port)) {
        return false;
    }
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(is_label),
    }
}

/// A part of a host's name. Underscores are not in the specification's grammar, but in names that Compose makes.
fn is_label(part: &str) -> bool {
    let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    ends(part.bytes().next())
        && ends(part.bytes().last())
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn is_component(part: &str) -> bool {
    let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    ends(part.bytes().next())
        && ends(part.bytes().last())
        && part.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write() {
        for (text, host, repository, tag) in [
            ("localhost:5000/app:1", "localhost:5000", "app", Some("1")),
            ("r.example/a/b", "r.example", "a/b", None),
            ("r.example:443/a/b:v1", "r.example:443", "a/b", Some("v1")),
            ("[::1]:5000/app:x", "[::1]:5000", "app", Some("x")),
            ("alpine", "docker.io", "library/alpine", None),
            ("user/app:2", "docker.io", "user/app", Some("2")),
            ("docker.io/alpine:3", "docker.io", "library/alpine", Some("3")),
        ] {
            let found: Reference = text.parse().expect(text);
            assert_eq!((found.host.as_str(), found.repository.as_str()), (host, repository));
            assert_eq!(found.tag.as_deref(), tag, "{text}");
        }
        let digest = Digest::of(b"x");
        let found: Reference = format!("r.example/a:v1@{digest}").parse().expect("both");
        assert_eq!((found.tag.as_deref(), found.digest), (Some("v1"), Some(digest)));
        assert_eq!(found.to_string(), format!("r.example/a:v1@{digest}"));
    }

    #[test]
    fn what_is_no_reference() {
        for text in [
            "",
            ":1",
            "./oci-dir",
            "../oci-dir:v1",
            "/tmp/oci-dir",
            "-a.example/a",
            "a..example/a",
            "a.example./a",
            "https://r.example/a",
            "r.example/",
            "r.example/A:1",
            "r.example/a:",
            "r.example/a:-x",
            "r.example/a/../b",
            "r.example/a//b",
            "r.example:99999/a",
            "r.example:5x/a",
            "r.example/a@sha256:12",
            "r ex.ample/a",
            "us:er@r.example/a",
            "[::x]:1/a",
            "r.example/a?b:1",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["localhost.example", "127.0.0.1.example:80", "10.0.0.1", "[::2]:1", "r.example"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
