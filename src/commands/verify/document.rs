//! A SOCI index by its text: what the reference's reader demands of it (`soci-formats` 5.2, 7.2, 7.3), and
//! what its annotations say.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Findings;
use super::finding::Consequence;
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::{AnyDescriptor, Descriptor, Object};
use crate::limits::MAX_MANIFEST_SIZE;
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, MANIFEST};
use crate::oci::json::schema;
use crate::oci::json::{elements, members};
use crate::oci::media_type::{OCI_MANIFEST, SOCI_INDEX_V1, SOCI_INDEX_V2};
use crate::soci::index::EMPTY_CONFIG;
use crate::soci::{LAYER_DIGEST, LAYER_MEDIA_TYPE};

/// The members that the reader's structs have; it drops all others, and so refuses the text.
const TOP: [&str; 6] = ["schemaVersion", "mediaType", "config", "layers", "subject", "annotations"];
const DESCRIPTOR: [&str; 8] =
    ["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"];

/// One element of a SOCI index's `layers`.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Entry {
    /// Its position.
    pub(super) number: usize,
    pub(in crate::commands) descriptor: Descriptor,
}

/// The SOCI indexes that were read. Several images can have the same one.
#[derive(Debug, Default)]
pub(super) struct Documents {
    read: BTreeMap<Digest, Rc<[Entry]>>,
}

impl Documents {
    /// The entries of a SOCI index, which is checked when it is met for the first time.
    pub(super) fn entries(
        &mut self,
        layout: &Layout,
        digest: Digest,
        findings: &mut Findings,
    ) -> Result<Rc<[Entry]>, Error> {
        if let Some(known) = self.read.get(&digest) {
            return Ok(Rc::clone(known));
        }
        let size = layout.blob_size(&digest)?.unwrap_or_default();
        let mut entries = Vec::new();
        match read(layout, digest, size, MAX_MANIFEST_SIZE)? {
            Ok(bytes) => {
                entries = text(digest, &bytes, findings, &mut |config| {
                    Ok(layout.blob_size(config)?.is_some())
                })?;
            }
            Err((expected, found)) => {
                let broken = Consequence::Unpullable;
                findings.add(broken, Some(digest), "a SOCI index", None, expected, found);
            }
        }
        let entries: Rc<[Entry]> = entries.into();
        self.read.insert(digest, Rc::clone(&entries));
        Ok(entries)
    }
}

/// Checks the SOCI index `bytes` and gives its entries. `has` says whether a blob is where the index is.
pub(in crate::commands) fn text(
    digest: Digest,
    bytes: &[u8],
    findings: &mut Findings,
    has: &mut dyn FnMut(&Digest) -> Result<bool, Error>,
) -> Result<Vec<Entry>, Error> {
    let text = String::from_utf8_lossy(bytes);
    let place = format!("SOCI index {digest}");
    schema::check(&text, 0, &MANIFEST, None).map_err(Error::mistake(&place))?;
    let document = Object::read(&text, &place)?;
    index(digest, &text, &document, findings)?;
    config(has, digest, &document, findings)?;
    list(&document, &place)
}

fn list(document: &Object<'_>, place: &str) -> Result<Vec<Entry>, Error> {
    let list = AnyDescriptor::read_list(document.value("layers").unwrap_or("null"), place)?;
    Ok(list
        .into_iter()
        .enumerate()
        .filter_map(|(number, any)| match any {
            AnyDescriptor::Known(descriptor) => Some(Entry { number, descriptor: *descriptor }),
            AnyDescriptor::Foreign { .. } => None,
        })
        .collect())
}

/// The configuration must be there, or the index cannot be pushed.
fn config(
    has: &mut dyn FnMut(&Digest) -> Result<bool, Error>,
    index: Digest,
    document: &Object<'_>,
    findings: &mut Findings,
) -> Result<(), Error> {
    let Ok(digest) = document.object("config")?.text("digest")?.parse() else { return Ok(()) };
    if !has(&digest)? {
        let place = "the configuration of a SOCI index";
        let expected = format!("the configuration of {index}");
        let broken = Consequence::Unpullable;
        findings.add(broken, Some(digest), place, None, expected, "no such blob");
    }
    Ok(())
}

/// Reads a blob; what is wrong with it, as expected and found, is no error.
pub(super) fn read(
    layout: &Layout,
    digest: Digest,
    size: u64,
    limit: u64,
) -> Result<Result<Vec<u8>, (String, String)>, Error> {
    let wrong = |expected: String, found: String| Ok(Err((expected, found)));
    match layout.read_blob(&digest, size, limit) {
        Ok(Some(bytes)) => Ok(Ok(bytes)),
        Ok(None) => wrong(format!("a blob of {size} bytes"), "no such blob".to_owned()),
        Err(Error::BlobSize { expected, found, .. }) => {
            wrong(format!("{expected} bytes"), format!("{found} bytes"))
        }
        Err(Error::BlobDigest { found, .. }) => wrong(digest.to_string(), found.to_string()),
        Err(Error::Limit { limit, found, .. }) => {
            wrong(format!("up to {limit} bytes"), format!("{found} bytes"))
        }
        Err(error) => Err(error),
    }
}

