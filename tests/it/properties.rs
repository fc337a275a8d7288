//! What holds for any layout and any settings: a plan foretells the run and touches nothing, a run leaves
//! whole blobs and foreign members alone, a second run changes nothing, an error changes nothing, and what
//! runs did can be taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use soci_layout::event::Silent;
use soci_layout::report::{LayerOutcome, Report};
use soci_layout::{
    Digest, Error, ImageFilter, IndexVersion, Options, RemoveOptions, V1Shape, remove,
};

use crate::context::{Context, text};
use crate::hostile::entry;

const PLATFORMS: [(&str, &str); 3] = [("linux", "amd64"), ("linux", "arm64"), ("windows", "amd64")];
const LAYER_TYPES: [&str; 4] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.in-toto+json",
];
const NAMES: [&str; 4] = ["1.0", "latest", "edge", "sha256-no-digest"];

#[derive(Clone, Debug)]
struct Image {
    platform: usize,
    /// Which of a few layers, and its media type.
    layers: Vec<(u8, usize)>,
    attested: bool,
    /// Indented, as some tools write it.
    pretty: bool,
}

#[derive(Clone, Debug)]
enum Root {
    Image(Image),
    Index(Vec<Image>, Option<Vec<Image>>),
}

fn image() -> impl Strategy<Value = Image> {
    let layers = vec((0..5u8, select(vec![0, 0, 0, 0, 1, 2, 3])), 0..4);
    (0..PLATFORMS.len(), layers, any::<bool>(), any::<bool>()).prop_map(
        |(platform, layers, attested, pretty)| Image { platform, layers, attested, pretty },
    )
}

fn root() -> impl Strategy<Value = Root> {
    prop_oneof![
        image().prop_map(Root::Image),
        (vec(image(), 1..4), option::of(vec(image(), 1..3)))
            .prop_map(|(images, nested)| Root::Index(images, nested)),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    (
        select(vec![IndexVersion::V1, IndexVersion::V2, IndexVersion::Both]),
        select(vec![V1Shape::Nested, V1Shape::Tagged]),
        select(vec![512_u64, 65_536]),
        select(vec![0_u64, 3000]),
        subsequence(vec!["linux/amd64", "linux/arm64"], 0..=2),
        (any::<bool>(), any::<bool>(), any::<bool>(), 1..4_usize),
    )
        .prop_map(
            |(index_version, v1_shape, span_size, min_layer_size, platforms, switches)| {
                with!(
                    Options::default(),
                    index_version,
                    v1_shape,
                    span_size,
                    min_layer_size,
                    images = ImageFilter {
                        platforms: platforms
                            .iter()
                            .map(|platform| platform.parse().unwrap())
                            .collect(),
                        ..ImageFilter::default()
                    },
                    xattr_optimization = switches.0,
                    prune = switches.1,
                    trust_blobs = switches.2,
                    jobs = NonZeroUsize::new(switches.3)
                )
            },
        )
}

/// Writes documents and gives their descriptors.
struct Writer<'a>(&'a Context);

impl Writer<'_> {
    fn put(&self, media_type: &str, bytes: &[u8]) -> Value {
        json!({"mediaType": media_type, "digest": self.0.put(bytes), "size": bytes.len()})
    }

    fn layer(&self, number: u8, media_type: &str) -> Value {
        let mut tar = entry(
            format!("file-{number}").as_bytes(),
            b'0',
            &vec![number; 1500 * usize::from(number)],
        );
        tar.extend([0; 1024]);
        self.put(media_type, &tar)
    }

    /// The image's descriptor, and that of its attestation.
    fn image(&self, image: &Image) -> Vec<Value> {
        let (os, architecture) = PLATFORMS[image.platform];
        let layers: Vec<Value> = image
            .layers
            .iter()
            .map(|(number, kind)| self.layer(*number, LAYER_TYPES[*kind]))
            .collect();
        let config = json!({"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes()),
            "layers": layers,
            "annotations": {"example.com/manifest": "kept"},
        });
        let bytes = if image.pretty { format!("{manifest:#}") } else { manifest.to_string() };
        let mut descriptor = self.put(text(&manifest["mediaType"]), bytes.as_bytes());
        descriptor["platform"] = json!({"os": os, "architecture": architecture});
        descriptor["annotations"] = json!({"example.com/descriptor": "kept"});
        let mut found = vec![descriptor.clone()];
        if image.attested {
            let attestation = json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": self.put("application/vnd.oci.image.config.v1+json", b"{}"),
                "layers": [self.put(LAYER_TYPES[3], b"{}")],
            });
            let mut attestation =
                self.put(text(&attestation["mediaType"]), attestation.to_string().as_bytes());
            attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
            attestation["annotations"] = json!({
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": descriptor["digest"],
            });
            found.push(attestation);
        }
        found
    }

    fn index(&self, manifests: &[Value]) -> Value {
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests,
                           "example.com/index": {"kept": [1, 2.50]}});
        self.put(media_type, index.to_string().as_bytes())
    }

    fn images(&self, images: &[Image]) -> Vec<Value> {
        images.iter().flat_map(|image| self.image(image)).collect()
    }
}

