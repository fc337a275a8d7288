//! Platforms: normal form, matching and text, as containerd's `platforms` library has them
//! (`soci-formats` 6.1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::json::canonical::{self, PLATFORM};

/// A platform in normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system, e.g. `linux`.
    pub os: String,
    /// Architecture in Go's spelling, e.g. `amd64`.
    pub architecture: String,
    /// Variant, e.g. `v7`; empty when none or when it is the architecture's usual one.
    pub variant: String,
    /// Operating system version (Windows); empty when none.
    pub os_version: String,
}

/// A text that names no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a platform (expected OS/ARCH or OS/ARCH/VARIANT, e.g. linux/arm64)")]
pub struct ParsePlatformError(String);

impl Platform {
    /// Brings the four members to normal form.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: &str, os_version: &str) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let architecture = architecture.to_ascii_lowercase();
        let variant = variant.to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64" | "amd64", v) => ("amd64", v),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64" | "arm64", v) => ("arm64", v),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            (a, v) => (a, v),
        };
        Self {
            os,
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
            os_version: os_version.to_owned(),
        }
    }

    /// Whether an image for `image` is what somebody asked for with `self`: operating system,
    /// architecture and variant are equal; the version counts only when it was asked for.
    #[must_use]
    pub fn matches(&self, image: &Self) -> bool {
        self.os == image.os
            && self.architecture == image.architecture
            && self.variant == image.variant
            && (self.os_version.is_empty() || self.os_version == image.os_version)
    }

    /// The JSON of an OCI platform object with these `os.features`, as Go writes it.
    #[must_use]
    pub fn to_json(&self, os_features: &[String]) -> String {
        let Self { os, architecture, variant, os_version } = self;
        let members = serde_json::json!({
            "architecture": architecture,
            "os": os,
            "os.version": os_version,
            "os.features": os_features,
            "variant": variant,
        });
        // An object whose members are of these kinds has this form.
        canonical::encode(&members.to_string(), &PLATFORM).unwrap_or_default()
    }

    /// Whether it says neither operating system nor architecture, or only one of them: no client
    /// can choose an image by it.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.os.is_empty() || self.architecture.is_empty()
    }

    /// Whether it is `BuildKit`'s `unknown/unknown`, the mark of what is not an image.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        if !self.os_version.is_empty() {
            write!(f, " ({})", self.os_version)?;
        }
        Ok(())
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.trim().split('/').collect();
        let valid = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        match parts.as_slice() {
            [os, arch] if parts.iter().all(valid) => Ok(Self::new(os, arch, "", "")),
            [os, arch, variant] if parts.iter().all(valid) => Ok(Self::new(os, arch, variant, "")),
            _ => Err(ParsePlatformError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Platform;

    #[test]
    fn normal_forms() {
        for (text, normal) in [
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/9", "linux/arm64/v9"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/i386", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
            ("linux/s390x", "linux/s390x"),
        ] {
            assert_eq!(text.parse::<Platform>().expect(text).to_string(), normal);
        }
        for text in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd 64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
