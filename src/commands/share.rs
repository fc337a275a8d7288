//! How much of an image is lazy, counted in one way for all commands.

use serde::{Deserialize, Serialize};

/// How much of an image a reader would mount before it is downloaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Layers that are lazy.
    pub layers: u64,
    /// All layers.
    pub of_layers: u64,
    /// Compressed bytes of the lazy layers.
    pub bytes: u64,
    /// Compressed bytes of all layers.
    pub of_bytes: u64,
}

impl Share {
    /// Counts an image's layers, repeated as in its manifest: for each its size and whether it is lazy.
    pub(super) fn of(layers: impl IntoIterator<Item = (u64, bool)>) -> Self {
        let mut share = Self::default();
        for (size, lazy) in layers {
            share.of_layers += 1;
            share.of_bytes = share.of_bytes.saturating_add(size);
            if lazy {
                share.layers += 1;
                share.bytes = share.bytes.saturating_add(size);
            }
        }
        share
    }

    /// Compressed bytes that are pulled whole before the image starts.
    #[must_use]
    pub fn eager_bytes(&self) -> u64 {
        self.of_bytes.saturating_sub(self.bytes)
    }

    /// Whether at least this share (percent) of the bytes is lazy. An image without any is.
    #[must_use]
    pub fn is_at_least(&self, percent: u8) -> bool {
        u128::from(self.bytes) * 100 >= u128::from(self.of_bytes) * u128::from(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_bytes_and_exact() {
        let share = Share::of([(799, true), (201, false), (0, true)]);
        assert_eq!(share, Share { layers: 2, of_layers: 3, bytes: 799, of_bytes: 1000 });
        assert_eq!((share.is_at_least(79), share.is_at_least(80)), (true, false));
        assert_eq!(share.eager_bytes(), 201);
        assert!(Share::default().is_at_least(100));
        assert!(Share::of([(u64::MAX, true), (1, true)]).is_at_least(100));
    }
}
