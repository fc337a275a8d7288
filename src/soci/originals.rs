//! What the entries of `index.json` were before their images had SOCI indexes.
//!
//! An indexed document does not say what it was made from (its bytes are the reference's), and several
//! documents, indented or not, in any order of members, become the same one. So a run writes down which entry
//! it replaced: in a blob of its own, which nothing refers to, like the replaced manifests themselves. Push
//! tools do not carry it, `gc` takes it away together with them. `remove` puts the old entry back as it stood,
//! and with it all that it leads to.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use serde::{Deserialize, Serialize};

use super::manifest::member;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::tree::{self, Content, Image, Node, Tree};
use crate::limits::MAX_INDEX_JSON_SIZE;
use crate::oci::digest::Digest;
use crate::oci::json::elements;

pub(super) const MEDIA_TYPE: &str = "application/vnd.soci-layout.originals.v1+json";
/// How every record begins.
const BEGINNING: &str = "{\"mediaType\":\"application/vnd.soci-layout.originals.v1+json\",";

/// What one run replaced.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    #[serde(rename = "mediaType")]
    media_type: String,
    /// Counts the runs on this layout: of two records about one entry the later counts.
    run: u64,
    entries: Vec<Replaced>,
}

/// An entry of `index.json` that a run wrote.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Replaced {
    /// Its JSON text.
    pub(super) now: String,
    /// What stood there before its image had any SOCI index; nothing, when the run added it.
    pub(super) before: Option<String>,
}

/// What an entry of `index.json` was, by the records.
#[derive(Debug)]
pub(super) struct Original {
    /// Its text; nothing, when a run added it.
    pub(super) text: Option<String>,
    /// What it leads to, when all of it is there still.
    pub(super) node: Option<Node>,
    /// Whether the records know it as it stands, and not only what it leads to.
    pub(super) exact: bool,
}

/// The images below an entry, in their order.
pub(super) fn images_below(node: &Node) -> impl Iterator<Item = (&Descriptor, &Image)> {
    node.nodes().filter_map(Node::image)
}

/// Whether a node or one below it is a SOCI index or names one.
pub(super) fn has_soci(node: &Node) -> bool {
    node.nodes().any(|node| match &node.content {
        Content::Soci(_) => true,
        Content::Image(image) => image.soci_v2.is_some(),
        _ => false,
    })
}

/// The records of a layout.
#[derive(Debug, Default)]
pub(crate) struct Originals {
    run: u64,
    /// In the order in which equal texts stand in `index.json`.
    by_text: BTreeMap<String, Vec<Option<String>>>,
    /// For entries that others gave another name or annotation since.
    by_digest: BTreeMap<Digest, String>,
    blobs: Vec<Digest>,
}

impl Originals {
    /// Reads the records of `layout`. What cannot be read is none.
    ///
    /// # Errors
    /// [`Error::Io`] when the blobs cannot be listed.
    pub(crate) fn read(layout: &Layout) -> Result<Self, Error> {
        let mut records = Vec::new();
        let directory = layout.blobs();
        for entry in fs::read_dir(&directory).map_err(Error::io("list", &directory))? {
            let entry = entry.map_err(Error::io("list", &directory))?;
            let digest = entry.file_name().to_str().and_then(Digest::from_hex);
            if let Some(digest) = digest
                && let Some(record) = read_record(layout, digest)
            {
                records.push((record.run, digest, record));
            }
        }
        // The directory's order must not matter.
        records.sort_by_key(|(run, digest, _)| std::cmp::Reverse((*run, *digest)));
        let mut originals = Self::default();
        for (run, digest, record) in records {
            originals.run = originals.run.max(run);
            originals.blobs.push(digest);
            let mut of_record: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
            for Replaced { now, before } in record.entries {
                if let (Some(before), Some(digest)) = (&before, digest_of(&now)) {
                    originals.by_digest.entry(digest).or_insert_with(|| before.clone());
                }
                of_record.entry(now).or_default().push(before);
            }
            for (now, before) in of_record {
                originals.by_text.entry(now).or_insert(before);
            }
        }
        Ok(originals)
    }

