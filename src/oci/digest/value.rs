//! SHA-256 digests as OCI writes them (`sha256:` and 64 lowercase hexadecimal digits).
//!
//! OCI also registers `sha512`. No SOCI tool or registry in use emits it for layers, so it is
//! recognised and refused by name rather than mistaken for a malformed digest.

use std::fmt;
use std::str::FromStr;

use crate::oci::json::excerpt;

/// The digest of a blob.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub(crate) [u8; 32]);

/// Why a text is not a digest that this program can work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDigestError {
    /// Not `algorithm:encoded` at all, or `sha256:` with something else than 64 lowercase hex digits.
    #[error("not a digest (expected \"sha256:\" and 64 lowercase hexadecimal digits)")]
    Malformed,
    /// A well-formed digest of another algorithm.
    #[error("digest algorithm {0:?} is not supported, only sha256 is")]
    Algorithm(String),
}

/// Lowercase hexadecimal digits, two for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

impl Digest {
    /// The 64 hexadecimal digits without the algorithm: the blob's file name.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// The first twelve hexadecimal digits, enough for people.
    #[must_use]
    pub fn short(&self) -> String {
        let mut hex = self.hex();
        hex.truncate(12);
        hex
    }

    /// Parses the 64 hexadecimal digits alone (a blob's file name).
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        // The length first: what is foreign may be long.
        if hex.len() == 64 { unhex(hex)?.try_into().ok().map(Self) } else { None }
    }
}

/// The bytes of an even number of lowercase hexadecimal digits.
pub(crate) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = digits.as_bytes().chunks_exact(2);
    pairs.map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect()
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((algorithm, encoded)) = text.split_once(':') else {
            return Err(ParseDigestError::Malformed);
        };
        if algorithm == "sha256" {
            return Self::from_hex(encoded).ok_or(ParseDigestError::Malformed);
        }
        // The grammar of the OCI image specification (descriptor.md, "Digests").
        let component = |c: &str| {
            !c.is_empty() && c.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let known_form = algorithm.split(['+', '.', '_', '-']).all(component)
            && !encoded.is_empty()
            && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"=_-".contains(&b));
        if known_form {
            Err(ParseDigestError::Algorithm(excerpt(algorithm).into_owned()))
        } else {
            Err(ParseDigestError::Malformed)
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let empty = Digest::of(b"");
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty.to_string(), text);
        assert_eq!(text.parse(), Ok(empty));
        assert_eq!(Digest::from_hex(&empty.hex()), Some(empty));
    }

    #[test]
    fn refuses_what_is_no_digest() {
        for text in [
            "",
            "sha256",
            "sha256:",
            "sha256:../../x",
            "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
            "../x:aa",
            "sha512:a/b",
        ] {
            assert_eq!(text.parse::<Digest>(), Err(ParseDigestError::Malformed), "{text}");
        }
        assert_eq!(
            "sha512:abcd".parse::<Digest>(),
            Err(ParseDigestError::Algorithm("sha512".into()))
        );
    }
}
