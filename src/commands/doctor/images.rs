//! What keeps an image as a whole from starting lazily.

use super::case::{Case, Prospect};
use super::findings::Findings;
use super::layers;
use super::remedy::{OCI_TYPES, SPLIT, WORTHWHILE};
use super::report::{Kind, Place, Target};
use crate::commands::inspect::{Image, Layer, SociVersion};
use crate::oci::media_type::oci_layer_type;

/// Percent of an image that make a layer hardly less than the whole.
const NEARLY_ALL: u128 = 90;

/// The place of an image.
pub(super) fn place(image: &Image) -> Place {
    let (names, platform) = (image.names.clone(), image.platform.clone());
    Place { names, platform, image: Some(image.digest), layer: None, blob: None }
}

/// Examines an image with its layers.
pub(super) fn examine(case: &Case<'_>, image: &Image, findings: &mut Findings) {
    let prospects: Vec<Prospect> =
        image.layers.iter().map(|layer| Prospect::of(case, layer)).collect();
    platform(image, findings);
    types(case, image, findings);
    index(case, image, &prospects, findings);
    sizes(image, findings);
    let all_small = !prospects.is_empty() && prospects.iter().all(|p| *p == Prospect::Small);
    for ((number, layer), prospect) in (1..).zip(&image.layers).zip(&prospects) {
        let place = Place { layer: Some(number), blob: Some(layer.digest), ..place(image) };
        layers::examine(case, layer, (*prospect, all_small), place, findings);
    }
}

fn platform(image: &Image, findings: &mut Findings) {
    let known = image.platform.as_deref().and_then(|text| text.split_once('/'));
    match known {
        Some((os, architecture)) if !os.is_empty() && !architecture.is_empty() => {
            if os != "linux" {
                let sentence = format!("lazy loading is there for Linux, and this image is for {os}");
                let remedy = "build the image for Linux";
                findings.add(Kind::NotLinux, place(image), sentence, remedy);
            }
        }
        _ => findings.add(
            Kind::UnknownPlatform,
            place(image),
            "it names no operating system or no architecture, so no client can choose it from an image index",
            "set its platform: `crane mutate --set-platform linux/amd64`",
        ),
    }
}

/// Docker's types in the manifest's descriptor or in its layers.
fn types(case: &Case<'_>, image: &Image, findings: &mut Findings) {
    let docker = |layer: &Layer| oci_layer_type(&layer.media_type) != layer.media_type;
    let sentence = match (case.docker.contains(&image.digest), image.layers.iter().any(docker)) {
        (true, _) => {
            "it has Docker's media types: a V2 index turns it into an OCI image, and some tools do not take the mixture"
        }
        (false, true) => {
            "it is an OCI manifest with layers of Docker's media types, which some tools do not take"
        }
        (false, false) => return,
    };
    findings.add(Kind::DockerTypes, place(image), sentence, OCI_TYPES);
}

fn index(case: &Case<'_>, image: &Image, prospects: &[Prospect], findings: &mut Findings) {
    let count = |wanted: Prospect| prospects.iter().filter(|p| **p == wanted).count();
    let anew = case.commands.index("");
    if let Some(lost) = &image.lost_soci_index {
        let sentence = format!(
            "its manifest names the SOCI index {lost}, to which nothing in the layout leads"
        );
        return findings.add(Kind::LostIndex, place(image), sentence, anew);
    }
    let indexes = &case.inspection.soci_indexes;
    let own: Vec<_> = image
        .soci_indexes
        .iter()
        .filter_map(|digest| indexes.iter().find(|soci| soci.digest == *digest))
        .collect();
    let Some(first) = own.first() else {
        let (possible, all) = (count(Prospect::Possible), prospects.len());
        if possible > 0 {
            let sentence =
                format!("it has no SOCI index; {possible} of its {all} layers could load lazily");
            findings.add(Kind::NotIndexed, place(image), sentence, anew);
        } else if all > 0 && count(Prospect::Small) == all {
            let limit = case.min_layer_size;
            let sentence = format!(
                "each of its layers is below the minimum size of {limit} bytes, so none would load lazily"
            );
            let remedy = case.commands.index_all();
            findings.add(Kind::SmallLayers, place(image), sentence, remedy);
        }
        return;
    };
    if let Some(why) = &first.rejected {
        let sentence = format!("no reader takes its SOCI index: {why}");
        findings.add(Kind::RejectedIndex, place(image), sentence, anew.clone());
    }
    if own.iter().all(|soci| soci.soci_version == SociVersion::V1) {
        findings.add(Kind::V1Only, place(image), v1_only(findings.target()), anew);
    }
}

fn v1_only(target: Option<Target>) -> &'static str {
    match target {
        Some(Target::Fargate) => {
            "it has a V1 index only, and Fargate takes V2 only from those who are new to SOCI"
        }
        Some(_) => {
            "it has a V1 index only, which the snapshotter takes only with `enable = true` in its [pull_modes.soci_v1]"
        }
        None => {
            "it has a V1 index only: Fargate takes V2 only from those who are new to SOCI, and the snapshotter has V1 turned off"
        }
    }
}

fn sizes(image: &Image, findings: &mut Findings) {
    let all = image.lazy.of_bytes;
    if all < WORTHWHILE {
        let sentence = format!(
            "its layers have {all} bytes; AWS advises lazy loading from 250 MiB on, below that pulling it whole may be as fast"
        );
        let remedy = "measure a start with and without the index before you rely on it";
        findings.add(Kind::SmallImage, place(image), sentence, remedy);
        return;
    }
    let largest = (1..).zip(&image.layers).max_by_key(|(_, layer)| layer.size);
    let Some((number, layer)) = largest else { return };
    let percent = u128::from(layer.size) * 100 / u128::from(all.max(1));
    if percent >= NEARLY_ALL {
        let place = Place { layer: Some(number), blob: Some(layer.digest), ..place(image) };
        let sentence = format!(
            "{percent} % of the image are in this layer: a single file that no zTOC can hold makes all of it eager, and any \
             change means scanning and pulling all of it anew"
        );
        findings.add(Kind::OneLargeLayer, place, sentence, SPLIT);
    }
}
