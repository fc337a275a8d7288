//! A SOCI index by its text: what the reference's reader demands of it (`soci-formats` 5.2, 7.2, 7.3), and
//! what its annotations say.

use super::Findings;
use super::finding::Consequence::{LayerEager, Misleading, Rejected, Unpullable};
use crate::error::Error;
use crate::layout::Layout;
use crate::layout::descriptor::{AnyDescriptor, Descriptor, Object};
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, MANIFEST};
use crate::oci::json::schema;
use crate::oci::json::{elements, members};
use crate::oci::media_type::{OCI_MANIFEST, SOCI_INDEX_V1, SOCI_INDEX_V2};
use crate::soci::find::layer_of;
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
    let list = AnyDescriptor::read_list(document.value("layers").unwrap_or("null"), &place)?;
    let entry = |(number, any): (usize, AnyDescriptor)| {
        Some(Entry { number, descriptor: any.into_known()? })
    };
    Ok(list.into_iter().enumerate().filter_map(entry).collect())
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
        findings.add(Unpullable, digest, place, expected, "no such blob");
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
            findings.add_at(at as u64, Rejected, digest, place, expected, found);
        }
        Err(error) => {
            findings.add(Rejected, digest, "its JSON text", "a manifest", error);
            return Ok(());
        }
    }
    unknown(digest, text, "", &TOP, findings);
    let descriptor = document.object("config")?;
    let config = descriptor.text("mediaType")?;
    if config != SOCI_INDEX_V1 && config != SOCI_INDEX_V2 {
        let expected = format!("{SOCI_INDEX_V2} or {SOCI_INDEX_V1}");
        findings.add(Rejected, digest, "config.mediaType", expected, config);
    }
    let empty = Digest::of(EMPTY_CONFIG).to_string();
    let found = descriptor.text("digest")?;
    if found != empty {
        findings.add(Misleading, digest, "config.digest", empty, found);
    }
    // The reader writes these two anew, whatever they were.
    let found = document.value("schemaVersion").unwrap_or("null");
    if found != "2" {
        findings.add(Rejected, digest, "schemaVersion", 2, found);
    }
    let found = document.text("mediaType")?;
    if found != OCI_MANIFEST {
        findings.add(Rejected, digest, "mediaType", OCI_MANIFEST, found);
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
            findings.add(Rejected, digest, &path, expected, member.value);
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
    let Some(layer) = layers.first() else {
        let (place, found) = entry.annotation(LAYER_DIGEST);
        findings.add(LayerEager, index, place, "a layer of the image", found);
        return;
    };
    let (place, found) = entry.annotation(LAYER_MEDIA_TYPE);
    if layers.iter().all(|layer| found != layer.media_type) {
        findings.add(Misleading, index, place, &layer.media_type, found);
    }
}

impl Entry {
    /// One of its annotations, as a place, and what it says.
    pub(super) fn annotation(&self, name: &str) -> (String, &str) {
        let place = format!("layers[{}], annotation {name}", self.number);
        (place, self.descriptor.annotations.get(name).map_or("none", String::as_str))
    }

    /// The layer that it is said to be for.
    pub(super) fn layer(&self) -> Option<Digest> {
        layer_of(&self.descriptor)
    }
}
