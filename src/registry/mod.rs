//! Registries: the OCI distribution protocol, as much of it as this program needs. All code that talks to a network is
//! in this folder.
//!
//! ```text
//! reference   HOST/REPO[:TAG][@DIGEST], as people write it
//! tls         which certificates are trusted
//! credentials docker's config.json and its credential helpers
//! challenge   what a registry wants to see before it answers
//! request     what is sent and what comes back; url: places on the web
//! client      one request: authorised, retried, redirected, within limits
//! repository  manifests, blobs, referrers of one repository
//! source      a repository as a source of documents, as a layout is one
//! upload      blobs into a repository
//! blobs       blobs out of one, as streams that are resumed
//! image       an image as a layout whose blobs are elsewhere
//! ```
//!
//! **Why not `oci-client`.** It was looked at first (0.18). It brings 86 crates more (reqwest, hyper, aws-lc-rs, which needs cmake),
//! against 18 with ureq and rustls. And it lacks what is needed here: it reads manifests and errors without a limit, it
//! retries nothing and does not know Retry-After, an upload that is cut cannot go on, and redirects and the place of the token
//! server are left to an HTTP client that cannot be asked. What remains of it are URLs. `docker_credential`, which goes with it, is
//! used; the messages of its errors are not (they hold what a helper printed). rustls computes with ring, whose C and assembly
//! any C compiler builds, also for static binaries.

mod blobs;
mod challenge;
mod client;
mod credentials;
mod fetched;
pub(crate) mod find;
mod image;
mod reference;
mod repository;
mod request;
mod source;
mod tls;
mod upload;
mod url;

pub(crate) use client::Client;
pub use client::RegistryOptions;
pub(crate) use image::{RemoteImage, with_client};
pub(crate) use reference::is_tag;
pub use reference::{ParseReferenceError, Reference};
pub(crate) use repository::{Presence, Repository, fallback_tag};
pub(crate) use source::RemoteSource;
pub(crate) use upload::{Blob, Brought};
