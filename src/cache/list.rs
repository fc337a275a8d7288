//! What lies in a cache directory.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::CACHE_VERSION;
use super::entry::{self, EntryProblem, Head};
use super::key::entry_version;
use super::store::{Cache, PREFIX, TEMPORARY};
use crate::error::Error;
use crate::oci::digest::Digest;
use crate::ztoc::toc::ModTime;

/// Version of the JSON forms of [`Listing`], [`super::prune::Pruned`] and [`super::verify::Checked`]:
/// members are only ever added under the same version.
pub const CACHE_REPORT_VERSION: u32 = 1;

/// One file of the directory.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) name: String,
    /// Bytes of the file.
    pub(super) bytes: u64,
    pub(super) modified: SystemTime,
    pub(super) is_file: bool,
    /// Whether it is an entry of this version.
    pub(super) is_current: bool,
}

/// The files of the directory by what their names say.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// Of all versions, in the order of their names.
    pub(super) entries: Vec<Item>,
    /// What is being written, or was when its run was killed.
    pub(super) temporary: Vec<Item>,
    /// Files that are not of this program.
    pub(super) others: u64,
}

/// All entries, the last used first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Listing {
    /// [`CACHE_REPORT_VERSION`].
    pub version: u32,
    /// The directory.
    pub directory: String,
    /// Entries that can be read. Only their heads were read.
    pub entries: Vec<ListedEntry>,
    /// Entries that cannot.
    pub unusable: Vec<UnusableEntry>,
    /// Entries of other versions of this program, which are not looked into.
    pub other_versions: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Files that are being written, or that a killed run left.
    pub temporary: u64,
    /// Files and directories that are not of this program.
    pub others: u64,
}

/// An entry by its head.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ListedEntry {
    /// Name of its file.
    pub name: String,
    /// Bytes of its file.
    pub bytes: u64,
    /// Last use, to the day: RFC 3339 in UTC.
    pub last_used: String,
    /// Seconds since then; 0 for times in the future.
    pub age_seconds: u64,
    /// Digest of the layer.
    pub layer: Digest,
    /// Size of the layer's blob in bytes.
    pub layer_size: u64,
    /// `gzip` or `none`.
    pub compression: String,
    /// Uncompressed bytes between checkpoints.
    pub span_size: u64,
    /// Text in the zTOC.
    pub build_tool_identifier: String,
    /// Digest of the zTOC.
    pub ztoc: Digest,
    /// Its size in bytes.
    pub ztoc_size: u64,
}

/// An entry that cannot be used.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnusableEntry {
    /// Name of its file.
    pub name: String,
    /// Bytes of its file.
    pub bytes: u64,
    /// Why.
    pub problem: String,
}

impl Cache {
    /// All entries by their heads, the last used first.
    ///
    /// # Errors
    /// [`Error::Cache`] when the directory cannot be listed. One that is not there is empty.
    pub fn list(&self) -> Result<Listing, Error> {
        let items = self.items()?;
        let now = SystemTime::now();
        let mut listing = Listing {
            version: CACHE_REPORT_VERSION,
            directory: self.directory().display().to_string(),
            temporary: items.temporary.len() as u64,
            others: items.others,
            ..Listing::default()
        };
        let mut entries = items.entries;
        entries.sort_by(|a, b| (b.modified, &a.name).cmp(&(a.modified, &b.name)));
        for item in entries {
            listing.bytes = listing.bytes.saturating_add(item.bytes);
            if !item.is_current {
                listing.other_versions += 1;
                continue;
            }
            let path = self.directory().join(&item.name);
            let head = entry::open(&path).and_then(|(file, _)| entry::read_head(&file));
            let head = head.and_then(|head| head.expect_name(&item.name).map(|()| head));
            match head {
                Ok(head) => listing.entries.push(ListedEntry::new(item, head, now)),
                // Removed by somebody since it was listed.
                Err(EntryProblem::Read(error)) if error.kind() == ErrorKind::NotFound => {}
                Err(problem) => listing.unusable.push(UnusableEntry {
                    name: item.name,
                    bytes: item.bytes,
                    problem: problem.to_string(),
                }),
            }
        }
        Ok(listing)
    }

    /// The files of the directory by their names; no content is read.
    pub(super) fn items(&self) -> Result<Items, Error> {
        let mut items = Items::default();
        let failed = Error::cache("list", self.directory());
        let entries = match fs::read_dir(self.directory()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(items),
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(Error::cache("list", self.directory()))?;
            let Ok(name) = entry.file_name().into_string() else {
                items.others += 1;
                continue;
            };
            let version = entry_version(&name);
            if version.is_none() && !(name.starts_with(PREFIX) && name.ends_with(TEMPORARY)) {
                items.others += 1;
                continue;
            }
            // Of a link, not of what it leads to.
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::cache("read", &entry.path())(error)),
            };
            let item = Item {
                name,
                bytes: metadata.size(),
                modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                is_file: metadata.is_file(),
                is_current: version == Some(CACHE_VERSION),
            };
            if version.is_some() { &mut items.entries } else { &mut items.temporary }.push(item);
        }
        items.entries.sort_by(|a, b| a.name.cmp(&b.name));
        items.temporary.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(items)
    }
}

impl ListedEntry {
    fn new(item: Item, head: Head, now: SystemTime) -> Self {
        Self {
            name: item.name,
            bytes: item.bytes,
            last_used: text(item.modified),
            age_seconds: age(item.modified, now).as_secs(),
            layer: head.key.layer,
            layer_size: head.key.layer_size,
            compression: head.key.compression.word().to_owned(),
            span_size: head.key.span_size,
            build_tool_identifier: head.key.build_tool_identifier,
            ztoc: head.ztoc,
            ztoc_size: head.ztoc_size,
        }
    }
}

/// How long ago that was; nothing for the future.
pub(super) fn age(time: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(time).unwrap_or_default()
}

/// RFC 3339 in UTC, in seconds.
pub(super) fn text(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut text = Vec::new();
    ModTime { seconds: since.as_secs() as i64, nanoseconds: 0 }.write(&mut text);
    String::from_utf8(text).unwrap_or_default()
}
