//! Names in their directories as 128-bit keys: they take far less memory than the names.
//!
//! Two hash keys of this process make them, so an attacker cannot prepare names that collide in both; ten million names
//! collide with a probability below 10^-24.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

/// The key of a name.
pub(super) type NameKey = (u64, u64);

/// What is known of names.
pub(super) type NameMap<V> = HashMap<NameKey, V, BuildHasherDefault<KeyHasher>>;

/// Makes keys.
#[derive(Debug, Default)]
pub(super) struct NameKeys([RandomState; 2]);

impl NameKeys {
    /// The key of a name in this directory.
    pub(super) fn key(&self, directory: impl Hash, name: &[u8]) -> NameKey {
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            directory.hash(&mut hasher);
            hasher.write(name);
            hasher.finish()
        };
        (hash(&self.0[0]), hash(&self.0[1]))
    }
}

/// Passes on half of a key, which is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
