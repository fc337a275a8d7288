//! A run: the tag's documents as a tree, then each image in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::image::Checker;
use super::report::{CHECK_REPORT_VERSION, CheckReport, Mistake};
use crate::commands::doctor::Target;
use crate::commands::index::options::DEFAULT_MIN_LAYER_SIZE;
use crate::commands::verify::{VerifyOptions, verify_registry};
use crate::error::Error;
use crate::layout::select::ImageFilter;
use crate::layout::tree::{self, Content, Node};
use crate::oci::platform::Platform;
use crate::progress::event::{Observer, Outcome};
use crate::progress::steps::Steps;
use crate::registry::{Client, Reference, RegistryOptions, RemoteSource, Repository};
use crate::soci::IMAGE_MANIFEST_DIGEST;

/// What to check.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Who is to load the images; nothing for any consumer.
    pub target: Option<Target>,
    /// Platforms; empty for all.
    pub platforms: Vec<Platform>,
    /// Layers of a type of which no zTOC can be made are a finding from this size on, in bytes.
    pub min_layer_size: u64,
    /// Whether the layers and zTOCs are read and proven, too, as [`verify`](crate::verify) does.
    pub deep: bool,
    /// How the registry is reached.
    pub registry: RegistryOptions,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            target: None,
            platforms: Vec::new(),
            min_layer_size: DEFAULT_MIN_LAYER_SIZE,
            deep: false,
            registry: RegistryOptions::default(),
        }
    }
}

/// Checks an image in a registry. Nothing is written there.
///
/// # Errors
/// [`Error::Registry`] when the registry cannot be asked or has no such tag; [`Error`] for a platform that the image does not
/// have. Everything else that is wrong is a [finding](super::CheckFinding).
pub fn check(
    reference: &Reference,
    options: &CheckOptions,
    observer: &dyn Observer,
) -> Result<CheckReport, Error> {
    let start = Instant::now();
    let steps = Steps::new(observer);
    let client = Client::new(&options.registry, || observer.cancelled())?;
    let repository = Repository::new(&client, reference, false);
    let source = RemoteSource::new(&repository);
    let step = steps.announce(format!("[read] {reference}"), "read", &[]);
    let (fetched, tree) = steps.run(&step, || {
        let fetched = repository.root()?;
        source.keep(&fetched);
        let tree = tree::read_all_from(&source, fetched.as_index())?;
        source.failed()?;
        Ok(((fetched, tree), Outcome::Done))
    })?;
    let filter = ImageFilter { refs: Vec::new(), platforms: options.platforms.clone() };
    let mut checker = Checker {
        source: &source,
        tree: &tree,
        needs_v2: options.target.is_some(),
        min_layer_size: options.min_layer_size,
        platform: String::new(),
        blobs: BTreeMap::new(),
        seen: BTreeSet::new(),
        findings: Vec::new(),
    };
    if let (Some(_), Some(expected)) = (&reference.tag, reference.digest)
        && expected != fetched.digest
    {
        let found = fetched.digest;
        checker.add(Mistake::TagMoved, Some(found), "the tag", expected, found);
    }
    let mut found = Vec::new();
    for root in &tree.roots {
        below(root, None, &mut |node, within| checker.node(node, within, &filter, &mut found));
    }
    let platforms: Vec<&Platform> = found.iter().map(|(_, image)| &image.platform).collect();
    filter.check_platforms(&platforms)?;
    let wanted: Vec<_> = found.iter().filter(|(_, image)| filter.wants(&image.platform)).collect();
    let mut images = Vec::new();
    for (digest, image) in wanted {
        let name = format!("[check] {} {digest}", image.platform);
        let step = steps.announce(name, &digest.to_string(), &[]);
        images.push(steps.run(&step, || Ok((checker.image(*digest, image)?, Outcome::Done)))?);
    }
    if images.is_empty() && checker.findings.is_empty() {
        return Err(Error::NoImage { path: reference.to_string().into() });
    }
    let deep = options.deep.then(|| {
        let registry = options.registry.clone();
        let deep = VerifyOptions { images: filter, registry, ..VerifyOptions::default() };
        verify_registry(reference, &deep, observer)
    });
    let verification = deep.transpose()?;
    Ok(CheckReport {
        version: CHECK_REPORT_VERSION,
        reference: reference.to_string(),
        digest: fetched.digest,
        target: options.target,
        images,
        findings: checker.findings,
        verification,
        seconds: start.elapsed().as_secs_f64(),
    })
}

impl Checker<'_> {
    /// Takes an image of the tree, and tells of a document that cannot be read.
    fn node<'t>(
        &mut self,
        node: &'t Node,
        within: Option<&Node>,
        filter: &ImageFilter,
        found: &mut Vec<(crate::Digest, &'t crate::layout::tree::Image)>,
    ) {
        let Some(descriptor) = node.known() else { return };
        let wanted = match &descriptor.platform {
            Some(platform) => filter.wants(platform),
            None => filter.platforms.is_empty(),
        };
        self.platform = descriptor.platform.as_ref().map(ToString::to_string).unwrap_or_default();
        match &node.content {
            Content::Image(image) if found.iter().all(|(known, _)| *known != descriptor.digest) => {
                found.push((descriptor.digest, image));
            }
            // An image that names an absent SOCI index says so itself.
            Content::Missing if descriptor.annotations.contains_key(IMAGE_MANIFEST_DIGEST) => {}
            Content::Missing if wanted => {
                let index = within.and_then(Node::known).map(|index| index.digest.to_string());
                let place = format!("a manifest in index {}", index.unwrap_or_default());
                let expected = format!("a manifest of {} bytes", descriptor.size);
                let blob = Some(descriptor.digest);
                let mistake = Mistake::ManifestMissing;
                self.add(mistake, blob, &place, expected, "no such manifest");
            }
            Content::Unreadable { problem } if wanted => {
                let blob = Some(descriptor.digest);
                let (place, expected) = ("a manifest", "a document that can be read");
                self.add(Mistake::Unreadable, blob, place, expected, problem);
            }
            _ => {}
        }
    }
}

/// Calls `take` for a node and all below it, each with the index that it stands in.
fn below<'t>(
    node: &'t Node,
    within: Option<&'t Node>,
    take: &mut dyn FnMut(&'t Node, Option<&'t Node>),
) {
    take(node, within);
    if let Content::Index { children, .. } = &node.content {
        for child in children {
            below(child, Some(node), take);
        }
    }
}
