//! Files as `ls` shows them: a name, a line with attributes, or JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use soci_layout::Digest;
use soci_layout::files::{Entry, EntryKind, ImageFiles, LookupError};

use super::base64::base64;
use super::{escape, json};

/// Version of the JSON form.
const VERSION: u32 = 1;

/// Longest value of an extended attribute that is shown in full, in bytes.
const MAX_VALUE: usize = 256;

/// What is shown of each file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) long: bool,
    pub(crate) json: bool,
    /// Layer and extended attributes, in the long form.
    pub(crate) details: bool,
}

/// A name and what it stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) entry: Entry<'a>,
}

/// Widths of the columns of lines that stand together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Widths {
    owner: usize,
    size: usize,
}

impl Widths {
    /// Wide enough for all of `items`.
    pub(crate) fn of(items: &[Item<'_>], form: Form) -> Self {
        let mut widths = Self::default();
        if form.long {
            for Item { entry, .. } in items {
                widths.owner = widths.owner.max(owner(entry).len());
                widths.size = widths.size.max(size(entry).len());
            }
        }
        widths
    }
}

fn owner(entry: &Entry<'_>) -> String {
    format!("{}:{}", entry.uid(), entry.gid())
}

/// The size, or a device's numbers.
fn size(entry: &Entry<'_>) -> String {
    match entry.device() {
        Some((major, minor)) => format!("{major},{minor}"),
        None => entry.size().to_string(),
    }
}

/// Appends the line (with details: lines) of a file.
pub(crate) fn line(out: &mut String, item: &Item<'_>, form: Form, widths: Widths) {
    let Item { name, entry } = item;
    if !form.long {
        out.push_str(&escape::bytes(name));
        out.push('\n');
        return;
    }
    mode(out, entry);
    let time = entry.mod_time().map_or_else(
        || format!("{:20}", "-"),
        |mut time| {
            time.nanoseconds = 0;
            time.to_string()
        },
    );
    let _ = write!(
        out,
        " {:owner$} {:>size$} {time} {}",
        owner(entry),
        size(entry),
        escape::bytes(name),
        owner = widths.owner,
        size = widths.size,
    );
    if let Some(target) = entry.link_target() {
        let arrow = match entry.kind() {
            EntryKind::Symlink => Some("->"),
            EntryKind::HardLink => Some("link to"),
            _ => None,
        };
        if let Some(arrow) = arrow {
            let _ = write!(out, " {arrow} {}", escape::bytes(target));
        }
    }
    out.push('\n');
    if form.details {
        if let Some(layer) = entry.layer() {
            let _ = writeln!(out, "    layer {}", layer.number);
        }
        for (name, value) in entry.xattrs() {
            let shown = &value[..value.len().min(MAX_VALUE)];
            let more = if shown.len() < value.len() { "..." } else { "" };
            let value = shown.escape_ascii();
            let _ = writeln!(out, "    {}=\"{value}{more}\"", escape::bytes(name));
        }
    }
}

/// The ten characters of `ls -l`, with `h` for hard links and `w` for whiteouts of a layer alone.
fn mode(out: &mut String, entry: &Entry<'_>) {
    out.push(match entry.kind() {
        EntryKind::Directory => 'd',
        EntryKind::Symlink => 'l',
        EntryKind::CharDevice => 'c',
        EntryKind::BlockDevice => 'b',
        EntryKind::Fifo => 'p',
        EntryKind::HardLink => 'h',
        EntryKind::Whiteout | EntryKind::Opaque => 'w',
        EntryKind::File => '-',
    });
    let mode = entry.mode();
    for (shift, special, set, unset) in
        [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')]
    {
        let bits = mode >> shift;
        out.push(if bits & 4 == 0 { '-' } else { 'r' });
        out.push(if bits & 2 == 0 { '-' } else { 'w' });
        out.push(match (mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => set,
            (true, false) => unset,
        });
    }
}

#[derive(Serialize)]
struct JsonImage<'a> {
    names: &'a [String],
    platform: String,
    digest: Digest,
}

#[derive(Serialize)]
struct JsonLayer {
    number: usize,
    digest: Digest,
    size: u64,
    ztoc: Option<Digest>,
}

#[derive(Serialize)]
struct JsonEntry<'a> {
    path: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    #[serde(rename = "type")]
    kind: EntryKind,
    mode: String,
    uid: u32,
    gid: u32,
    size: u64,
    modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_base64: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hard_link: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<JsonDevice>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<Cow<'a, str>, String>,
    layer: Option<usize>,
}

#[derive(Serialize)]
struct JsonDevice {
    major: i64,
    minor: i64,
}

#[derive(Serialize)]
struct JsonError<'a> {
    path: Cow<'a, str>,
    error: String,
}

/// Text as well as it can be had, and the bytes when that is not all of it.
fn exact(bytes: &[u8]) -> (Cow<'_, str>, Option<String>) {
    let text = String::from_utf8_lossy(bytes);
    let lossy = text.as_bytes() != bytes;
    (text, lossy.then(|| base64(bytes)))
}

/// The document up to its first entry.
pub(crate) fn json_begin(image: &ImageFiles) -> String {
    let layers: Vec<JsonLayer> = image
        .read_layers()
        .map(|layer| JsonLayer {
            number: layer.number,
            digest: layer.digest,
            size: layer.size,
            ztoc: layer.ztoc,
        })
        .collect();
    let image = JsonImage {
        names: image.names(),
        platform: image.platform().to_string(),
        digest: image.digest(),
    };
    let (image, layers) = (json::line(&image), json::line(&layers));
    format!("{{\"version\":{VERSION},\n\"image\":{image},\n\"layers\":{layers},\n\"entries\":[")
}

/// One file, in `directory` (empty when its name is the whole path).
pub(crate) fn json_entry(directory: &[u8], item: &Item<'_>) -> String {
    let mut path = Vec::with_capacity(directory.len() + item.name.len() + 2);
    let parts =
        [directory, item.name].into_iter().flat_map(|text| text.split(|byte| *byte == b'/'));
    for part in parts.filter(|part| !part.is_empty() && *part != b".") {
        path.push(b'/');
        path.extend_from_slice(part);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    let entry = &item.entry;
    let (text, path_base64) = exact(&path);
    let target = entry.link_target().map(exact);
    let (target, target_base64) = target.map_or((None, None), |(text, raw)| (Some(text), raw));
    json::line(&JsonEntry {
        path: text,
        path_base64,
        kind: entry.kind(),
        mode: format!("{:04o}", entry.mode()),
        uid: entry.uid(),
        gid: entry.gid(),
        size: entry.size(),
        modified: entry.mod_time().map(|time| time.to_string()),
        target,
        target_base64,
        hard_link: entry.is_hard_link(),
        device: entry.device().map(|(major, minor)| JsonDevice { major, minor }),
        xattrs: entry
            .xattrs()
            .map(|(name, value)| (String::from_utf8_lossy(name), base64(value)))
            .collect(),
        layer: entry.layer().map(|layer| layer.number),
    })
}

/// The document behind its last entry, with the paths that lead nowhere.
pub(crate) fn json_end(failures: &[(Vec<u8>, LookupError)]) -> String {
    let errors = failures.iter().map(|(path, error)| JsonError {
        path: String::from_utf8_lossy(path),
        error: error.to_string(),
    });
    format!("\n],\n\"errors\":{}}}\n", json::line(&errors.collect::<Vec<_>>()))
}