fn layout(roots: &[Root], unnamed: Index) -> Context {
    let context = Context::fixture("single");
    let blobs = context.layout().join("blobs/sha256");
    for blob in std::fs::read_dir(&blobs).unwrap() {
        std::fs::remove_file(blob.unwrap().path()).unwrap();
    }
    let writer = Writer(&context);
    let mut manifests = Vec::new();
    for (number, root) in roots.iter().enumerate() {
        let mut descriptor = match root {
            Root::Image(image) => writer.image(image).remove(0),
            Root::Index(images, nested) => {
                let mut children = writer.images(images);
                children.extend(nested.iter().map(|nested| writer.index(&writer.images(nested))));
                writer.index(&children)
            }
        };
        if number != unnamed.index(roots.len()) {
            descriptor["annotations"]["org.opencontainers.image.ref.name"] = NAMES[number].into();
        }
        descriptor["example.com/root"] = number.into();
        manifests.push(descriptor);
    }
    context.write_index_json(
        &json!({"schemaVersion": 2, "manifests": manifests, "example.com/layout": "kept"})
            .to_string(),
    );
    context
}

fn outcomes(report: &Report) -> BTreeMap<Digest, BTreeSet<&'static str>> {
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for layer in &report.layers {
        let word = match &layer.outcome {
            LayerOutcome::Indexed { .. } | LayerOutcome::Pending => "made",
            LayerOutcome::Reused { .. } => "reused",
            LayerOutcome::Small => "small",
            LayerOutcome::Skipped { .. } => "skipped",
            other => panic!("{other:?}"),
        };
        found.entry(layer.digest).or_default().insert(word);
    }
    found
}

/// Everything that a document leads to is there, whole, with its size; counts what was looked at.
fn check(context: &Context, document: &Value, checked: &mut BTreeSet<String>) {
    for key in ["manifests", "layers", "blobs"] {
        for descriptor in document[key].as_array().into_iter().flatten() {
            check_one(context, descriptor, checked);
        }
    }
    for key in ["config", "subject"] {
        if document[key].is_object() {
            check_one(context, &document[key], checked);
        }
    }
}

fn check_one(context: &Context, descriptor: &Value, checked: &mut BTreeSet<String>) {
    let digest = text(&descriptor["digest"]);
    let bytes = context.blob(digest);
    assert_eq!(descriptor["size"], bytes.len(), "{digest}");
    if checked.insert(digest.to_owned()) && is_document(descriptor) {
        check(context, &serde_json::from_slice(&bytes).unwrap(), checked);
    }
}

/// Whether a descriptor leads to a manifest or an index.
fn is_document(descriptor: &Value) -> bool {
    let media_type = descriptor["mediaType"].as_str().unwrap_or_default();
    descriptor["digest"].is_string()
        && (media_type.ends_with("manifest.v1+json") || media_type.ends_with("index.v1+json"))
}

