//! Images: their SOCI indexes, and which of their layers a reader would mount lazily.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::blobs::Broken;
use super::report::{Eager, Image, Layer, Problem, SociIndex, Ztoc};
use crate::commands::index::options::DEFAULT_MIN_LAYER_SIZE;
use crate::commands::share::Share;
use crate::layout::Layout;
use crate::layout::descriptor::Descriptor;
use crate::layout::select::ImageFilter;
use crate::layout::tree::{Content, Image as Found, Node, REFERENCE_DIGEST};
use crate::oci::digest::Digest;
use crate::oci::media_type::{LayerKind, is_nondistributable, layer_kind};
use crate::soci::find::SociIndexes;

/// The distinct images below `roots` that were asked for. Each SOCI index learns which images it belongs
/// to, also those that were not asked for.
pub(super) fn find(
    layout: &Layout,
    roots: &[&Node],
    filter: &ImageFilter,
    soci_indexes: &mut [SociIndex],
    broken: &mut Broken,
) -> Vec<Image> {
    let lookup = SociIndexes::below(roots.iter().copied());
    let positions = soci_indexes.iter().enumerate().map(|(place, soci)| (soci.digest, place));
    let positions: HashMap<Digest, usize> = positions.collect();
    let attestations = attestations(roots);
    let mut images: Vec<Image> = Vec::new();
    let mut places: HashMap<Digest, Option<usize>> = HashMap::new();
    let mut named: HashSet<(usize, &str)> = HashSet::new();
    for root in roots {
        let names: Vec<&str> = root.known().into_iter().flat_map(Descriptor::names).collect();
        for (&Descriptor { digest, .. }, image) in root.nodes().filter_map(Node::image) {
            let place = *places.entry(digest).or_insert_with(|| {
                let own = lookup.distinct(digest, image);
                let own = own.iter().map(|found| found.descriptor.digest);
                let own: Vec<usize> =
                    own.filter_map(|soci| positions.get(&soci)).copied().collect();
                for place in &own {
                    soci_indexes[*place].images.push(digest);
                }
                if !filter.wants(&image.platform) {
                    return None;
                }
                let own: Vec<&SociIndex> = own.iter().map(|place| &soci_indexes[*place]).collect();
                let mut image = ImageReader { layout, digest, image }.image(&own, broken);
                image.attestations = attestations.get(&digest).cloned().unwrap_or_default();
                images.push(image);
                Some(images.len() - 1)
            });
            let Some(place) = place else { continue };
            let new = names.iter().filter(|name| named.insert((place, *name)));
            images[place].names.extend(new.map(|name| (*name).to_owned()));
        }
    }
    images
}

/// The platform's text; `None` when it is not known.
pub(super) fn platform(image: &Found) -> Option<String> {
    (!image.platform.os.is_empty()).then(|| image.platform.to_string())
}

/// Attestation manifests by their images.
fn attestations(roots: &[&Node]) -> BTreeMap<Digest, Vec<Digest>> {
    let mut found: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for node in roots.iter().flat_map(|root| root.nodes()) {
        let (Content::Attestation { .. }, Some(descriptor)) = (&node.content, node.known()) else {
            continue;
        };
        let image = descriptor.annotations.get(REFERENCE_DIGEST).and_then(|d| d.parse().ok());
        if let Some(image) = image
            && seen.insert((image, descriptor.digest))
        {
            found.entry(image).or_default().push(descriptor.digest);
        }
    }
    found
}

struct ImageReader<'a> {
    layout: &'a Layout,
    digest: Digest,
    image: &'a Found,
}

impl ImageReader<'_> {
    /// The image, whose SOCI indexes are `own`, in the order in which a reader looks for them.
    fn image(&self, own: &[&SociIndex], broken: &mut Broken) -> Image {
        let named = self.image.soci_v2.as_ref();
        let lost = named.filter(|text| !own.iter().any(|soci| soci.digest.to_string() == **text));
        // An annotation that leads nowhere ends the search.
        let taken = own.first().copied().filter(|_| lost.is_none());
        let eager = match (taken.map(|soci| &soci.rejected), lost) {
            (_, Some(_)) => Some(
                "the SOCI index that its manifest names is not in index.json's tree".to_owned(),
            ),
            (None, None) => Some("it has no SOCI index".to_owned()),
            (Some(Some(why)), _) => Some(format!("a reader rejects its SOCI index: {why}")),
            (Some(None), None) => None,
        };
        broken.look(self.layout, &self.image.config, "configuration", self.digest);
        // A reader takes the last entry of a layer (`soci-formats` 7.3).
        let ztocs = taken.into_iter().flat_map(|soci| &soci.ztocs);
        let ztocs: HashMap<Digest, &Ztoc> =
            ztocs.filter_map(|ztoc| Some((ztoc.layer?, ztoc))).collect();
        let layers = self.image.layers.iter();
        let indexed = layers.clone().filter(|layer| ztocs.contains_key(&layer.digest));
        let smallest = indexed.map(|layer| layer.size).min();
        let layers = layers.map(|layer| {
            let ztoc = ztocs.get(&layer.digest).copied();
            self.layer(layer, taken, ztoc, smallest, broken)
        });
        let layers: Vec<Layer> = layers.collect();
        Image {
            names: Vec::new(),
            platform: platform(self.image),
            digest: self.digest,
            soci_indexes: own.iter().map(|soci| soci.digest).collect(),
            lost_soci_index: lost.cloned(),
            eager,
            lazy: Share::of(layers.iter().map(|layer| (layer.size, layer.lazy))),
            layers,
            attestations: Vec::new(),
            startup: None,
        }
    }

    fn layer(
        &self,
        layer: &Descriptor,
        taken: Option<&SociIndex>,
        ztoc: Option<&Ztoc>,
        smallest: Option<u64>,
        broken: &mut Broken,
    ) -> Layer {
        let size = layer.size;
        let problem = if is_nondistributable(&layer.media_type)
            && matches!(self.layout.blob_size(&layer.digest), Ok(None))
        {
            Some(Problem::LeftToOwner)
        } else {
            broken.look(self.layout, layer, "layer", self.digest)
        };
        let ztoc = ztoc.map(|ztoc| fitting(ztoc, layer));
        let small = size < DEFAULT_MIN_LAYER_SIZE && smallest.is_none_or(|other| size < other);
        let rejected = taken.is_some_and(|soci| soci.rejected.is_some());
        let eager = match (&ztoc, layer_kind(&layer.media_type), taken) {
            (Some(Ztoc { problem: Some(_), .. }), ..) => Some(Eager::BadZtoc),
            (Some(_), ..) => rejected.then_some(Eager::IndexRejected),
            (None, LayerKind::Unsupported(reason), _) => {
                Some(Eager::Unsupported { reason: reason.to_owned() })
            }
            (None, _, None) => Some(Eager::NoIndex),
            (None, _, Some(_)) if small => Some(Eager::Small),
            (None, _, Some(_)) => Some(Eager::NoZtoc),
        };
        let lazy = eager.is_none();
        let (digest, media_type) = (layer.digest, layer.media_type.clone());
        Layer { digest, media_type, size, problem, lazy, eager, ztoc }
    }
}

/// The zTOC, with a problem when it says itself that it is for another blob.
fn fitting(ztoc: &Ztoc, layer: &Descriptor) -> Ztoc {
    let mut ztoc = ztoc.clone();
    if let (Some(head), None) = (&ztoc.head, &ztoc.problem)
        && head.compressed_size != layer.size
    {
        let size = head.compressed_size;
        ztoc.problem = Some(Problem::unusable(format!("it is for a layer of {size} bytes")));
    }
    ztoc
}
