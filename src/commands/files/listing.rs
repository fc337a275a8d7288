//! Files as plain values, for programs: the JSON form is public and only grows.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::open::ImageFiles;
use super::view::{Entry, EntryKind};
use crate::oci::digest::Digest;
use crate::ztoc::paths::components;

/// Version of the JSON form of a [`Listing`].
pub const LISTING_VERSION: u32 = 1;

/// Files of an image, or of one layer, as they were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Listing {
    /// [`LISTING_VERSION`].
    pub version: u32,
    /// The image.
    pub image: ListedImage,
    /// The layers whose files these are.
    pub layers: Vec<ListedLayer>,
    /// The files.
    pub entries: Vec<ListedFile>,
    /// The paths that lead nowhere.
    pub errors: Vec<ListingError>,
}

/// The image whose files are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ListedImage {
    /// Its names.
    pub names: Vec<String>,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Digest of its manifest.
    pub digest: Digest,
}

/// A layer whose files are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ListedLayer {
    /// From 1 at the bottom.
    pub number: usize,
    /// Digest of its blob.
    pub digest: Digest,
    /// Bytes of its blob.
    pub size: u64,
    /// The zTOC that was used; none when the layer itself was read.
    pub ztoc: Option<Digest>,
}

/// A file, directory, link or device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ListedFile {
    /// Its path from the root, as UTF-8.
    pub path: String,
    /// The bytes of the path, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_base64: Option<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: EntryKind,
    /// Permissions, set-id and sticky bits, in octal digits.
    pub mode: String,
    /// Owner id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Bytes of content.
    pub size: u64,
    /// Modification time (RFC 3339); none for a directory that only names below it imply.
    pub modified: Option<String>,
    /// Where a link leads, as UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The bytes of the target, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_base64: Option<String>,
    /// Whether it is a hard link in its layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hard_link: bool,
    /// Numbers of a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceNumbers>,
    /// Extended attributes, each value in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, String>,
    /// Number of the layer that it is from; none for an implied directory.
    pub layer: Option<usize>,
}

/// Numbers of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNumbers {
    /// Its class.
    pub major: i64,
    /// Which of them.
    pub minor: i64,
}

/// A path that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ListingError {
    /// The path, as UTF-8.
    pub path: String,
    /// Why.
    pub error: String,
}

impl ListingError {
    /// A path, and why it leads nowhere.
    #[must_use]
    pub fn new(path: &[u8], error: super::LookupError) -> Self {
        Self { path: String::from_utf8_lossy(path).into_owned(), error: error.to_string() }
    }
}

impl ImageFiles {
    /// A list without files as yet.
    #[must_use]
    pub fn listing(&self) -> Listing {
        let layers = self.read_layers().map(|layer| ListedLayer {
            number: layer.number,
            digest: layer.digest,
            size: layer.size,
            ztoc: layer.ztoc,
        });
        let image = ListedImage {
            names: self.names().to_vec(),
            platform: self.platform().to_string(),
            digest: self.digest(),
        };
        let (layers, entries, errors) = (layers.collect(), Vec::new(), Vec::new());
        Listing { version: LISTING_VERSION, image, layers, entries, errors }
    }
}

impl Entry<'_> {
    /// All that is known of the file, which was found at `path`.
    #[must_use]
    pub fn listed(&self, path: &[u8]) -> ListedFile {
        let parts: Vec<&[u8]> = components(path).collect();
        let (path, path_base64) = exact(&[b"/", parts.join(&b'/').as_slice()].concat());
        let (target, target_base64) = self.link_target().map(exact).unzip();
        let xattrs = self.xattrs();
        let xattrs = xattrs.map(|(name, value)| (exact(name).0, STANDARD.encode(value)));
        ListedFile {
            path,
            path_base64,
            kind: self.kind(),
            mode: format!("{:04o}", self.mode()),
            uid: self.uid(),
            gid: self.gid(),
            size: self.size(),
            modified: self.mod_time().map(|time| time.to_string()),
            target,
            target_base64: target_base64.flatten(),
            hard_link: self.is_hard_link(),
            device: self.device().map(|(major, minor)| DeviceNumbers { major, minor }),
            xattrs: xattrs.collect(),
            layer: self.layer().map(|layer| layer.number),
        }
    }
}

/// Bytes as UTF-8, and as base64 where that is not all of them.
fn exact(bytes: &[u8]) -> (String, Option<String>) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let lossy = text.as_bytes() != bytes;
    (text, lossy.then(|| STANDARD.encode(bytes)))
}
