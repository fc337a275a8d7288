//! What decides an entry: the layer, and the settings that a zTOC depends on.

use super::CACHE_VERSION;
use crate::oci::digest::Digest;
use crate::oci::media_type::Compression;
use crate::ztoc::{Zinfo, Ztoc};

/// Ending of an entry's file name.
const SUFFIX: &str = ".ztoc";
/// Hexadecimal digits of the settings in a file name. The entry itself holds them in full.
const SETTINGS_DIGITS: usize = 16;

/// What an entry is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheKey {
    /// Digest of the layer's blob.
    pub(crate) layer: Digest,
    /// Its size in bytes. Follows from the digest; not part of the name.
    pub(crate) layer_size: u64,
    /// How it is read: one blob may be a layer under several media types.
    pub(crate) compression: Compression,
    /// Uncompressed bytes between checkpoints.
    pub(crate) span_size: u64,
    /// Text in the zTOC.
    pub(crate) build_tool_identifier: String,
}

impl CacheKey {
    /// The entry's file name.
    #[must_use]
    pub(crate) fn file_name(&self) -> String {
        let settings = format!(
            "compression {}\nspan size {}\nbuild tool identifier {}",
            self.compression.word(),
            self.span_size,
            self.build_tool_identifier
        );
        let settings = &Digest::of(settings.as_bytes()).hex()[..SETTINGS_DIGITS];
        format!("{}-{settings}.v{CACHE_VERSION}{SUFFIX}", self.layer.hex())
    }

    /// What of a zTOC, by itself, is not as this layer and these settings have it; `None` when it fits.
    pub(super) fn misfit(&self, ztoc: &Ztoc) -> Option<&'static str> {
        let same_size = match &ztoc.zinfo {
            Zinfo::Gzip(_) => true,
            Zinfo::Tar(tar) => tar.size == self.layer_size,
        };
        if ztoc.zinfo.compression() != self.compression {
            Some("compression")
        } else if ztoc.zinfo.span_size() != self.span_size {
            Some("span size")
        } else if ztoc.build_tool_identifier != self.build_tool_identifier {
            Some("build tool identifier")
        } else if ztoc.compressed_archive_size != self.layer_size || !same_size {
            Some("layer size")
        } else {
            None
        }
    }
}

/// The compression for a word in entries.
pub(super) fn compression(word: &str) -> Option<Compression> {
    [Compression::Gzip, Compression::None].into_iter().find(|c| c.word() == word)
}

/// Version of the entry that a file of this name is; `None` for files that are no entries.
pub(super) fn entry_version(name: &str) -> Option<u32> {
    let hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let (key, version) = name.strip_suffix(SUFFIX)?.split_once(".v")?;
    let (layer, settings) = key.split_once('-')?;
    if !hex(layer, 64) || !hex(settings, SETTINGS_DIGITS) {
        return None;
    }
    version.parse().ok().filter(|number: &u32| number.to_string() == version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> CacheKey {
        CacheKey {
            layer: Digest::of(b"layer"),
            layer_size: 5,
            compression: Compression::Gzip,
            span_size: 4 << 20,
            build_tool_identifier: "AWS SOCI CLI v0.2".to_owned(),
        }
    }

    /// The name is part of the format: caches are saved and restored by other programs.
    #[test]
    fn name_is_fixed() {
        let expected = format!("{}-d2542a55cd882f50.v1.ztoc", Digest::of(b"layer").hex());
        assert_eq!(key().file_name(), expected);
        assert_eq!(entry_version(&expected), Some(CACHE_VERSION));
        assert_eq!(entry_version(&expected.replace(".v1.", ".v20.")), Some(20));
    }

    #[test]
    fn everything_that_decides_is_in_the_name() {
        let others = [
            CacheKey { layer: Digest::of(b"other"), ..key() },
            CacheKey { compression: Compression::None, ..key() },
            CacheKey { span_size: 1, ..key() },
            CacheKey { build_tool_identifier: "x\nspan size 1".to_owned(), ..key() },
            key(),
        ];
        let names: std::collections::BTreeSet<_> = others.iter().map(CacheKey::file_name).collect();
        assert_eq!(names.len(), others.len());
        assert_eq!(CacheKey { layer_size: 6, ..key() }.file_name(), key().file_name());
    }

    #[test]
    fn names_of_others() {
        let name = key().file_name();
        for other in [
            String::new(),
            name.to_uppercase(),
            name.replace(".ztoc", ".zst"),
            name.replace('-', "_"),
            name.replace(".v1", ""),
            name.replace(".v1", ".v01"),
            name.replace(".v1", ".v+1"),
            name.replace(".v1", ".v99999999999"),
            format!("x{name}"),
            format!("{name}.tmp"),
            name[1..].to_owned(),
            format!("../{name}"),
        ] {
            assert_eq!(entry_version(&other), None, "{other}");
        }
    }
}
