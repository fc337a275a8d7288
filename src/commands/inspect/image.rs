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
use crate::oci::soci_version::IndexVersion;

/// The distinct images below `roots` that were asked for. Each SOCI index learns which images it belongs
/// to, also those that were not asked for.
pub(super) fn find(
    layout: &Layout,
    roots: &[&Node],
    filter: &ImageFilter,
    soci_indexes: &mut [SociIndex],
    broken: &mut Broken,
) -> Vec<Image> {
    let lookup = Lookup::new(roots, soci_indexes);
    let attestations = attestations(roots);
    let mut images: Vec<Image> = Vec::new();
    let mut places: HashMap<Digest, Option<usize>> = HashMap::new();
    let mut named: HashSet<(usize, &str)> = HashSet::new();
    for root in roots {
        let names: Vec<&str> = root.known().into_iter().flat_map(Descriptor::names).collect();
        root.visit(&mut |node| {
            let (Content::Image(image), Some(descriptor)) = (&node.content, node.known()) else {
                return;
            };
            let place = *places.entry(descriptor.digest).or_insert_with(|| {
                let own = lookup.of(descriptor.digest, image);
                for place in &own {
                    soci_indexes[*place].images.push(descriptor.digest);
                }
                if !filter.wants(&image.platform) {
                    return None;
                }
                let look = ImageReader { layout, digest: descriptor.digest, image };
                let mut image = look.image(&own, soci_indexes, broken);
                image.attestations =
                    attestations.get(&descriptor.digest).cloned().unwrap_or_default();
                images.push(image);
                Some(images.len() - 1)
            });
            let Some(place) = place else { return };
            let new = names.iter().filter(|name| named.insert((place, *name)));
            images[place].names.extend(new.map(|name| (*name).to_owned()));
        });
    }
    images
}

/// The platform's text; `None` when it is not known.
pub(super) fn platform(image: &Found) -> Option<String> {
    (!image.platform.os.is_empty()).then(|| image.platform.to_string())
}

/// Positions of SOCI indexes, for looking them up.
struct Lookup {
    by_digest: HashMap<Digest, usize>,
    /// V1 indexes by the manifests that they refer to.
    by_subject: HashMap<Digest, Vec<usize>>,
}

impl Lookup {
    fn new(roots: &[&Node], soci_indexes: &[SociIndex]) -> Self {
        let places = soci_indexes.iter().enumerate();
        let by_digest: HashMap<Digest, usize> =
            places.map(|(place, soci)| (soci.digest, place)).collect();
        let mut by_subject: HashMap<Digest, Vec<usize>> = HashMap::new();
        let mut seen = HashSet::new();
        for root in roots {
            root.visit(&mut |node| {
                if let (Content::Soci(soci), Some(descriptor)) = (&node.content, node.known())
                    && soci.version == IndexVersion::V1
                    && let (Some(subject), Some(place)) =
                        (soci.subject, by_digest.get(&descriptor.digest))
                    && seen.insert(*place)
                {
                    by_subject.entry(subject).or_default().push(*place);
                }
            });
        }
        Self { by_digest, by_subject }
    }

    /// Positions of an image's SOCI indexes, in the order in which a reader looks for them (`soci-formats`
    /// 7.1): the one that the annotation names, then those that refer to the image.
    fn of(&self, digest: Digest, image: &Found) -> Vec<usize> {
        let named = image.soci_v2.as_ref().and_then(|text| text.parse::<Digest>().ok());
        let mut own: Vec<usize> =
            named.and_then(|named| self.by_digest.get(&named)).copied().into_iter().collect();
        let first = own.first().copied();
        let others = self.by_subject.get(&digest).into_iter().flatten().copied();
        own.extend(others.filter(|place| Some(*place) != first));
        own
    }
}

/// Attestation manifests by their images.
fn attestations(roots: &[&Node]) -> BTreeMap<Digest, Vec<Digest>> {
    let mut found: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for root in roots {
        root.visit(&mut |node| {
            let (Content::Attestation { .. }, Some(descriptor)) = (&node.content, node.known())
            else {
                return;
            };
            let image = descriptor.annotations.get(REFERENCE_DIGEST).and_then(|d| d.parse().ok());
            if let Some(image) = image
                && seen.insert((image, descriptor.digest))
            {
                found.entry(image).or_default().push(descriptor.digest);
            }
        });
    }
    found
}

struct ImageReader<'a> {
    layout: &'a Layout,
    digest: Digest,
    image: &'a Found,
}

impl ImageReader<'_> {
    fn image(&self, own: &[usize], soci_indexes: &[SociIndex], broken: &mut Broken) -> Image {
        let own: Vec<&SociIndex> = own.iter().map(|position| &soci_indexes[*position]).collect();
        let named = self.image.soci_v2.as_ref();
        let lost = named.filter(|text| !own.iter().any(|soci| soci.digest.to_string() == **text));
        // An annotation that leads nowhere ends the search.
        let taken = own.first().copied().filter(|_| lost.is_none());
        let eager = match (taken, lost) {
            (_, Some(_)) => {
                Some("the SOCI index that its manifest names is not in index.json's tree")
            }
            (None, None) => Some("it has no SOCI index"),
            (Some(_), None) => None,
        };
        let eager = eager.map(str::to_owned).or_else(|| {
            let why = taken?.rejected.as_ref()?;
            Some(format!("a reader rejects its SOCI index: {why}"))
        });
        broken.look(self.layout, &self.image.config, "configuration", self.digest);
        let layers: Vec<Layer> = {
            let layers = &self.image.layers;
            // A reader takes the last entry of a layer (`soci-formats` 7.3).
            let ztocs: HashMap<Digest, &Ztoc> = taken
                .iter()
                .flat_map(|soci| &soci.ztocs)
                .filter_map(|ztoc| Some((ztoc.layer?, ztoc)))
                .collect();
            let indexed = layers.iter().filter(|layer| ztocs.contains_key(&layer.digest));
            let smallest = indexed.map(|layer| layer.size).min();
            let one = |layer: &Descriptor| {
                let ztoc = ztocs.get(&layer.digest).copied();
                self.layer(layer, taken, ztoc, smallest, broken)
            };
            layers.iter().map(one).collect()
        };
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
        let usable = ztoc.as_ref().is_some_and(|ztoc| ztoc.problem.is_none());
        let rejected = taken.is_some_and(|soci| soci.rejected.is_some());
        let eager = match (layer_kind(&layer.media_type), &ztoc, taken) {
            (_, Some(_), _) if usable && !rejected => None,
            (_, Some(_), _) if !usable => Some(Eager::BadZtoc),
            (_, Some(_), _) => Some(Eager::IndexRejected),
            (LayerKind::Unsupported(reason), None, _) => {
                Some(Eager::Unsupported { reason: reason.to_owned() })
            }
            (_, None, None) => Some(Eager::NoIndex),
            (_, None, Some(_))
                if size < DEFAULT_MIN_LAYER_SIZE && smallest.is_none_or(|other| size < other) =>
            {
                Some(Eager::Small)
            }
            (_, None, Some(_)) => Some(Eager::NoZtoc),
        };
        let lazy = eager.is_none();
        let Descriptor { digest, .. } = *layer;
        let media_type = layer.media_type.clone();
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
        let reason = format!("it is for a layer of {size} bytes");
        ztoc.problem = Some(Problem::Unusable { reason });
    }
    ztoc
}