    /// What the roots of `tree` were before they had SOCI indexes, or followed an image that has one, as far as
    /// it is known.
    pub(super) fn of_roots(&self, layout: &Layout, tree: &Tree) -> Vec<Option<Original>> {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut found = Vec::with_capacity(tree.roots.len());
        for root in &tree.roots {
            let place = seen.entry(root.text()).or_insert(0);
            *place += 1;
            let place = *place - 1;
            let follows = matches!(root.content, Content::Attestation { .. });
            // Without SOCI indexes it may have got a name.
            let known = self.by_text.contains_key(root.text());
            found.push(if follows || known || has_soci(root) {
                self.of(layout, root, place)
            } else {
                None
            });
        }
        found
    }

    /// What a root was, of those with the same text the one at `place`.
    fn of(&self, layout: &Layout, root: &Node, place: usize) -> Option<Original> {
        let (text, exact) = match self.by_text.get(root.text()) {
            Some(known) => (known.get(place).or(known.last())?.clone(), true),
            None => (Some(self.by_digest.get(&root.known()?.digest)?.clone()), false),
        };
        // One that cannot be read any more (pruned, collected) is not taken.
        let node = text.as_ref().and_then(|text| tree::read_entry(layout, text).ok());
        let images = images_below(root).count();
        let node = node.filter(|node| !has_soci(node) && images_below(node).count() == images);
        Some(Original { text, node, exact })
    }

    /// The record of a run that wrote these entries; `None` when the records say it already.
    ///
    /// # Errors
    /// None that can happen: it is made of strings.
    pub(super) fn record(&self, entries: Vec<Replaced>) -> Result<Option<String>, Error> {
        let mut by_text: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
        for Replaced { now, before } in &entries {
            by_text.entry(now).or_default().push(before.as_deref());
        }
        let known = |(now, before): (&&str, &Vec<Option<&str>>)| {
            self.by_text
                .get(*now)
                .is_some_and(|known| known.iter().map(Option::as_deref).eq(before.iter().copied()))
        };
        if by_text.iter().all(known) {
            return Ok(None);
        }
        let record = Record { media_type: MEDIA_TYPE.to_owned(), run: self.run + 1, entries };
        let text = serde_json::to_string(&record);
        text.map(Some).map_err(Error::json("the record of replaced entries"))
    }

    /// Texts of all entries that runs wrote, and of those that they replaced.
    pub(crate) fn entries(&self) -> (Vec<&str>, Vec<&str>) {
        let before = self.by_text.values().flatten().filter_map(Option::as_deref).collect();
        (self.by_text.keys().map(String::as_str).collect(), before)
    }

    /// Whether the records know an entry of this `index.json`.
    pub(crate) fn is_of_any_entry(&self, index_json: &str) -> bool {
        let list = member(index_json, "manifests").ok().flatten().unwrap_or_default();
        elements(&list).is_ok_and(|list| list.iter().any(|e| self.by_text.contains_key(e.value)))
    }

    /// The records themselves.
    pub(crate) fn blobs(&self) -> &[Digest] {
        &self.blobs
    }
}

fn digest_of(entry: &str) -> Option<Digest> {
    #[derive(Deserialize)]
    struct Entry {
        digest: String,
    }
    serde_json::from_str::<Entry>(entry).ok()?.digest.parse().ok()
}

fn read_record(layout: &Layout, digest: Digest) -> Option<Record> {
    let size = layout.blob_size(&digest).ok()??;
    if !(BEGINNING.len() as u64..=MAX_INDEX_JSON_SIZE).contains(&size) {
        return None;
    }
    let mut start = vec![0; BEGINNING.len()];
    layout.open_blob(&digest, size).ok()??.read_exact(&mut start).ok()?;
    if start != BEGINNING.as_bytes() {
        return None;
    }
    let bytes = layout.read_blob(&digest, size, MAX_INDEX_JSON_SIZE).ok()??;
    serde_json::from_slice(&bytes).ok()
}
