//! Lists of referrers, for registries without the referrers API: the tag `sha256-<hex>` of what is referred to (OCI
//! distribution specification, "Referrers tag schema"). A list that is there is kept and added to.

use super::collect::Document;
use crate::error::Error;
use crate::layout::descriptor::{Descriptor, Object};
use crate::oci::digest::Digest;
use crate::oci::json::string;
use crate::oci::media_type::{OCI_INDEX, SOCI_INDEX_V1};
use crate::registry::find::entries;
use crate::registry::{Repository, fallback_tag};
use crate::soci::index::{ManifestRef, descriptor_text, strings};
use crate::trouble::RegistryTrouble;

/// How often a list is written at most, when others write it at the same time.
const ATTEMPTS: u32 = 3;

/// Brings the list of what refers to `subject` up to date, where the registry has no API for that. Gives the tag that was written.
///
/// # Errors
/// [`Error::Registry`], and what makes a list unreadable.
pub(super) fn update(
    repository: &Repository<'_>,
    subject: &Digest,
    referrers: &[&Document],
) -> Result<Option<String>, Error> {
    let tag = fallback_tag(subject);
    let ours =
        referrers.iter().map(|document| descriptor(document)).collect::<Result<Vec<_>, _>>()?;
    let mut written = None;
    for _ in 0..ATTEMPTS {
        let found = repository.referrers(subject)?;
        if found.api {
            return Ok(None);
        }
        let place = format!("{}:{tag}", repository.reference().name());
        let listed = match found.pages.first() {
            Some(text) => entries(text, &place)?,
            None => Vec::new(),
        };
        let Some(list) = merged(&listed, &ours)? else { return Ok(written) };
        repository.put_manifest(&tag, OCI_INDEX, list.as_bytes())?;
        written = Some(tag.clone());
    }
    // The last one may have been overwritten, too.
    let listed = repository.referrers(subject)?.pages.first().map(|text| entries(text, &tag));
    let listed = listed.transpose()?.unwrap_or_default();
    match merged(&listed, &ours)? {
        None => Ok(written),
        Some(_) => Err(Error::Registry {
            name: repository.reference().name(),
            action: format!("write manifest {tag}"),
            problem: "others overwrite this list of referrers at the same time".to_owned(),
            trouble: RegistryTrouble::Overloaded,
        }),
    }
}

/// The list with our entries in it; `None` when they are there. Other V1 indexes go when one is ours: the first in the list is taken.
fn merged(listed: &[Descriptor], ours: &[(Digest, String)]) -> Result<Option<String>, Error> {
    let v1 = |text: &str| Ok::<_, Error>(artifact_type(text)? == SOCI_INDEX_V1);
    let mut replaces = false;
    for (_, text) in ours {
        replaces |= v1(text)?;
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut same = true;
    for descriptor in listed {
        let own = ours.iter().find(|(digest, _)| *digest == descriptor.digest);
        let stays = match own {
            // One that a tool listed without its type is not found.
            Some((_, text)) => artifact_type(text)? == artifact_type(&descriptor.text)?,
            None => !(replaces && v1(&descriptor.text)?),
        };
        same &= stays;
        kept.extend(stays.then_some(descriptor.text.as_str()));
    }
    let there = |digest: &Digest| {
        listed.iter().any(|d| d.digest == *digest && kept.contains(&d.text.as_str()))
    };
    let new: Vec<&str> =
        ours.iter().filter(|(digest, _)| !there(digest)).map(|(_, text)| text.as_str()).collect();
    if same && new.is_empty() {
        return Ok(None);
    }
    kept.extend(new);
    let kept = kept.join(",");
    let head = format!("\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\"");
    Ok(Some(format!("{{{head},\"manifests\":[{kept}]}}")))
}

fn artifact_type(descriptor: &str) -> Result<String, Error> {
    Object::read(descriptor, "a list of referrers")?.text("artifactType")
}

/// A referrer as the referrers API would list it.
fn descriptor(document: &Document) -> Result<(Digest, String), Error> {
    let object = Object::read(&document.text, "a manifest")?;
    let said = object.text("artifactType")?;
    let kind = if said.is_empty() { object.object("config")?.text("mediaType")? } else { said };
    let annotations = object.strings("annotations")?;
    let (texts, kind) = (strings(&annotations), string(&kind));
    let more = [("annotations", texts.as_str()), ("artifactType", &kind)];
    let more = if annotations.is_empty() { &more[1..] } else { &more[..] };
    let Document { digest, media_type, text, .. } = document;
    let (digest, media_type, size) = (*digest, media_type.clone(), text.len() as u64);
    Ok((digest, descriptor_text(&ManifestRef { media_type, digest, size }, more)))
}
