//! Lists of files to be fetched ahead, as people write them: a JSON array of paths.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::Error;
use crate::limits::MAX_PREFETCH_LIST_SIZE;

/// The paths of a list: a JSON array of strings, as `soci create --prefetch-files-json` takes it.
///
/// # Errors
/// [`Error::Io`], [`Error::PrefetchList`].
pub fn read_list(path: &Path) -> Result<Vec<String>, Error> {
    let bytes = read(path)?;
    serde_json::from_slice(&bytes).map_err(|error| Error::PrefetchList {
        path: path.to_owned(),
        problem: format!("expected a JSON array of strings: {error}"),
    })
}

/// The whole file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut bytes = Vec::new();
    let limit = MAX_PREFETCH_LIST_SIZE + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 == limit {
        let problem = format!("it has more than {MAX_PREFETCH_LIST_SIZE} bytes");
        return Err(Error::PrefetchList { path: path.to_owned(), problem });
    }
    Ok(bytes)
}
