//! Opening a layout, and saying exactly why something is not one.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::Layout;
use super::descriptor::Object;
use super::found::{if_there, within};
use crate::error::Error;
use crate::limits::{MAX_INDEX_JSON_SIZE, MAX_MANIFEST_SIZE, MAX_OCI_LAYOUT_SIZE};
use crate::oci::digest::Digest;
use crate::oci::json::schema::{self, LAYOUT};
use crate::trouble::InputTrouble;

impl Layout {
    /// Opens the layout directory at `path`.
    ///
    /// # Errors
    /// [`Error::NotALayout`] with what it is instead, [`Error::LayoutVersion`], [`Error::Json`] or
    /// [`Error::Io`].
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(not_a_layout(path, not_a_directory(path))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(not_a_layout(path, InputTrouble::Absent));
            }
            Err(error) => return Err(Error::io("open", path)(error)),
        }
        let layout = Self { root: path.to_owned(), elsewhere: None };
        let marker = path.join("oci-layout");
        let Some(text) = read_small(&marker, MAX_OCI_LAYOUT_SIZE)? else {
            return Err(not_a_layout(path, without_marker(path)));
        };
        let place = marker.display().to_string();
        let text = self::text(&text, &place)?;
        schema::check(text, 0, &LAYOUT, None).map_err(Error::mistake(&place))?;
        let version: Option<String> = Object::read(text, &place)?.get("imageLayoutVersion")?;
        let found = version.unwrap_or_default();
        if found != "1.0.0" {
            return Err(Error::LayoutVersion { path: marker, found });
        }
        if !layout.index_json().exists() {
            return Err(not_a_layout(path, InputTrouble::NoIndex));
        }
        layout.refuse_linked_blobs()?;
        Ok(layout)
    }

    /// Bazel's rules make layouts whose blobs are links to files elsewhere. They are told once for the layout,
    /// not blob by blob. Other links (dangling, to devices, within the store) fail where they are followed.
    fn refuse_linked_blobs(&self) -> Result<(), Error> {
        let store = self.blobs();
        // A store that cannot be listed is reported when a blob of it is needed.
        let Ok(entries) = fs::read_dir(&store) else { return Ok(()) };
        let (mut blobs, mut links, mut leads_out) = (0, 0, false);
        for entry in entries.flatten() {
            if entry.file_name().to_str().and_then(Digest::from_hex).is_none() {
                continue;
            }
            blobs += 1;
            if entry.file_type().is_ok_and(|found| found.is_symlink()) {
                links += 1;
                leads_out = leads_out || is_file_elsewhere(&store, &entry.path());
            }
        }
        if leads_out { Err(Error::LinkedBlobs { path: store, links, blobs }) } else { Ok(()) }
    }

    /// The bytes of `index.json`.
    pub(crate) fn read_index_json(&self) -> Result<String, Error> {
        let path = self.index_json();
        let bytes = read_small(&path, MAX_INDEX_JSON_SIZE)?
            .ok_or_else(|| Error::io("read", &path)(std::io::Error::from(ErrorKind::NotFound)))?;
        text(&bytes, &path.display().to_string()).map(str::to_owned)
    }
}

/// The text of the document `place`.
///
/// # Errors
/// [`Error::Document`] for what no JSON decoder takes.
pub(super) fn text<'a>(bytes: &'a [u8], place: &str) -> Result<&'a str, Error> {
    let problem = match (bytes, std::str::from_utf8(bytes)) {
        ([0xef, 0xbb, 0xbf, ..], _) => {
            "it begins with a byte-order mark (EF BB BF), which JSON does not allow: remove these three \
             bytes"
                .to_owned()
        }
        ([0xff, 0xfe, ..] | [0xfe, 0xff, ..], _) => {
            "it begins with a byte-order mark of UTF-16, but JSON is UTF-8".to_owned()
        }
        (_, Ok(text)) => return Ok(text),
        (_, Err(error)) => format!("not UTF-8 at byte {}", error.valid_up_to()),
    };
    Err(Error::Document { place: place.to_owned(), problem })
}

/// Whether `link` leads to a regular file that does not lie in `store`.
fn is_file_elsewhere(store: &Path, link: &Path) -> bool {
    let (Ok(store), Ok(target)) = (fs::canonicalize(store), fs::canonicalize(link)) else {
        return false;
    };
    target.is_file() && target.parent() != Some(&store)
}

/// Opens a file for reading; what takes a file's place, such as a fifo, must not make the run wait.
pub(super) fn open_file(path: &Path) -> std::io::Result<fs::File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    fs::OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// A whole file of at most `limit` bytes; `None` when it does not exist.
fn read_small(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let Some(file) = if_there(open_file(path), "read", path)? else { return Ok(None) };
    if !file.metadata().map_err(Error::io("read", path))?.is_file() {
        return Err(Error::Document {
            place: path.display().to_string(),
            problem: "not a regular file".to_owned(),
        });
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    within(limit, bytes.len() as u64, "its size in bytes", path.display())?;
    Ok(Some(bytes))
}

fn not_a_layout(path: &Path, trouble: InputTrouble) -> Error {
    Error::NotALayout { path: path.to_owned(), trouble }
}

fn not_a_directory(path: &Path) -> InputTrouble {
    let mut head = [0; 512];
    // Something else than a file is not opened: a fifo would make the run wait.
    let read = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            fs::File::open(path).and_then(|mut file| file.read(&mut head)).unwrap_or(0)
        }
        _ => 0,
    };
    match &head[..read] {
        head if head.get(257..262) == Some(b"ustar") => InputTrouble::TarArchive,
        [0x1f, 0x8b, ..] => InputTrouble::GzipFile,
        _ => InputTrouble::File,
    }
}

fn without_marker(path: &Path) -> InputTrouble {
    let has = |name: &str| path.join(name).exists();
    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()) {
        InputTrouble::EmptyDirectory
    } else if !has("index.json") && is_dir_transport(path) {
        InputTrouble::DirTransport
    } else if has("manifest.json") && !has("index.json") {
        InputTrouble::DockerArchive
    } else if has("index.json") && has("blobs") {
        InputTrouble::NoMarker
    } else {
        InputTrouble::OtherFiles
    }
}

/// One image's manifest as `manifest.json`, with its blobs beside it; a docker-archive has a list of images there.
fn is_dir_transport(path: &Path) -> bool {
    let begins = |name: &str, with: &[u8]| {
        let text = read_small(&path.join(name), MAX_MANIFEST_SIZE);
        text.is_ok_and(|text| text.is_some_and(|text| text.trim_ascii_start().starts_with(with)))
    };
    begins("version", b"Directory Transport Version") || begins("manifest.json", b"{")
}
