//! Descriptors led to other blobs, and the indexes that list them, as texts.

use super::index::ManifestRef;
use super::manifest::{member, remove_annotation, set_annotation};
use super::new_image::NewImage;
use super::{IMAGE_MANIFEST_DIGEST, INDEX_DIGEST};
use crate::layout::descriptor::Descriptor;
use crate::oci::json::canonical::{self, INDEX};
use crate::oci::json::edit::{remove_member, set_member};
use crate::oci::json::{parse_string, string};
use crate::oci::media_type::{DOCKER_CONFIG, OCI_CONFIG, OCI_INDEX};

type Result<T> = std::result::Result<T, serde_json::Error>;

/// A manifest as its descriptor has it.
pub(super) fn as_listed(descriptor: &Descriptor) -> ManifestRef {
    ManifestRef {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest,
        size: descriptor.size,
    }
}

/// The media type that a document gives itself.
pub(super) fn media_type(text: &str) -> Result<Option<String>> {
    member(text, "mediaType")?.map(|raw| parse_string(&raw)).transpose()
}

/// Whether an index names no SOCI index, neither as an entry nor in an annotation.
pub(super) fn is_bare(text: &str) -> bool {
    !text.contains(INDEX_DIGEST) && !text.contains(IMAGE_MANIFEST_DIGEST)
}

/// The descriptor of an image, led to its new manifest.
pub(super) fn repoint_image(text: &str, new: &NewImage, annotated: bool) -> Result<String> {
    let text = if new.manifest.digest == new.before {
        text.to_owned()
    } else {
        let text = point_at(text, &new.manifest)?;
        // Some tools write the configuration's type there.
        match member(&text, "artifactType")? {
            Some(kind) if new.v2.is_some() && kind == string(DOCKER_CONFIG) => {
                set_member(&text, "artifactType", &string(OCI_CONFIG))?
            }
            _ => text,
        }
    };
    match &new.v2 {
        Some(soci) => set_annotation(&text, INDEX_DIGEST, &soci.digest.to_string()),
        None if annotated => remove_annotation(&text, INDEX_DIGEST),
        None => Ok(text),
    }
}

/// The descriptor `text`, led to another blob. Inline data and other places to get the old blob from
/// go, as they would be wrong.
pub(super) fn point_at(text: &str, target: &ManifestRef) -> Result<String> {
    let text = set_member(text, "mediaType", &string(&target.media_type))?;
    let text = set_member(&text, "digest", &string(&target.digest.to_string()))?;
    let text = set_member(&text, "size", &target.size.to_string())?;
    remove_member(&remove_member(&text, "data")?, "urls")
}

/// A new index of these descriptors.
pub(super) fn index_of(manifests: &[String]) -> Result<String> {
    let text = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\",\"manifests\":[{}]}}",
        manifests.join(",")
    );
    canonical::encode(&text, &INDEX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::Digest;

    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

    fn digest(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    /// `OLD`, `NEW` and `SOCI` in a text are the digests of these words.
    fn text(pattern: &str) -> String {
        ["OLD", "NEW", "SOCI"]
            .iter()
            .fold(pattern.to_owned(), |text, word| text.replace(word, &digest(word).to_string()))
    }

    fn image(now: &str, v2: bool) -> NewImage {
        let manifest = |of: &str, size| ManifestRef {
            media_type: MANIFEST.to_owned(),
            digest: digest(of),
            size,
        };
        let v2 = v2.then(|| manifest("SOCI", 1));
        NewImage { before: digest("OLD"), manifest: manifest(now, 7), v2, v1: None }
    }

    #[test]
    fn images_are_led_to_their_new_manifests() {
        for (new, annotated, before, after) in [
            // Nothing changes but what says where the manifest is.
            (
                image("NEW", false),
                false,
                r#"{"digest":"OLD","size":3,"x":[1 ],"mediaType":"m","data":"YQ==","urls":[]}"#,
                r#"{"digest":"NEW","size":7,"x":[1 ],"mediaType":"MANIFEST"}"#,
            ),
            (
                image("NEW", true),
                false,
                r#"{"mediaType":"m","digest":"OLD","size":3}"#,
                r#"{"mediaType":"MANIFEST","digest":"NEW","size":7,"annotations":{"com.amazon.soci.index-digest":"SOCI"}}"#,
            ),
            // The type of a Docker configuration becomes that of OCI, any other artifact type stays.
            (
                image("NEW", true),
                true,
                r#"{"mediaType":"m","digest":"OLD","size":3,"artifactType":"application/vnd.docker.container.image.v1+json","annotations":{"com.amazon.soci.index-digest":"OLD"}}"#,
                r#"{"mediaType":"MANIFEST","digest":"NEW","size":7,"artifactType":"application/vnd.oci.image.config.v1+json","annotations":{"com.amazon.soci.index-digest":"SOCI"}}"#,
            ),
            // Without an index it loses the annotation, and an image that stays nothing else.
            (
                image("OLD", false),
                true,
                r#"{"mediaType":"m","digest":"OLD","size":3,"annotations":{"a":"b","com.amazon.soci.index-digest":"OLD"}}"#,
                r#"{"mediaType":"m","digest":"OLD","size":3,"annotations":{"a":"b"}}"#,
            ),
            (image("OLD", false), false, r#"{ "digest": "OLD" }"#, r#"{ "digest": "OLD" }"#),
        ] {
            let after = text(&after.replace("MANIFEST", MANIFEST));
            assert_eq!(repoint_image(&text(before), &new, annotated).expect("JSON"), after);
        }
    }

    #[test]
    fn indexes_with_and_without_soci_indexes() {
        let list = ["{\"digest\":\"b\",\"mediaType\":\"m\",\"size\":1}".to_owned()];
        let index = index_of(&list).expect("JSON");
        assert!(index.starts_with("{\"schemaVersion\":2,\"mediaType\":"), "{index}");
        assert!(index.contains("[{\"mediaType\":\"m\",\"digest\":\"b\",\"size\":1}]"), "{index}");
        assert_eq!(media_type(&index).expect("JSON").as_deref(), Some(OCI_INDEX));
        assert_eq!(media_type("{}").expect("JSON"), None);
        assert!(is_bare(&index));
        for name in [INDEX_DIGEST, IMAGE_MANIFEST_DIGEST] {
            assert!(!is_bare(&format!("{{\"annotations\":{{\"{name}\":\"x\"}}}}")));
        }
    }
}
