//! Image configurations: what is read of them.

use super::descriptor::{Descriptor, Object};
use super::source::Source;
use crate::error::Error;
use crate::limits::MAX_CONFIG_SIZE;
use crate::oci::digest::Digest;
use crate::oci::json::schema::{self, CONFIG};
use crate::oci::platform::Platform;

/// The members of a configuration that decide something.
#[derive(Clone, Debug)]
pub(crate) struct ImageConfig {
    /// In normal form; its texts are empty where the configuration has none.
    pub(crate) platform: Platform,
    /// Its `os.features`.
    pub(crate) os_features: Vec<String>,
    /// As they stand there, bottom first.
    pub(crate) diff_ids: Vec<String>,
}

impl ImageConfig {
    /// Reads a configuration; `None` when its blob is not there.
    ///
    /// # Errors
    /// As [`Source::blob`]; [`Error::Document`] when Go would read something else, or nothing.
    pub(crate) fn read(source: &dyn Source, blob: &Descriptor) -> Result<Option<Self>, Error> {
        let Some(bytes) = source.blob(&blob.digest, blob.size, MAX_CONFIG_SIZE)? else {
            return Ok(None);
        };
        Self::parse(&bytes, blob.digest).map(Some)
    }

    /// The configuration `bytes`, which is the blob `digest`.
    ///
    /// # Errors
    /// [`Error::Document`] when Go would read something else, or nothing.
    pub(crate) fn parse(bytes: &[u8], digest: Digest) -> Result<Self, Error> {
        let place = format!("image configuration {digest}");
        // Only texts that decide nothing can hold other bytes in a working image; Go replaces them, too.
        let lossy = String::from_utf8_lossy(bytes);
        let text = super::open::text(lossy.as_bytes(), &place)?;
        schema::check(text, 0, &CONFIG, None).map_err(Error::mistake(&place))?;
        let object = Object::read(text, &place)?;
        let diff_ids = object.object("rootfs")?.texts("diff_ids")?;
        let os_features = object.texts("os.features")?;
        Ok(Self { platform: object.platform()?, os_features, diff_ids })
    }
}
