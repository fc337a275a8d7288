//! What tests of `ls` and `cat` start from: layouts with layers of the test's own, and an independent reader of
//! layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write as _};
use std::process::{Command, Output};

use serde_json::{Value, json};
use soci_layout::event::Silent;
use soci_layout::files::{FilesOptions, ImageFiles, NodeId, ReadError, ReadReport, Root};
use soci_layout::{Error, Platform};

use crate::context::{Context, fixtures, text};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// A tar archive that is being written.
pub(crate) struct Archive(tar::Builder<Vec<u8>>);

impl Archive {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    pub(crate) fn add(
        mut self,
        name: &[u8],
        kind: tar::EntryType,
        target: &str,
        content: &[u8],
    ) -> Self {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_uid(1000);
        header.set_gid(7);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        if !target.is_empty() {
            header.set_link_name(target).unwrap();
        }
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        self.add(name.as_bytes(), tar::EntryType::Regular, "", content)
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.add(name.as_bytes(), tar::EntryType::Directory, "", b"")
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.add(name.as_bytes(), tar::EntryType::Symlink, target, b"")
    }

    pub(crate) fn plain(self) -> (&'static str, Vec<u8>) {
        (TAR, self.0.into_inner().unwrap())
    }

    pub(crate) fn gzip(self) -> (&'static str, Vec<u8>) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(&self.0.into_inner().unwrap()).unwrap();
        (GZIP, encoder.finish().unwrap())
    }
}

/// A layout with one image of these layers (media type and blob), for linux/amd64.
pub(crate) fn layout(layers: &[(&str, Vec<u8>)]) -> Context {
    let context = Context::fixture("single");
    let put = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": context.put(bytes), "size": bytes.len()});
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}});
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes()),
        "layers": layers.iter().map(|(kind, blob)| put(kind, blob)).collect::<Vec<_>>(),
    });
    let root = put(manifest_type, manifest.to_string().as_bytes());
    context.write_index_json(&json!({"schemaVersion": 2, "manifests": [root]}).to_string());
    context
}

pub(crate) fn open(context: &Context, options: &FilesOptions) -> Result<ImageFiles, Error> {
    ImageFiles::open(&context.layout(), options, &Silent)
}

/// The program with a layout; the machine's platform plays no part with `--platform`.
pub(crate) fn program(context: &Context, command: &str, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_soci-layout"));
    program.arg(command).arg(context.layout()).args(arguments).env_clear();
    program.output().unwrap()
}

pub(crate) fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub(crate) fn read(root: &Root<'_>, node: NodeId) -> Result<(Vec<u8>, ReadReport), ReadError> {
    let mut out = Vec::new();
    let report = root.read(node, &mut out, &Silent)?;
    Ok((out, report))
}

/// All names below the root that are no directories, by their paths.
pub(crate) fn all(root: &Root<'_>) -> BTreeMap<Vec<u8>, NodeId> {
    let mut found = BTreeMap::new();
    let mut todo = vec![(Vec::new(), root.top())];
    while let Some((path, node)) = todo.pop() {
        match root.names(node) {
            Some(names) => {
                todo.extend(names.map(|(name, child)| ([&path, name].join(&b'/'), child)));
            }
            None => drop(found.insert(path[1..].to_vec(), node)),
        }
    }
    found
}

/// Every image of every fixture (zstd ones left out), opened: fixture, name, platform.
pub(crate) fn images(context: &Context) -> Vec<FilesOptions> {
    let mut names: BTreeSet<Option<String>> = BTreeSet::new();
    for root in context.index_json()["manifests"].as_array().unwrap() {
        let name = &root["annotations"]["org.opencontainers.image.ref.name"];
        names.insert(name.as_str().map(str::to_owned));
    }
    let mut found = Vec::new();
    for reference in names {
        for platform in ["linux/amd64", "linux/arm64"] {
            let platform: Platform = platform.parse().unwrap();
            let options = with!(
                FilesOptions::default(),
                reference = reference.clone(),
                platform = Some(platform)
            );
            match open(context, &options) {
                Ok(_) => found.push(options),
                Err(Error::NoSuchPlatform { .. } | Error::NoSuchRef { .. }) => {}
                Err(error) => panic!("{options:?}: {error}"),
            }
        }
    }
    found
}

pub(crate) fn fixture_names() -> Vec<String> {
    let names = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let mut names: Vec<_> =
        names.filter(|name| fixtures().join(name).join("index.json").exists()).collect();
    names.sort();
    names
}

/// The regular files of an image by the `tar` crate: layers unpacked one over the other into a map.
/// Hard links and whiteouts are applied as they come; no fixture has a whiteout behind what it would hide.
pub(crate) fn unpacked(context: &Context, manifest: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let manifest: Value = context.json(manifest);
    let mut files: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for layer in manifest["layers"].as_array().unwrap() {
        let blob = context.blob(text(&layer["digest"]));
        let kind = text(&layer["mediaType"]);
        let content: Box<dyn Read> = if kind.ends_with("gzip") {
            Box::new(flate2::read::MultiGzDecoder::new(blob.as_slice()))
        } else {
            Box::new(blob.as_slice())
        };
        for entry in tar::Archive::new(content).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path_bytes().into_owned();
            let name = name.strip_prefix(b"./").unwrap_or(&name);
            let name = name.strip_suffix(b"/").unwrap_or(name).to_vec();
            let at = name.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
            let (directory, base) = name.split_at(at);
            let remove = |files: &mut BTreeMap<Vec<u8>, _>, gone: &[u8]| {
                let below = [gone, b"/"].concat();
                files.retain(|path, _| path != gone && !path.starts_with(&below));
            };
            if let Some(hidden) = base.strip_prefix(b".wh.") {
                remove(&mut files, &[directory, hidden].concat());
                continue;
            }
            let content = match entry.header().entry_type() {
                tar::EntryType::Directory => {
                    files.remove(&name);
                    continue;
                }
                tar::EntryType::Link => files[entry.link_name_bytes().unwrap().as_ref()].clone(),
                tar::EntryType::Regular => {
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content).unwrap();
                    Some(content)
                }
                _ => None,
            };
            remove(&mut files, &name);
            files.insert(name, content);
        }
    }
    files.into_iter().filter_map(|(name, content)| Some((name, content?))).collect()
}
