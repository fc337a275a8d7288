//! What is found where something is looked for: nothing, too much, or an error.

use std::fmt::Display;
use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::error::Error;

/// What was found at a path; `None` when nothing is there.
pub(super) fn if_there<T>(
    found: io::Result<T>,
    action: &'static str,
    path: &Path,
) -> Result<Option<T>, Error> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some).map_err(Error::io(action, path)),
    }
}

/// What is in a directory; nothing when that is not there.
pub(super) fn entries(directory: &Path) -> Result<Vec<DirEntry>, Error> {
    let entries = if_there(fs::read_dir(directory), "list", directory)?;
    entries.into_iter().flatten().collect::<Result<_, _>>().map_err(Error::io("list", directory))
}

/// Refuses more of something in `place` than its limit.
///
/// # Errors
/// [`Error::Limit`].
pub(super) fn within(
    limit: u64,
    found: u64,
    what: &'static str,
    place: impl Display,
) -> Result<(), Error> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::Limit { place: place.to_string(), what, limit, found })
}