/// How often each foreign member stands in the documents that `index.json` leads to.
fn foreign(context: &Context) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut todo = vec![context.index_json()];
    while let Some(value) = todo.pop() {
        match value {
            Value::Object(object) => {
                if is_document(&Value::Object(object.clone())) {
                    todo.push(context.json(text(&object["digest"])));
                }
                for (key, value) in object {
                    // What a SOCI index says of its image is about the same documents once more.
                    if key == "subject" {
                        continue;
                    }
                    if key.starts_with("example.com/") {
                        *found.entry(format!("{key}={value}")).or_default() += 1;
                    }
                    todo.push(value);
                }
            }
            Value::Array(values) => todo.extend(values),
            _ => {}
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_layout_under_any_settings(
        roots in vec(root(), 1..4),
        unnamed in any::<Index>(),
        runs in vec(options(), 1..4),
    ) {
        let context = layout(&roots, unnamed);
        let (kept, original) = (foreign(&context), context.index_json());
        for options in &runs {
            let before = context.files();
            let planned = context.index(&with!(options.clone(), dry_run = true));
            prop_assert_eq!(&context.files(), &before, "a plan writes nothing");
            let ran = context.index(options);
            let (planned, ran) = match (planned, ran) {
                (Ok(planned), Ok(ran)) => (planned, ran),
                (_, Err(_)) => {
                    prop_assert_eq!(&context.files(), &before, "an error changes nothing");
                    continue;
                }
                (Err(error), Ok(_)) => panic!("the plan failed and the run did not: {error}"),
            };
            prop_assert_eq!(outcomes(&planned), outcomes(&ran), "the plan foretells the run");
            let mut checked = BTreeSet::new();
            check(&context, &context.index_json(), &mut checked);
            let found = foreign(&context);
            // A root that becomes an index with the image in it has them in both places.
            for (member, count) in &kept {
                let now = found.get(member).copied().unwrap_or_default();
                prop_assert!(now >= *count, "{} is gone", member);
            }
            let after = context.files();
            let again = context.index(options).expect("a second run");
            prop_assert!(!again.changed && again.blobs_written == 0);
            prop_assert_eq!(&context.files(), &after, "a second run changes nothing");
        }
        // And back again.
        match remove(&context.layout(), &RemoveOptions::default(), &Silent) {
            Err(Error::NoImage { .. }) => return Ok(()),
            removed => removed.expect("removed"),
        };
        prop_assert_eq!(foreign(&context), kept, "what was there at first is there, once");
        let mut checked = BTreeSet::new();
        check(&context, &context.index_json(), &mut checked);
        if runs.iter().all(|options| !options.prune) && !ambiguous(&roots) {
            prop_assert_eq!(context.index_json(), original, "the digests are those from before");
        }
        let state = context.files();
        let again = remove(&context.layout(), &RemoveOptions::default(), &Silent).expect("removed");
        prop_assert!(!again.changed && again.images.iter().all(|image| image.removed.is_empty()));
        prop_assert_eq!(&context.files(), &state);
    }
}

/// Whether two images become the same when they are annotated, so that nobody can say which one it was.
fn ambiguous(roots: &[Root]) -> bool {
    let mut forms: BTreeMap<_, BTreeSet<bool>> = BTreeMap::new();
    for root in roots {
        let images: Vec<&Image> = match root {
            Root::Image(image) => vec![image],
            Root::Index(images, nested) => images.iter().chain(nested.iter().flatten()).collect(),
        };
        for image in images {
            forms.entry((image.platform, &image.layers)).or_default().insert(image.pretty);
        }
    }
    forms.values().any(|pretty| pretty.len() > 1)
}

/// Found by the property: after two V2 runs there are two manifests that could be what the present one was
/// made from, and V1 took the one with the lower digest, which still named the first V2 index.
#[test]
fn v1_after_two_v2_runs_restores_the_first_manifest() {
    let image = Image { platform: 0, layers: vec![(1, 0)], attested: false, pretty: false };
    for span_size in [512, 600, 700, 800, 900, 1000, 1100, 1200] {
        let context = layout(
            &[Root::Image(image.clone())],
            any::<Index>().new_tree(&mut TestRunner::default()).unwrap().current(),
        );
        let original = context.index_json()["manifests"][0]["digest"].clone();
        for (index_version, span_size) in [
            (IndexVersion::V2, 65_536),
            (IndexVersion::V2, span_size),
            (IndexVersion::V1, span_size),
        ] {
            let options = with!(Options::default(), index_version, span_size, min_layer_size = 0);
            context.index(&options).unwrap();
            assert!(!context.index(&options).unwrap().changed, "{index_version:?} {span_size}");
        }
        let root = context.json(text(&context.index_json()["manifests"][0]["digest"]));
        assert_eq!(root["manifests"][0]["digest"], original, "span size {span_size}");
    }
}

/// Found by the property: an indented and a compact manifest become the same annotated one; the first run
/// gave it two V1 indexes, the second one.
#[test]
fn two_manifests_that_become_one_get_one_v1_index() {
    let image = |pretty| Image { platform: 0, layers: vec![(3, 1)], attested: false, pretty };
    let unnamed = any::<Index>().new_tree(&mut TestRunner::default()).unwrap().current();
    let context = layout(&[Root::Index(vec![image(false), image(true)], None)], unnamed);
    let options = with!(
        Options::default(),
        index_version = IndexVersion::Both,
        min_layer_size = 0,
        span_size = 512
    );
    context.index(&options).unwrap();
    assert!(!context.index(&options).unwrap().changed);
}
