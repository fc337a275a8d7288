//! Layouts as others make them: whoever could choose a platform before `index` can choose it after, finds the
//! same layers, and `remove --prune` gives every byte back.
//!
//! The layouts are thrown with dice: any order of members, white space, nulls, inline `data`, `urls`, Docker's
//! types, entries with and without names and platforms, indexes of one and of several images, nested ones,
//! attestations of both kinds, lists of referrers.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Map, Value, json};
use soci_layout::event::Silent;
use soci_layout::{Error, RemoveOptions, remove, verify};

use crate::context::{Context, named, text};
use crate::hostile::entry;
use crate::shapes::ALL;

const OCI: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar",
];
const DOCKER: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar",
];
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const PLATFORMS: [(&str, &str); 4] =
    [("linux", "amd64"), ("linux", "arm64"), ("windows", "amd64"), ("linux", "riscv64")];

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }

    /// A JSON text of the value, its members in any order and with any white space between them.
    fn write(&mut self, value: &Value) -> String {
        let blank = [" ", "\n  ", "", ""][self.below(4)];
        match value {
            Value::Object(map) => {
                let mut rest: Vec<(&String, &Value)> = map.iter().collect();
                let mut members = Vec::new();
                while !rest.is_empty() {
                    let (name, value) = rest.swap_remove(self.below(rest.len()));
                    members.push(format!("{blank}\"{name}\":{blank}{}", self.write(value)));
                }
                format!("{{{}{blank}}}", members.join(","))
            }
            Value::Array(list) => {
                let list: Vec<String> =
                    list.iter().map(|v| format!("{blank}{}", self.write(v))).collect();
                format!("[{}{blank}]", list.join(","))
            }
            other => other.to_string(),
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in bytes.chunks(3) {
        let word =
            part.iter().fold(0_u32, |word, b| word << 8 | u32::from(*b)) << (8 * (3 - part.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= part.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// Makes one layout.
struct Maker<'a> {
    context: &'a Context,
    dice: Dice,
}

impl Maker<'_> {
    fn put(&self, media_type: &str, bytes: &[u8]) -> Value {
        json!({"mediaType": media_type, "digest": self.context.put(bytes), "size": bytes.len()})
    }

    fn document(&mut self, media_type: &str, value: &Value) -> Value {
        let text = self.dice.write(value);
        let mut descriptor = self.put(media_type, text.as_bytes());
        if self.dice.one_in(4) {
            descriptor["data"] = base64(text.as_bytes()).into();
        }
        if self.dice.one_in(5) {
            descriptor["urls"] = json!(["https://example.com/blob"]);
        }
        for name in ["annotations", "urls", "data", "platform", "artifactType"] {
            if descriptor.get(name).is_none() && self.dice.one_in(8) {
                descriptor[name] = Value::Null;
            }
        }
        descriptor
    }

    fn image(&mut self, platform: usize, with_platform: bool) -> Value {
        let types = if self.dice.one_in(3) { DOCKER } else { OCI };
        let (os, architecture) = PLATFORMS[platform];
        let mut layers = Vec::new();
        for _ in 0..=self.dice.below(2) {
            let number = self.dice.below(6);
            let mut tar = entry(b"file", b'0', &vec![b'a' + u8::try_from(number).unwrap(); 900]);
            tar.extend([0; 1024]);
            layers.push(self.put(types[3], &tar));
        }
        let mut config = json!({"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": layers_of_list(&layers)}});
        if os == "windows" {
            config["os.version"] = "10.0.20348.1".into();
            config["os.features"] = json!(["win32k"]);
        }
        let config = self.put(types[2], config.to_string().as_bytes());
        let mut manifest =
            json!({"schemaVersion": 2, "mediaType": types[1], "config": config, "layers": layers});
        if self.dice.one_in(4) {
            manifest["annotations"] =
                [Value::Null, json!({}), json!({"a": "<b>"})][self.dice.below(3)].clone();
        }
        if self.dice.one_in(6) {
            manifest["artifactType"] = "".into();
        }
        let mut descriptor = self.document(types[1], &manifest);
        if with_platform {
            descriptor["platform"] = json!({"os": os, "architecture": architecture});
            if os == "windows" {
                descriptor["platform"]["os.version"] = "10.0.20348.1".into();
            }
        }
        if self.dice.one_in(4) {
            descriptor["artifactType"] = types[2].into();
        }
        if self.dice.one_in(4) {
            descriptor["annotations"] = json!({"kept": "x"});
        }
        descriptor
    }

    /// `BuildKit`'s, with and without a subject, as an artifact and with an image's configuration.
    fn attestation(&mut self, image: &Value) -> Value {
        let layer = self.put("application/vnd.in-toto+json", b"{\"statement\":1}");
        let config = if self.dice.one_in(2) {
            self.put(OCI[2], br#"{"os":"unknown","architecture":"unknown"}"#)
        } else {
            self.put("application/vnd.oci.empty.v1+json", b"{}")
        };
        let mut manifest =
            json!({"schemaVersion": 2, "mediaType": OCI[1], "config": config, "layers": [layer]});
        if self.dice.one_in(2) {
            manifest["subject"] = json!({"mediaType": image["mediaType"], "digest": image["digest"], "size": image["size"]});
        }
        let mut descriptor = self.document(OCI[1], &manifest);
        descriptor["platform"] = json!({"os": "unknown", "architecture": "unknown"});
        descriptor["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image["digest"]});
        descriptor
    }

    /// Images for several platforms, with what belongs to them.
    fn entries(&mut self, count: usize, with_platform: bool) -> Vec<Value> {
        let mut list = Vec::new();
        for platform in 0..count {
            let image = self.image(platform, with_platform);
            let attestation = self.dice.one_in(3).then(|| self.attestation(&image));
            list.push(image);
            list.extend(attestation);
        }
        list
    }

    fn index(&mut self, depth: usize) -> Value {
        let count = 1 + self.dice.below(3);
        let with_platform = !self.dice.one_in(4);
        let mut manifests = self.entries(count, with_platform);
        if depth == 0 && self.dice.one_in(4) {
            manifests.push(self.index(1));
        }
        let types = if self.dice.one_in(4) { DOCKER } else { OCI };
        let mut index = json!({"schemaVersion": 2, "mediaType": types[0], "manifests": manifests});
        if self.dice.one_in(4) {
            index["annotations"] = json!({"of": "the index"});
        }
        self.document(types[0], &index)
    }

    /// A list of referrers of an image, with an artifact in it.
    fn list(&mut self, image: &Value) -> Value {
        let artifact = json!({"schemaVersion": 2, "mediaType": OCI[1], "artifactType": "text/x",
            "config": self.put("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
            "subject": {"mediaType": image["mediaType"], "digest": image["digest"], "size": image["size"]}});
        let artifact = self.document(OCI[1], &artifact);
        let list = json!({"schemaVersion": 2, "mediaType": OCI[0], "manifests": [artifact]});
        let mut list = self.document(OCI[0], &list);
        list["annotations"] = json!({REF_NAME: text(&image["digest"]).replace(':', "-")});
        list
    }

    /// The whole layout.
    fn layout(&mut self) {
        let roots = if self.dice.one_in(4) {
            // index.json is the image.
            let count = 2 + self.dice.below(3);
            self.entries(count, true)
        } else {
            let mut roots = Vec::new();
            for number in 0..=self.dice.below(3) {
                let platform = self.dice.below(PLATFORMS.len());
                let (kind, with_platform) = (self.dice.below(2), self.dice.one_in(2));
                let mut root =
                    if kind == 0 { self.image(platform, with_platform) } else { self.index(0) };
                let list = (kind == 0 && self.dice.one_in(3)).then(|| self.list(&root));
                if !self.dice.one_in(4) {
                    if !root["annotations"].is_object() {
                        root["annotations"] = Value::Object(Map::new());
                    }
                    root["annotations"][REF_NAME] = format!("v{number}").into();
                }
                roots.push(root);
                roots.extend(list);
            }
            roots
        };
        let mut index = json!({"schemaVersion": 2, "manifests": roots});
        if self.dice.one_in(2) {
            index["mediaType"] = OCI[0].into();
        }
        if self.dice.one_in(3) {
            index["annotations"] = json!({"of": "index.json"});
        }
        let index = self.dice.write(&index);
        self.context.write_index_json(&index);
    }
}

fn empty() -> Context {
    let context = Context::fixture("single");
    for entry in fs::read_dir(context.layout().join("blobs/sha256")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    context
}

fn made(seed: u64) -> Context {
    let context = empty();
    Maker { context: &context, dice: Dice(seed) }.layout();
    context
}

fn contents(context: &Context) -> BTreeMap<String, Vec<u8>> {
    context.files().into_iter().map(|(name, state)| (name, state.content)).collect()
}

fn layers_of(manifest: &Value) -> Vec<Value> {
    layers_of_list(manifest["layers"].as_array().unwrap())
}

/// Plain archives: their digests are their diff IDs.
fn layers_of_list(layers: &[Value]) -> Vec<Value> {
    layers.iter().map(|layer| layer["digest"].clone()).collect()
}

/// What somebody pulls who wants this platform: of the entries of an index the first that says so, as runtimes
/// and push tools choose.
/// An image that nobody said a platform of is one for what its configuration says.
fn choose(
    context: &Context,
    descriptor: &Value,
    wanted: (&str, &str),
    said: bool,
) -> Option<Vec<Value>> {
    let fits = |platform: &Value| {
        (platform["os"].as_str(), platform["architecture"].as_str())
            == (Some(wanted.0), Some(wanted.1))
    };
    let document = context.json(text(&descriptor["digest"]));
    let kind = text(&descriptor["mediaType"]);
    if kind == OCI[0] || kind == DOCKER[0] {
        return of_list(context, &document, wanted);
    }
    let config = &document["config"];
    let image = [OCI[2], DOCKER[2]].contains(&text(&config["mediaType"]));
    if said || (image && fits(&context.json(text(&config["digest"])))) {
        return Some(layers_of(&document));
    }
    None
}

fn of_list(context: &Context, index: &Value, wanted: (&str, &str)) -> Option<Vec<Value>> {
    index["manifests"].as_array().unwrap().iter().find_map(|child| {
        let platform = &child["platform"];
        let said = (platform["os"].as_str(), platform["architecture"].as_str());
        if platform.is_object() && said != (Some(wanted.0), Some(wanted.1)) {
            return None;
        }
        choose(context, child, wanted, platform.is_object())
    })
}

/// All that can be pulled: by entry and platform, and from `index.json` as a whole.
fn pulls(context: &Context) -> BTreeMap<(usize, usize), Vec<Value>> {
    let index = context.index_json();
    let mut found = BTreeMap::new();
    for (number, platform) in PLATFORMS.into_iter().enumerate() {
        for (place, root) in index["manifests"].as_array().unwrap().iter().enumerate() {
            let listed = text(root["annotations"].get(REF_NAME).unwrap_or(&json!("")))
                .starts_with("sha256-");
            if let Some(layers) = choose(context, root, platform, false).filter(|_| !listed) {
                found.insert((place, number), layers);
            }
        }
        if let Some(layers) = of_list(context, &index, platform) {
            found.insert((usize::MAX, number), layers);
        }
    }
    found
}

#[test]
fn whoever_could_pull_can_pull_and_remove_gives_every_byte_back() {
    let (mut indexed, mut pulled) = (0, 0);
    for seed in 0..48 {
        for (index_version, v1_shape) in ALL {
            let what = format!("seed {seed} {index_version:?} {v1_shape:?}");
            let context = made(seed);
            let before = contents(&context);
            let pullable = pulls(&context);
            let options = with!(Context::options(), index_version, v1_shape);
            match context.index(&options) {
                Ok(report) => indexed += usize::from(report.changed),
                Err(Error::NeedsName { .. } | Error::TaggedImageIndex) => {
                    assert_eq!(contents(&context), before, "{what}");
                    continue;
                }
                Err(error) => panic!("{what}: {error}"),
            }
            let after = pulls(&context);
            for (place, layers) in &pullable {
                // An entry of an index.json that is itself the image is pulled by its platform.
                assert_eq!(
                    after.get(place),
                    Some(layers),
                    "{what} {place:?} {}",
                    context.index_json()
                );
                pulled += 1;
            }
            let state = context.files();
            assert!(!context.index(&options).unwrap().changed, "{what}");
            assert_eq!(context.files(), state, "{what}: a second run touches nothing");
            // Sometimes other settings in between.
            if seed % 3 == 0 {
                let _ = context.index(&Context::options());
            }
            let prune = with!(RemoveOptions::default(), prune = true);
            remove(&context.layout(), &prune, &Silent).unwrap_or_else(|e| panic!("{what}: {e}"));
            same(&contents(&context), &before, &what);
        }
    }
    assert!(indexed > 120 && pulled > 300, "{indexed} indexed, {pulled} pulled");
}

/// Compares files; says of the first that differs what stood in it.
fn same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>, what: &str) {
    for name in found.keys().chain(expected.keys()) {
        let text = |files: &BTreeMap<String, Vec<u8>>| {
            files.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        assert_eq!(text(found), text(expected), "{what}: {name}");
    }
}

fn write(context: &Context, roots: &[Value]) {
    context.write_index_json(&json!({"schemaVersion": 2, "manifests": roots}).to_string());
}

#[test]
fn an_index_json_that_is_the_image_keeps_its_entries() {
    let context = empty();
    let mut maker = Maker { context: &context, dice: Dice(7) };
    let images: Vec<Value> = (0..2).map(|platform| maker.image(platform, true)).collect();
    write(&context, &images);
    context.index(&Context::options()).unwrap();
    let index = context.index_json();
    let list = index["manifests"].as_array().unwrap();
    assert_eq!(list.len(), 4);
    for place in 0..2 {
        assert_eq!(list[place]["platform"], images[place]["platform"]);
        assert_eq!(list[place]["mediaType"], OCI[1]);
        let soci = &list[place + 2];
        assert_eq!(soci["artifactType"], "application/vnd.amazon.soci.index.v2+json");
        assert_eq!(soci["platform"], images[place]["platform"]);
        assert_eq!(
            soci["annotations"]["com.amazon.soci.image-manifest-digest"],
            list[place]["digest"]
        );
        assert_eq!(list[place]["annotations"]["com.amazon.soci.index-digest"], soci["digest"]);
    }
    let verified = verify::verify(&context.layout(), &verify::VerifyOptions::default(), &Silent);
    let findings = verified.unwrap().findings;
    assert!(findings.is_empty(), "{findings:?}");
    // Another tool's entries are replaced by other settings, and taken away, like our own.
    forget_originals(&context);
    let again = with!(Context::options(), span_size = 512);
    context.index(&again).unwrap();
    assert_eq!(context.index_json()["manifests"].as_array().unwrap().len(), 4);
    forget_originals(&context);
    remove(&context.layout(), &with!(RemoveOptions::default(), prune = true), &Silent).unwrap();
    let left = context.index_json();
    assert_eq!(left["manifests"].as_array().unwrap().len(), 2);
    assert!(!left.to_string().contains("soci"), "{left}");
}

/// As if another tool had made the index.
fn forget_originals(context: &Context) {
    for (name, content) in contents(context) {
        if content.starts_with(b"{\"mediaType\":\"application/vnd.soci-layout.originals") {
            fs::remove_file(context.layout().join(name)).unwrap();
        }
    }
}

#[test]
fn an_image_without_a_platform_is_left_alone() {
    for (index_version, v1_shape) in ALL {
        let context = Context::fixture("single");
        let mut index = context.index_json();
        let mut manifest = context.json(text(&index["manifests"][0]["digest"]));
        let config = br#"{"os":"","architecture":"","rootfs":{"type":"layers","diff_ids":[]}}"#;
        manifest["config"]["digest"] = context.put(config).into();
        manifest["config"]["size"] = config.len().into();
        let manifest = manifest.to_string();
        index["manifests"][0]["digest"] = context.put(manifest.as_bytes()).into();
        index["manifests"][0]["size"] = manifest.len().into();
        index["manifests"][0].as_object_mut().unwrap().remove("platform");
        context.write_index_json(&index.to_string());
        let before = context.files();
        let report = context.index(&with!(Context::options(), index_version, v1_shape)).unwrap();
        if (index_version, v1_shape) == ALL[2] {
            assert!(report.changed);
            continue;
        }
        assert!(!report.changed && report.images.is_empty());
        assert!(report.warnings[0].contains("no operating system"), "{:?}", report.warnings);
        assert_eq!(context.files(), before);
    }
}

#[test]
fn an_oci_manifest_has_no_docker_types_unless_they_are_to_be_kept() {
    for (layer_types, kept) in
        [(soci_layout::LayerTypes::Oci, false), (soci_layout::LayerTypes::Keep, true)]
    {
        let context = Context::fixture("docker-mediatypes");
        context.index(&with!(Context::options(), layer_types)).unwrap();
        let index = context.json(text(&context.index_json()["manifests"][0]["digest"]));
        let manifest = context.json(text(&index["manifests"][0]["digest"]));
        assert_eq!(manifest.to_string().contains("vnd.docker.image.rootfs"), kept, "{manifest}");
        assert_eq!(manifest["mediaType"], OCI[1]);
        // The SOCI index says of the layers what the manifest says.
        let soci = context.json(text(&index["manifests"][1]["digest"]));
        let said = &soci["layers"][0]["annotations"];
        let layer = manifest["layers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|layer| layer["digest"] == said["com.amazon.soci.image-layer-digest"]);
        assert_eq!(layer.unwrap()["mediaType"], said["com.amazon.soci.image-layer-mediaType"]);
    }
}

#[test]
fn attached_artifacts_that_stay_behind_are_named() {
    let context = empty();
    let mut maker = Maker { context: &context, dice: Dice(3) };
    let mut image = maker.image(0, false);
    image["annotations"] = json!({REF_NAME: "v1"});
    let list = maker.list(&image);
    let mut signature = list.clone();
    let tag = format!("{}.sig", text(&image["digest"]).replace(':', "-"));
    signature["annotations"] = json!({REF_NAME: tag});
    write(&context, &[image, list, signature]);
    let dry = with!(Context::options(), dry_run = true);
    let foreseen = context.index(&dry).unwrap().warnings;
    let warnings = context.index(&Context::options()).unwrap().warnings;
    assert_eq!(foreseen, warnings);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("text/x sha256:") && warnings[1].contains(&tag), "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.contains("make tagged V1 indexes")));
}

#[test]
fn the_platform_of_a_configuration_is_taken_over_with_its_features() {
    let context = empty();
    let mut maker = Maker { context: &context, dice: Dice(5) };
    let mut image = maker.image(2, false);
    image["annotations"] = json!({REF_NAME: "v1"});
    write(&context, &[image]);
    context.index(&Context::options()).unwrap();
    let index = context.json(text(&context.index_json()["manifests"][0]["digest"]));
    let expected = json!({"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1", "os.features": ["win32k"]});
    assert_eq!(index["manifests"][0]["platform"], expected);
    assert_eq!(index["manifests"][1]["platform"], expected);
}

#[test]
fn remove_of_a_layout_without_images_changes_nothing() {
    let context = empty();
    write(&context, &[]);
    let before = context.files();
    assert!(!remove(&context.layout(), &RemoveOptions::default(), &Silent).unwrap().changed);
    assert_eq!(context.files(), before);
}

#[test]
fn a_layout_whose_manifests_are_all_absent_is_incomplete() {
    let context = Context::fixture("multi-attest");
    let root = context.json(text(&context.index_json()["manifests"][0]["digest"]));
    for child in root["manifests"].as_array().unwrap() {
        fs::remove_file(context.blob_path(text(&child["digest"]))).unwrap();
    }
    let error = context.index(&Context::options()).unwrap_err();
    assert!(crate::hints::hint(&error, true).unwrap().contains("incomplete"), "{error}");
}

#[test]
fn what_a_list_of_referrers_names_stays_readable() {
    // In the image index its annotations say that this is an attestation, so nobody looks at its layers.
    let context = Context::fixture("sbom");
    let mut index = context.index_json();
    let mut children = context.json(text(&index["manifests"][0]["digest"]));
    let attestation = &mut children["manifests"][1];
    let mut manifest = context.json(text(&attestation["digest"]));
    manifest["layers"][0]["digest"] = "no digest".into();
    let manifest = manifest.to_string();
    attestation["digest"] = context.put(manifest.as_bytes()).into();
    attestation["size"] = manifest.len().into();
    let children = children.to_string();
    index["manifests"][0]["digest"] = context.put(children.as_bytes()).into();
    index["manifests"][0]["size"] = children.len().into();
    context.write_index_json(&index.to_string());
    let before = contents(&context);
    let (index_version, v1_shape) = ALL[2];
    let options = with!(Context::options(), index_version, v1_shape);
    context.index(&options).unwrap();
    let list = context.index_json()["manifests"][1].clone();
    assert_eq!(context.json(text(&list["digest"]))["manifests"].as_array().unwrap().len(), 2);
    assert!(!context.index(&options).unwrap().changed);
    let prune = with!(RemoveOptions::default(), prune = true);
    remove(&context.layout(), &prune, &Silent).unwrap();
    same(&contents(&context), &before, "listed");
}

#[test]
fn a_name_that_index_gave_goes_with_the_index() {
    for (index_version, v1_shape) in ALL {
        let context = empty();
        let image = Maker { context: &context, dice: Dice(11) }.image(0, false);
        write(&context, &[image]);
        let before = contents(&context);
        let options = with!(Context::options(), index_version, v1_shape, name = Some("n".into()));
        context.index(&options).unwrap();
        assert!(!context.index(&options).unwrap().changed);
        let prune = with!(RemoveOptions::default(), prune = true);
        remove(&context.layout(), &prune, &Silent).unwrap();
        same(&contents(&context), &before, "named");
    }
}

#[test]
fn an_unknown_name_is_answered_with_all_names() {
    let context = Context::fixture("single");
    let mut index = context.index_json();
    index["manifests"][0]["annotations"]["io.containerd.image.name"] =
        "docker.io/library/app:v1".into();
    context.write_index_json(&index.to_string());
    let options = with!(Context::options(), images = named("app:v1"));
    let error = context.index(&options).unwrap_err().to_string();
    assert!(error.contains("docker.io/library/app:v1"), "{error}");
}
