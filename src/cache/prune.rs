//! Keeps a cache directory small: the entries that were not used for longest go first.
//!
//! Only names, sizes and times are read, so that entries of other versions of this program grow old
//! as well. Another run may use an entry at the same time: one that it has opened it reads to the end, and one
//! that it does not find any more it makes anew.

use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::list::{CACHE_REPORT_VERSION, Item, age, text};
use super::store::Cache;
use crate::error::Error;

/// From this age on a file that is being written belongs to a run that was killed. Each write sets its
/// time, and the clocks of machines that share a directory are not that far apart.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// What may stay.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct PruneOptions {
    /// Most bytes of all entries together.
    pub max_size: Option<u64>,
    /// Longest time since an entry was used. The time of the last use is kept to the day.
    pub max_age: Option<Duration>,
    /// Decide, but remove nothing.
    pub dry_run: bool,
}

/// What was (or, dry, would be) removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pruned {
    /// [`CACHE_REPORT_VERSION`].
    pub version: u32,
    /// The directory.
    pub directory: String,
    /// Whether this only says what would be done.
    pub dry_run: bool,
    /// Entries removed, the longest unused first.
    pub removed: Vec<RemovedEntry>,
    /// Bytes of them.
    pub bytes_removed: u64,
    /// Entries that stay.
    pub kept: u64,
    /// Bytes of them.
    pub bytes_kept: u64,
    /// Files removed that killed runs had left.
    pub temporary_removed: u64,
}

/// An entry that was removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemovedEntry {
    /// Name of its file.
    pub name: String,
    /// Bytes of its file.
    pub bytes: u64,
    /// Last use, to the day: RFC 3339 in UTC.
    pub last_used: String,
    /// Which limit it was beyond.
    pub reason: Reason,
}

/// Why an entry is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Unused for longer than the longest time.
    Age,
    /// Beyond the largest size.
    Size,
}

impl Cache {
    /// Removes entries beyond the limits, and what killed runs left an hour ago or earlier.
    ///
    /// # Errors
    /// [`Error::Cache`] when the directory cannot be listed or a file in it cannot be removed,
    /// [`Error::Cancelled`]. What was removed before stays removed.
    pub fn prune(
        &self,
        options: &PruneOptions,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Pruned, Error> {
        let items = self.items()?;
        let now = SystemTime::now();
        let mut pruned = Pruned {
            version: CACHE_REPORT_VERSION,
            directory: self.directory().display().to_string(),
            dry_run: options.dry_run,
            ..Pruned::default()
        };
        for item in &items.temporary {
            if item.is_file && age(item.modified, now) >= ABANDONED_AFTER {
                self.remove(item, options.dry_run)?;
                pruned.temporary_removed += 1;
            }
        }
        // Links and the like are no entries: `verify` shows them.
        let entries: Vec<Item> = items.entries.into_iter().filter(|item| item.is_file).collect();
        let (going, staying) = choose(entries, options, now);
        for (item, reason) in going {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            if self.remove(&item, options.dry_run)? {
                pruned.bytes_removed += item.bytes;
                pruned.removed.push(RemovedEntry {
                    name: item.name,
                    bytes: item.bytes,
                    last_used: text(item.modified),
                    reason,
                });
            } else {
                pruned.kept += 1;
                pruned.bytes_kept += item.bytes;
            }
        }
        pruned.kept += staying.len() as u64;
        pruned.bytes_kept += staying.iter().map(|item| item.bytes).sum::<u64>();
        Ok(pruned)
    }

    /// Removes a file, unless it was used or replaced since it was listed; whether it is gone.
    fn remove(&self, item: &Item, dry_run: bool) -> Result<bool, Error> {
        let path = self.directory().join(&item.name);
        let gone = |error: &std::io::Error| error.kind() == ErrorKind::NotFound;
        match fs::symlink_metadata(&path).and_then(|now| now.modified()) {
            Ok(modified) if modified != item.modified => return Ok(false),
            Err(error) if gone(&error) => return Ok(true),
            _ if dry_run => return Ok(true),
            _ => {}
        }
        match fs::remove_file(&path) {
            Err(error) if !gone(&error) => Err(Error::cache("remove", &path)(error)),
            _ => Ok(true),
        }
    }
}

/// What goes, the longest unused first, and what stays. Equal times go by name, so that it does not depend
/// on the directory's order.
fn choose(
    mut entries: Vec<Item>,
    options: &PruneOptions,
    now: SystemTime,
) -> (Vec<(Item, Reason)>, Vec<Item>) {
    entries.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
    let mut left: u64 = entries.iter().map(|item| item.bytes).sum();
    let mut going = Vec::new();
    let mut staying = Vec::new();
    for item in entries {
        let reason = if options.max_age.is_some_and(|limit| age(item.modified, now) > limit) {
            Reason::Age
        } else if options.max_size.is_some_and(|limit| left > limit) {
            Reason::Size
        } else {
            staying.push(item);
            continue;
        };
        left -= item.bytes;
        going.push((item, reason));
    }
    (going, staying)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, bytes: u64, days: u64) -> Item {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * (100 - days));
        Item { name: name.into(), bytes, modified, is_file: true, is_current: true }
    }

    #[test]
    fn least_recently_used_first() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 100);
        let days = |days: u64| Some(Duration::from_secs(86_400 * days));
        let entries = [
            item("c", 10, 3),
            item("a", 20, 1),
            item("e", 40, 9),
            item("b", 30, 3),
            item("d", 5, 0),
        ];
        for (max_size, max_age, expected) in [
            (None, days(30), ""),
            (Some(105), None, ""),
            (Some(104), None, "e:Size"),
            (Some(65), None, "e:Size"),
            (Some(64), None, "e:Size b:Size"),
            (Some(0), None, "e:Size b:Size c:Size a:Size d:Size"),
            (None, days(8), "e:Age"),
            // Exactly as old as is permitted.
            (None, days(9), ""),
            (None, days(3), "e:Age"),
            (None, days(2), "e:Age b:Age c:Age"),
            (Some(20), days(5), "e:Age b:Size c:Size a:Size"),
            (Some(25), days(5), "e:Age b:Size c:Size"),
            (None, Some(Duration::ZERO), "e:Age b:Age c:Age a:Age"),
        ] {
            let options = PruneOptions { max_size, max_age, dry_run: false };
            let (going, staying) = choose(entries.to_vec(), &options, now);
            let words: Vec<_> =
                going.iter().map(|(item, reason)| format!("{}:{reason:?}", item.name)).collect();
            assert_eq!(words.join(" "), expected, "{max_size:?} {max_age:?}");
            assert_eq!(going.len() + staying.len(), entries.len());
        }
    }
}
