//! What every test starts from: a private copy of a fixture, and ways to look into a layout.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use soci_layout::{Digest, Error, Options, Report, event::Silent};
use tempfile::TempDir;

/// A layout in a directory of its own.
pub struct Context {
    directory: TempDir,
}

/// One file of a layout: content, mode, modification time and inode tell every kind of touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    pub content: Vec<u8>,
    pub mode: u32,
    pub modified: (i64, i64),
    pub inode: u64,
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/layouts")
}

impl Context {
    /// A copy of a fixture, with the modes that BuildKit leaves.
    pub fn fixture(name: &str) -> Self {
        let context = Self { directory: TempDir::new().unwrap() };
        copy(&fixtures().join(name), &context.layout());
        context
    }

    pub fn layout(&self) -> PathBuf {
        self.directory.path().join("layout")
    }

    /// Settings under which `reference.json` was made.
    pub fn options() -> Options {
        Options { min_layer_size: 0, span_size: 65536, ..Options::default() }
    }

    pub fn index(&self, options: &Options) -> Result<Report, Error> {
        soci_layout::index(&self.layout(), options, &Silent)
    }

    /// Every file by its path inside the layout.
    pub fn files(&self) -> BTreeMap<String, FileState> {
        let mut files = BTreeMap::new();
        collect(&self.layout(), &self.layout(), &mut files);
        files
    }

    pub fn index_json(&self) -> Value {
        serde_json::from_slice(&fs::read(self.layout().join("index.json")).unwrap()).unwrap()
    }

    pub fn blob_path(&self, digest: &str) -> PathBuf {
        self.layout().join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
    }

    /// A blob whose content is that of its digest.
    pub fn blob(&self, digest: &str) -> Vec<u8> {
        let bytes = fs::read(self.blob_path(digest)).unwrap_or_else(|e| panic!("{digest}: {e}"));
        assert_eq!(Digest::of(&bytes).to_string(), digest);
        bytes
    }

    pub fn json(&self, digest: &str) -> Value {
        serde_json::from_slice(&self.blob(digest)).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            let mode = if from.ends_with("sha256") { 0o444 } else { 0o644 };
            fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<String, FileState>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            collect(root, &path, files);
            continue;
        }
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let state = FileState {
            content: fs::read(&path).unwrap(),
            mode: metadata.mode() & 0o7777,
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            inode: metadata.ino(),
        };
        files.insert(name, state);
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}
