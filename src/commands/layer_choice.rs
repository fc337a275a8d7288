//! Layers as people name them: by number or by digest.

use std::fmt;
use std::str::FromStr;

use crate::layout::descriptor::Descriptor;

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerChoice {
    /// By its number, from 1 at the bottom.
    Number(usize),
    /// By its digest, or the beginning of it (at least `sha256:` and one digit).
    Digest(String),
}

impl LayerChoice {
    /// Its position among `layers`. The same layer may be there twice; two layers may not begin alike.
    pub(super) fn find(&self, layers: &[Descriptor]) -> Option<usize> {
        match self {
            Self::Number(number) => number.checked_sub(1).filter(|at| *at < layers.len()),
            Self::Digest(prefix) => {
                let fits = |layer: &Descriptor| layer.digest.to_string().starts_with(prefix);
                let first = layers.iter().position(fits);
                first.filter(|at| {
                    layers.iter().filter(|l| fits(l)).all(|l| l.digest == layers[*at].digest)
                })
            }
        }
    }
}

impl FromStr for LayerChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |text: &str| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        match (text.parse::<usize>(), text.strip_prefix("sha256:")) {
            (Ok(number), _) if number > 0 => Ok(Self::Number(number)),
            (_, Some(digits)) if hex(digits) => Ok(Self::Digest(text.to_owned())),
            _ => Err("expected a number from 1 (the lowest layer) or sha256:… (its first digits are enough)"
                .to_owned()),
        }
    }
}

impl fmt::Display for LayerChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Digest(digest) => f.write_str(digest),
        }
    }
}