/// Checks the text of the SOCI index `digest`.
fn index(
    digest: Digest,
    text: &str,
    document: &Object<'_>,
    findings: &mut Findings,
) -> Result<(), Error> {
    let rejected = Consequence::Rejected;
    match canonical::encode(text, &MANIFEST) {
        Ok(canonical) if canonical == text => {}
        Ok(canonical) => {
            let at = canonical.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
            let around = |text: &str| {
                let bytes = text.as_bytes();
                let part = &bytes[at.min(bytes.len())..bytes.len().min(at + 24)];
                format!("\"{}\"", part.escape_ascii())
            };
            let place = "its JSON text, which must be exactly as Go's encoder writes it";
            let (expected, found) = (around(&canonical), around(text));
            findings.add(rejected, Some(digest), place, Some(at as u64), expected, found);
        }
        Err(error) => {
            findings.add(rejected, Some(digest), "its JSON text", None, "a manifest", error);
            return Ok(());
        }
    }
    unknown(digest, text, "", &TOP, findings);
    let descriptor = document.object("config")?;
    let config = descriptor.text("mediaType")?;
    if config != SOCI_INDEX_V1 && config != SOCI_INDEX_V2 {
        let expected = format!("{SOCI_INDEX_V2} or {SOCI_INDEX_V1}");
        findings.add(rejected, Some(digest), "config.mediaType", None, expected, config);
    }
    let empty = Digest::of(EMPTY_CONFIG).to_string();
    let found = descriptor.text("digest")?;
    if found != empty {
        findings.add(Consequence::Misleading, Some(digest), "config.digest", None, empty, found);
    }
    // The reader writes these two anew, whatever they were.
    let found = document.value("schemaVersion").unwrap_or("null");
    if found != "2" {
        findings.add(rejected, Some(digest), "schemaVersion", None, 2, found);
    }
    let found = document.text("mediaType")?;
    if found != OCI_MANIFEST {
        findings.add(rejected, Some(digest), "mediaType", None, OCI_MANIFEST, found);
    }
    Ok(())
}

/// Members that the reader does not know, in the index and its descriptors.
fn unknown(digest: Digest, text: &str, within: &str, known: &[&str], findings: &mut Findings) {
    let Ok(object) = members(text) else { return };
    for member in &object {
        let name: &str = &member.name;
        let path = format!("{within}{name}");
        if !known.contains(&name) {
            let expected = "no such member: its reader drops it and then misses it";
            findings.add(Consequence::Rejected, Some(digest), &path, None, expected, member.value);
        }
        match name {
            "config" | "subject" if within.is_empty() => {
                unknown(digest, member.value, &format!("{path}."), &DESCRIPTOR, findings);
            }
            "layers" if within.is_empty() => {
                for (number, element) in
                    elements(member.value).unwrap_or_default().iter().enumerate()
                {
                    let path = format!("layers[{number}].");
                    unknown(digest, element.value, &path, &DESCRIPTOR, findings);
                }
            }
            _ => {}
        }
    }
}

/// Checks what the index says of the layer of a zTOC. `layers` are the image's layers of that digest, under
/// whatever types.
pub(in crate::commands) fn layer_entry(
    index: Digest,
    entry: &Entry,
    layers: &[&Descriptor],
    findings: &mut Findings,
) {
    let stored = |name: &str| entry.descriptor.annotations.get(name).map_or("none", String::as_str);
    let Some(layer) = layers.first() else {
        let expected = "a layer of the image";
        let place = entry.annotation(LAYER_DIGEST);
        let found = stored(LAYER_DIGEST);
        findings.add(Consequence::LayerEager, Some(index), &place, None, expected, found);
        return;
    };
    let found = stored(LAYER_MEDIA_TYPE);
    if layers.iter().all(|layer| found != layer.media_type) {
        let place = entry.annotation(LAYER_MEDIA_TYPE);
        let right = &layer.media_type;
        findings.add(Consequence::Misleading, Some(index), &place, None, right, found);
    }
}

/// A prefetch artifact for a layer that has another one already, `taken`.
pub(super) fn second_prefetch(
    index: Digest,
    entry: &Entry,
    taken: Digest,
    findings: &mut Findings,
) {
    let place = format!("layers[{}].digest", entry.number);
    let (expected, found) = (format!("{taken}, which readers take"), entry.descriptor.digest);
    findings.add(Consequence::Misleading, Some(index), &place, None, expected, found.to_string());
}

/// A prefetch artifact for a layer without a zTOC.
pub(super) fn no_use(index: Digest, entry: &Entry, findings: &mut Findings) {
    let found = entry.descriptor.annotations.get(LAYER_DIGEST).map_or("none", String::as_str);
    let place = entry.annotation(LAYER_DIGEST);
    let expected = "a layer of the image that has a zTOC";
    findings.add(Consequence::Misleading, Some(index), &place, None, expected, found);
}

impl Entry {
    /// One of its annotations, as a place.
    pub(super) fn annotation(&self, name: &str) -> String {
        format!("layers[{}], annotation {name}", self.number)
    }
}
