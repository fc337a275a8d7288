//! What changes it: options of builders, and commands, in one place.

use std::path::Path;

use crate::commands::index::options::DEFAULT_MIN_LAYER_SIZE;
use crate::layer::eager::{EagerCause, EagerReason};
use crate::oci::media_type::{is_encrypted, is_zstd};

/// AWS advises lazy loading for images from this size on (bytes, compressed).
pub const WORTHWHILE: u64 = 250 << 20;

/// For layers of another compression: also those of the base image, hence the second option.
pub(super) const GZIP: &str = "build with `docker buildx build --output type=oci,tar=false,compression=gzip,force-compression=true,dest=DIR`";
pub(super) const OCI_TYPES: &str =
    "build with `docker buildx build --output type=oci,tar=false,oci-mediatypes=true,dest=DIR`";
pub(super) const PLATFORMS: &str =
    "build with `docker buildx build --platform linux/amd64,linux/arm64`";
pub(super) const KEEP_DIGESTS: &str =
    "sign and attach after indexing, or keep all digests with --index-version v1 --v1-shape tagged";
pub(super) const SPLIT: &str = "make a layer of each part that changes by itself (base, dependencies, models, program): \
                                a COPY or RUN for each, and no --squash";

/// What makes an eager layer of this media type load lazily next time; none where nothing is known to.
#[must_use]
pub fn of_reason(media_type: &str, reason: &EagerReason) -> Option<&'static str> {
    if is_encrypted(media_type) {
        return Some("lazy loading needs layers that are not encrypted");
    }
    match reason.cause {
        EagerCause::MediaType if !is_zstd(media_type) => {
            Some("a layer needs the media type application/vnd.oci.image.layer.v1.tar+gzip or .tar")
        }
        EagerCause::MediaType | EagerCause::Mislabelled => Some(GZIP),
        EagerCause::Entry => Some(
            "put that file into a layer of its own, so that it does not keep the others from loading lazily",
        ),
        EagerCause::UnlikeUnpacked => Some(
            "build it without that entry, or `soci-layout index --accept unlike-unpacked` indexes it all the same",
        ),
        EagerCause::NoSaving => {
            Some("`soci-layout index --min-saving PERCENT` sets how much it must save")
        }
        EagerCause::Unreadable => {
            Some("make the layer anew: a runtime may not be able to unpack it either")
        }
        EagerCause::TooLarge => Some(SPLIT),
        _ => None,
    }
}

/// Indexing runs on one layout.
#[derive(Debug)]
pub(super) struct Commands {
    layout: String,
    min_layer_size: u64,
}

impl Commands {
    pub(super) fn new(layout: &Path, min_layer_size: u64) -> Self {
        Self { layout: quoted(&layout.to_string_lossy()), min_layer_size }
    }

    /// `soci-layout index OPTIONS LAYOUT`, to be copied into a shell, with the minimum layer size that was asked for.
    pub(super) fn index(&self, options: &str) -> String {
        match self.min_layer_size {
            DEFAULT_MIN_LAYER_SIZE => self.index_from_size(options),
            size => self.index_from_size(&format!(" --min-layer-size {size}{options}")),
        }
    }

    /// The same, of layers of any size.
    pub(super) fn index_all(&self) -> String {
        self.index_from_size(" --min-layer-size 0")
    }

    fn index_from_size(&self, options: &str) -> String {
        format!("`soci-layout index{options} {}`", self.layout)
    }
}

/// A word of a shell's line.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:@+=,%".contains(c);
    let text = if text.starts_with('-') { format!("./{text}") } else { text.to_owned() };
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_follow_from_the_reason() {
        let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
        for (media_type, cause, part) in [
            (
                "application/vnd.oci.image.layer.v1.tar+zstd",
                EagerCause::MediaType,
                "compression=gzip",
            ),
            ("application/vnd.oci.image.layer.v1.tar+xz", EagerCause::MediaType, "tar+gzip or"),
            (gzip, EagerCause::Mislabelled, "compression=gzip"),
            (
                "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
                EagerCause::MediaType,
                "not encrypted",
            ),
            (gzip, EagerCause::Entry, "layer of its own"),
            (gzip, EagerCause::UnlikeUnpacked, "--accept unlike-unpacked"),
            (gzip, EagerCause::NoSaving, "--min-saving"),
            (gzip, EagerCause::Unreadable, "anew"),
            (gzip, EagerCause::TooLarge, "a COPY or RUN for each"),
        ] {
            let reason = EagerReason { cause, text: String::new() };
            let remedy = of_reason(media_type, &reason).unwrap_or_default();
            assert!(remedy.contains(part), "{media_type}: {cause:?}: {remedy}");
        }
        let reason = EagerReason { cause: EagerCause::Absent, text: String::new() };
        assert_eq!(of_reason(gzip, &reason), None);
    }

    #[test]
    fn lines_can_be_copied_into_a_shell() {
        for (path, line) in [
            ("./oci-dir", "`soci-layout index ./oci-dir`"),
            ("a b", "`soci-layout index 'a b'`"),
            ("-x", "`soci-layout index ./-x`"),
            ("it's", "`soci-layout index 'it'\\''s'`"),
            ("$(x)", "`soci-layout index '$(x)'`"),
        ] {
            assert_eq!(Commands::new(Path::new(path), DEFAULT_MIN_LAYER_SIZE).index(""), line);
        }
        let small = Commands::new(Path::new("x"), 7);
        assert_eq!(
            small.index(" --name TAG"),
            "`soci-layout index --min-layer-size 7 --name TAG x`"
        );
        assert_eq!(small.index_all(), "`soci-layout index --min-layer-size 0 x`");
    }
}
