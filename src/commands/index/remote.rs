//! zTOCs from the SOCI indexes that a registry has already (`cache_from`).
//!
//! The documents are read when the run begins, a zTOC when a layer needs it. It is held to what a zTOC in the layout is held
//! to ([`super::reuse`]), and its bytes have to be those that this program writes. It is not put into the cache, where only
//! is what a run computed itself. Whatever is wrong with a registry is a warning, and the layer is scanned.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::{EagerLayers, key};
use super::ready::ReadyZtoc;
use super::reuse::Wanted;
use crate::commands::index::options::Options;
use crate::error::Error;
use crate::layer::eager::{EagerCause, EagerReason};
use crate::layout::descriptor::{AnyDescriptor, Descriptor, Object};
use crate::layout::tree::{self, Image, Node};
use crate::limits::MAX_ZTOC_SIZE;
use crate::oci::digest::Digest;
use crate::oci::json::schema::{self, MANIFEST};
use crate::oci::media_type::ZTOC;
use crate::registry::find::{Found, find};
use crate::registry::{Client, Reference, RemoteSource, Repository};
use crate::soci::find::layer_of;
use crate::soci::{BUILD_TOOL, SPAN_SIZE};
use crate::ztoc::Ztoc;

/// A zTOC that is much larger than its layer is of no use: bytes beyond the layer's size that are still fetched.
const MAX_OVERHEAD: u64 = 1 << 20;

/// Most zTOCs of one layer that are tried.
const MAX_TRIED: usize = 4;

/// What registries have.
#[derive(Default)]
pub(super) struct RemoteZtocs {
    client: Option<Client<'static>>,
    /// Where the zTOCs of each layer are said to be: the repository, digest and size.
    by_layer: BTreeMap<Digest, Vec<(Reference, Digest, u64)>>,
    /// Layers that an index made with these settings has no zTOC of.
    eager: EagerLayers,
}

impl RemoteZtocs {
    /// Reads the SOCI indexes of the images that the options name. `warn` is told what is wrong.
    pub(super) fn begin(options: &Options, warn: &dyn Fn(&str)) -> Self {
        let mut found = Self::default();
        if options.cache_from.is_empty() {
            return found;
        }
        // A request ends by itself in bounded time; the work around it looks at the signals.
        let client = match Client::new(&options.registry, || false) {
            Ok(client) => client,
            Err(error) => {
                warn(&format!("{error}; going on without zTOCs from registries"));
                return found;
            }
        };
        for reference in &options.cache_from {
            if let Err(error) = found.read(&client, reference, options) {
                warn(&format!("no zTOCs from {reference}: {error}"));
            }
        }
        found.client = Some(client);
        found
    }

    /// Notes the zTOCs of an image.
    fn read(
        &mut self,
        client: &Client<'_>,
        reference: &Reference,
        options: &Options,
    ) -> Result<(), Error> {
        let repository = Repository::new(client, reference, false);
        let source = RemoteSource::new(&repository);
        let fetched = repository.root()?;
        source.keep(&fetched);
        let tree = tree::read_all_from(&source, fetched.as_index())?;
        source.failed()?;
        for (_, soci) in tree.nodes().filter_map(Node::soci) {
            self.note(reference, &soci.ztocs);
        }
        for (Descriptor { digest, .. }, image) in tree.nodes().filter_map(Node::image) {
            let (Found::Annotation { bytes, .. } | Found::Referrer { bytes: Some(bytes), .. }) =
                find(&source, digest, image)?
            else {
                continue;
            };
            let text = String::from_utf8_lossy(&bytes);
            let place = format!("a SOCI index of {reference}");
            schema::check(&text, 0, &MANIFEST, None).map_err(Error::mistake(&place))?;
            let index = Object::read(&text, &place)?;
            let list = AnyDescriptor::read_list(index.value("layers").unwrap_or("null"), &place)?;
            let entries: Vec<Descriptor> = list
                .into_iter()
                .filter_map(AnyDescriptor::into_known)
                .filter(|entry| entry.media_type == ZTOC)
                .collect();
            self.note(reference, &entries);
            let tool = index.strings("annotations")?.remove(BUILD_TOOL);
            let span_size = options.span_size.to_string();
            let spans = |entry: &Descriptor| entry.annotations.get(SPAN_SIZE) == Some(&span_size);
            if tool.as_ref() == Some(&options.build_tool_identifier) && entries.iter().all(spans) {
                self.note_eager(reference, image, &entries);
            }
        }
        Ok(())
    }

    /// Notes the layers of an image that were left eager. What had too few bytes for a zTOC has fewer than any that has one.
    fn note_eager(&mut self, reference: &Reference, image: &Image, entries: &[Descriptor]) {
        let lazy: BTreeSet<Digest> = entries.iter().filter_map(layer_of).collect();
        let (lazy, others): (Vec<_>, Vec<_>) =
            image.layers.iter().partition(|layer| lazy.contains(&layer.digest));
        let Some(smallest) = lazy.iter().map(|layer| layer.size).min() else { return };
        for layer in others.into_iter().filter(|layer| layer.size >= smallest) {
            let text = format!("the SOCI index of {reference} has no zTOC of it");
            let reason = EagerReason::new(EagerCause::NoZtoc, text);
            self.eager.extend(key(layer).map(|key| (key, reason)));
        }
    }

    /// The layers that some index leaves eager, and none has a zTOC of.
    pub(super) fn left_eager(&self) -> EagerLayers {
        let left = self.eager.iter().filter(|((layer, _), _)| !self.by_layer.contains_key(layer));
        left.map(|(key, reason)| (*key, reason.clone())).collect()
    }

    fn note(&mut self, reference: &Reference, entries: &[Descriptor]) {
        for entry in entries {
            let Some(layer) = layer_of(entry) else { continue };
            let known = self.by_layer.entry(layer).or_default();
            if known.len() < MAX_TRIED && known.iter().all(|(_, digest, _)| *digest != entry.digest)
            {
                known.push((reference.clone(), entry.digest, entry.size));
            }
        }
    }

    /// Whether some index names a zTOC of the layer.
    #[cfg(feature = "archives")]
    pub(super) fn name(&self, layer: Digest) -> bool {
        self.by_layer.contains_key(&layer)
    }

    /// The first zTOC that is what this run would write, by all that it says itself.
    pub(super) fn valid(
        &self,
        wanted: &Wanted<'_>,
        warn: &dyn Fn(&str),
    ) -> Option<(ReadyZtoc, Ztoc)> {
        let client = self.client.as_ref()?;
        let most = wanted.layer.size.saturating_add(MAX_OVERHEAD).min(MAX_ZTOC_SIZE);
        for (reference, digest, size) in self.by_layer.get(&wanted.layer.digest)? {
            if *size > most {
                continue;
            }
            let bytes = match Repository::new(client, reference, false).blob(digest, *size, most) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                Err(error) => {
                    warn(&format!("no zTOC from {reference}: {error}"));
                    continue;
                }
            };
            let Ok(ztoc) = Ztoc::decode(&bytes) else { continue };
            if wanted.fits(&ztoc, &bytes, false) {
                return Some((ReadyZtoc::new(*digest, *size, &ztoc), ztoc));
            }
        }
        None
    }
}
