//! Files as `ls` shows them: a name, a line with attributes, or JSON.

use std::fmt::Write as _;

use soci_layout::files::{Entry, EntryKind, ImageFiles, Listing, ListingError, LookupError};
use soci_layout::ztoc::toc::ModTime;

use super::{escape, json};

/// Longest value of an extended attribute that is shown in full, in bytes.
const MAX_VALUE: usize = 256;

/// What is shown of each file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) long: bool,
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
    let seconds = |time| ModTime { nanoseconds: 0, ..time }.to_string();
    let time = entry.mod_time().map_or_else(|| format!("{:20}", "-"), seconds);
    let _ = write!(
        out,
        " {:owner$} {:>size$} {time} {}",
        owner(entry),
        size(entry),
        escape::bytes(name),
        owner = widths.owner,
        size = widths.size,
    );
    let _ = match (entry.kind(), entry.link_target()) {
        (EntryKind::Symlink, Some(target)) => write!(out, " -> {}", escape::bytes(target)),
        (EntryKind::HardLink, Some(target)) => write!(out, " link to {}", escape::bytes(target)),
        _ => Ok(()),
    };
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

/// The document up to its first entry.
pub(crate) fn json_begin(image: &ImageFiles) -> String {
    let Listing { version, image, layers, .. } = image.listing();
    let (image, layers) = (json::line(&image), json::line(&layers));
    format!("{{\"version\":{version},\n\"image\":{image},\n\"layers\":{layers},\n\"entries\":[")
}

/// One file, in `directory` (empty when its name is the whole path).
pub(crate) fn json_entry(directory: &[u8], item: &Item<'_>) -> String {
    json::line(&item.entry.listed(&[directory, b"/", item.name].concat()))
}

/// The document behind its last entry, with the paths that lead nowhere.
pub(crate) fn json_end(failures: &[(Vec<u8>, LookupError)]) -> String {
    let errors = failures.iter().map(|(path, error)| ListingError::new(path, *error));
    format!("\n],\n\"errors\":{}}}\n", json::line(&errors.collect::<Vec<_>>()))
}
