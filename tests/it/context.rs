//! What every test starts from: a private copy of a fixture, and ways to look into a layout.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use soci_layout::{Digest, Error, ImageFilter, Options, Report, event::Silent};
use tempfile::TempDir;

/// Settings with some fields set: `with!(Options::default(), strict = true, jobs)`. Those of the library cannot be
/// written out, as fields are added to them.
macro_rules! with {
    ($base:expr, $($field:ident $(= $value:expr)?),+ $(,)?) => {{
        let mut options = $base;
        $(with!(@set options $field $($value)?);)+
        options
    }};
    (@set $options:ident $field:ident) => {
        $options.$field = $field
    };
    (@set $options:ident $field:ident $value:expr) => {
        $options.$field = $value
    };
}

/// A layout in a directory of its own.
pub(crate) struct Context {
    directory: TempDir,
}

/// One file of a layout: content, mode, modification time and inode tell every kind of touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) modified: (i64, i64),
    pub(crate) inode: u64,
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/layouts")
}

impl Context {
    /// A copy of a fixture, with the modes that `BuildKit` leaves.
    pub(crate) fn fixture(name: &str) -> Self {
        let context = Self { directory: TempDir::new().unwrap() };
        copy(&fixtures().join(name), &context.layout());
        context
    }

    pub(crate) fn layout(&self) -> PathBuf {
        self.directory.path().join("layout")
    }

    /// Settings under which `reference.json` was made.
    pub(crate) fn options() -> Options {
        with!(Options::default(), min_layer_size = 0, span_size = 65536)
    }

    pub(crate) fn index(&self, options: &Options) -> Result<Report, Error> {
        soci_layout::index(&self.layout(), options, &Silent)
    }

    /// Every file by its path inside the layout.
    pub(crate) fn files(&self) -> BTreeMap<String, FileState> {
        let mut files = BTreeMap::new();
        collect(&self.layout(), &self.layout(), &mut files);
        files
    }

    pub(crate) fn index_json(&self) -> Value {
        serde_json::from_slice(&fs::read(self.layout().join("index.json")).unwrap()).unwrap()
    }

    pub(crate) fn blob_path(&self, digest: &str) -> PathBuf {
        self.layout().join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
    }

    /// A blob whose content is that of its digest.
    pub(crate) fn blob(&self, digest: &str) -> Vec<u8> {
        let bytes = fs::read(self.blob_path(digest)).unwrap_or_else(|e| panic!("{digest}: {e}"));
        assert_eq!(Digest::of(&bytes).to_string(), digest);
        bytes
    }

    /// Adds a blob and returns its digest.
    pub(crate) fn put(&self, bytes: &[u8]) -> String {
        let digest = Digest::of(bytes).to_string();
        fs::write(self.blob_path(&digest), bytes).unwrap();
        digest
    }

    /// Replaces a layer of the first root, which is one image, and all digests up to the root.
    pub(crate) fn replace_layer(&self, position: usize, bytes: &[u8]) {
        let mut index = self.index_json();
        let root = text(&index["manifests"][0]["digest"]).to_owned();
        let mut manifest = self.json(&root);
        manifest["layers"][position]["digest"] = self.put(bytes).into();
        manifest["layers"][position]["size"] = bytes.len().into();
        let manifest = manifest.to_string();
        index["manifests"][0]["digest"] = self.put(manifest.as_bytes()).into();
        index["manifests"][0]["size"] = manifest.len().into();
        self.write_index_json(&index.to_string());
    }

    pub(crate) fn write_index_json(&self, text: &str) {
        fs::write(self.layout().join("index.json"), text).unwrap();
    }

    pub(crate) fn json(&self, digest: &str) -> Value {
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

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}

/// The image of this name.
pub(crate) fn named(name: &str) -> ImageFilter {
    ImageFilter { refs: vec![name.to_owned()], ..ImageFilter::default() }
}

/// The images for this platform.
pub(crate) fn platform(platform: &str) -> ImageFilter {
    ImageFilter { platforms: vec![platform.parse().unwrap()], ..ImageFilter::default() }
}
