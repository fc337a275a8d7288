//! What `inspect` shows: exact texts, the JSON form, and layouts of which only a part can be read.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use soci_layout::event::Silent;
use soci_layout::inspect::{Content, Eager, InspectOptions, Inspection, Problem, Shape, inspect};
use soci_layout::report::LayerOutcome;
use soci_layout::{Digest, Error, ImageFilter, IndexVersion, V1Shape};

use crate::context::{Context, fixtures, named, text};
use crate::shapes::ALL;
use crate::verify::{indexed, largest_ztoc, replace, soci_index};

/// Runs a command of the real binary.
pub(crate) fn run(command: &str, arguments: &[&dyn AsRef<OsStr>]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_soci-layout"));
    program.arg(command).args(arguments.iter().map(AsRef::as_ref)).env_clear();
    program.output().unwrap()
}

/// Standard output of a run that ended well and said nothing else.
#[track_caller]
pub(crate) fn stdout(output: Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

fn look(context: &Context) -> Inspection {
    let before = context.files();
    let inspection = inspect(&context.layout(), &InspectOptions::default(), &Silent).unwrap();
    assert_eq!(context.files(), before, "nothing is written");
    inspection
}

fn names() -> impl Iterator<Item = String> {
    let entries = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap());
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| fixtures().join(name).join("index.json").exists())
}

fn digest(text: &str) -> Digest {
    text.parse().unwrap()
}

#[test]
fn the_whole_text() {
    let context = Context::fixture("multi-attest");
    let both = with!(Context::options(), index_version = IndexVersion::Both);
    context.index(&with!(both, min_layer_size = 1000)).unwrap();
    let shown = stdout(run("inspect", &[&context.layout()]));
    insta::assert_snapshot!("multi-attest", shown);
    let shown = stdout(run("inspect", &[&fixtures().join("zstd-mixed")]));
    insta::assert_snapshot!("zstd-mixed", shown);
}

#[test]
fn numbers_are_those_of_the_run() {
    for name in names() {
        for (version, shape) in ALL {
            let context = Context::fixture(&name);
            let options = with!(Context::options(), index_version = version, v1_shape = shape);
            let report = context.index(&options).unwrap();
            let found = look(&context);
            let what = format!("{name} {version:?} {shape:?}");
            assert!(found.blobs.broken.is_empty(), "{what}: {:?}", found.blobs.broken);
            assert_eq!(found.images.len(), report.images.len(), "{what}");
            let mut lazy = 0;
            for (image, reported) in found.images.iter().zip(&report.images) {
                assert_eq!(image.digest, reported.after, "{what}");
                let soci = reported.soci_v2.into_iter().chain(reported.soci_v1);
                assert_eq!(image.soci_indexes, soci.collect::<Vec<_>>(), "{what}");
                for layer in &image.layers {
                    let known = report.layers.iter().find(|l| l.digest == layer.digest).unwrap();
                    let LayerOutcome::Indexed { ztoc } = &known.outcome else {
                        assert!(matches!(
                            layer.eager,
                            Some(Eager::Unsupported { .. } | Eager::NoIndex)
                        ));
                        continue;
                    };
                    lazy += 1;
                    let shown = layer.ztoc.as_ref().unwrap();
                    assert!(layer.lazy, "{what}");
                    assert_eq!((shown.digest, shown.size), (ztoc.ztoc, ztoc.ztoc_size), "{what}");
                    let head = shown.head.as_ref().unwrap();
                    let numbers = (head.spans, head.files, head.uncompressed_size, head.span_size);
                    let expected = (ztoc.spans, ztoc.files, ztoc.uncompressed_size, 65536);
                    assert_eq!(numbers, expected, "{what}");
                    assert_eq!(head.compressed_size, layer.size, "{what}");
                }
                assert_eq!(
                    image.lazy.layers,
                    image.layers.iter().filter(|layer| layer.lazy).count() as u64
                );
            }
            assert!(lazy > 0 || name == "zstd", "{what}");
            for soci in &found.soci_indexes {
                assert!(!soci.images.is_empty() && soci.rejected.is_none(), "{what}");
                let tagged = version != IndexVersion::V2 && shape == V1Shape::Tagged;
                assert!(soci.shapes == [Shape::Nested] || tagged, "{what}: {:?}", soci.shapes);
            }
            // Every blob is counted once.
            let blobs = fs::read_dir(context.layout().join("blobs/sha256")).unwrap().count() as u64;
            let unreferenced = found.blobs.unreferenced.len() as u64;
            assert_eq!(found.blobs.referenced + unreferenced, blobs, "{what}");
        }
    }
}

#[test]
fn attestations_belong_to_images() {
    for name in ["multi-attest", "multi-attest-legacy", "sbom"] {
        let context = indexed(name, IndexVersion::V2);
        let found = look(&context);
        for image in &found.images {
            assert_eq!(image.attestations.len(), 1, "{name}");
        }
        let Content::Index { entries } = &found.roots[0].content else { panic!("an index") };
        let all_belong = entries
            .iter()
            .all(|e| !matches!(e.content, Content::Attestation { belongs: false, .. }));
        assert!(all_belong, "{name}");
    }
}

#[test]
fn json_is_one_document_and_names_are_escaped() {
    let context = Context::fixture("single");
    let mut index = context.index_json();
    index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] =
        "v1\u{1b}[31m\u{202e}x".into();
    context.write_index_json(&index.to_string());
    let json = stdout(run("inspect", &[&context.layout(), &"--json"]));
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["version"], 1);
    assert_eq!(value["roots"][0]["names"][0], "v1\u{1b}[31m\u{202e}x");
    assert_eq!(value["images"][0]["layers"][0]["eager"]["cause"], "no-index");
    let shown = stdout(run("inspect", &[&context.layout(), &"-v"]));
    for output in [json, shown] {
        assert!(!output.contains('\u{1b}') && !output.contains('\u{202e}'), "{output}");
    }
}

#[test]
fn names_and_platforms_narrow() {
    let context = indexed("appended", IndexVersion::V2);
    let look = |refs: &[&str], platforms: &[&str]| {
        let options = with!(
            InspectOptions::default(),
            images = ImageFilter {
                refs: refs.iter().map(|name| (*name).to_owned()).collect(),
                platforms: platforms.iter().map(|platform| platform.parse().unwrap()).collect(),
            }
        );
        inspect(&context.layout(), &options, &Silent)
    };
    let sizes =
        |found: &Inspection| (found.roots.len(), found.images.len(), found.soci_indexes.len());
    assert_eq!(sizes(&look(&[], &[]).unwrap()), (3, 3, 3));
    assert_eq!(sizes(&look(&["v1"], &[]).unwrap()), (1, 2, 2));
    // The other name of that image comes along.
    assert_eq!(sizes(&look(&["v2"], &[]).unwrap()), (2, 1, 1));
    assert_eq!(sizes(&look(&["v1"], &["linux/arm64"]).unwrap()), (1, 1, 1));
    let error = look(&["v7"], &[]).unwrap_err();
    assert!(matches!(error, Error::NoSuchRef { .. }) && error.to_string().contains("latest"));
    assert!(matches!(look(&[], &["linux/s390x"]), Err(Error::NoSuchPlatform { .. })));
    let failed = run("inspect", &[&context.layout(), &"--ref", &"v7"]);
    assert_eq!(failed.status.code(), Some(1));
}

#[test]
fn what_is_missing_or_damaged_is_shown_beside_the_rest() {
    let image = |context: &Context| {
        let root = context.json(text(&context.index_json()["manifests"][0]["digest"]));
        let digest = text(&root["manifests"][0]["digest"]).to_owned();
        let manifest = context.json(&digest);
        (digest, manifest)
    };
    let broken = |context: &Context, blob: &str| {
        let found = look(context);
        let shown = stdout(run("inspect", &[&context.layout()]));
        assert!(shown.contains("blobs  ") && shown.contains("linux/"), "{shown}");
        let list = found.blobs.broken.iter().filter(|broken| broken.digest == digest(blob));
        let problems: Vec<_> = list.map(|broken| broken.problem.clone()).collect();
        assert_eq!(problems.len(), 1, "{blob}: {:?}", found.blobs.broken);
        (found, problems[0].clone())
    };

    let context = indexed("single", IndexVersion::V2);
    let (_, manifest) = image(&context);
    let layer = text(&manifest["layers"][0]["digest"]).to_owned();
    fs::remove_file(context.blob_path(&layer)).unwrap();
    let (found, problem) = broken(&context, &layer);
    assert_eq!(problem, Problem::Missing);
    assert_eq!(found.images[0].layers[0].problem, Some(Problem::Missing));
    assert!(found.images[0].layers[0].lazy, "a reader fetches it from elsewhere");

    // A reader fetches all zTOCs, and without one of them takes none.
    let context = indexed("single", IndexVersion::V2);
    let ztoc = largest_ztoc(&context);
    fs::remove_file(context.blob_path(&ztoc)).unwrap();
    let (found, problem) = broken(&context, &ztoc);
    assert_eq!(problem, Problem::Missing);
    assert_eq!(found.images[0].lazy.layers, 0);
    assert!(found.images[0].eager.as_ref().unwrap().contains("is missing"));
    let causes: Vec<_> = found.images[0].layers.iter().map(|l| l.eager.clone().unwrap()).collect();
    assert!(causes.contains(&Eager::BadZtoc) && causes.contains(&Eager::IndexRejected));

    // One that is no zTOC is fetched, and then its layer is not lazy.
    let context = indexed("single", IndexVersion::V2);
    let ztoc = largest_ztoc(&context);
    replace(&context, &ztoc, b"no zTOC at all");
    let found = look(&context);
    assert_eq!((found.images[0].lazy.layers, found.images[0].lazy.of_layers), (3, 4));
    let Problem::Unusable { reason } = &found.blobs.broken[0].problem else { panic!("{found:?}") };
    assert!(reason.contains("it is no zTOC"), "{reason}");

    // Another one's zTOC.
    let context = indexed("single", IndexVersion::V2);
    let (index, document) = soci_index(&context);
    let value: Value = serde_json::from_str(&document).unwrap();
    let layer_of = |number: usize| {
        text(&value["layers"][number]["annotations"]["com.amazon.soci.image-layer-digest"])
    };
    let (a, b) = (layer_of(0), layer_of(1));
    let swapped = document.replace(a, "\0").replace(b, a).replace('\0', b);
    replace(&context, &index, swapped.as_bytes());
    let found = look(&context);
    assert_eq!(found.images[0].lazy.layers, 2);
    assert_eq!(found.images[0].layers[0].eager, Some(Eager::BadZtoc));

    let context = indexed("multi-attest", IndexVersion::V2);
    let (digest, manifest) = image(&context);
    let config = text(&manifest["config"]["digest"]).to_owned();
    fs::remove_file(context.blob_path(&config)).unwrap();
    assert_eq!(broken(&context, &config).1, Problem::Missing);
    fs::remove_file(context.blob_path(&digest)).unwrap();
    let (found, problem) = broken(&context, &digest);
    assert_eq!((found.images.len(), problem), (1, Problem::Missing));
    // Its SOCI index is still there, and belongs to nothing.
    assert!(found.soci_indexes[0].images.is_empty());
    let shown = stdout(run("inspect", &[&context.layout()]));
    assert!(shown.contains("belongs to no image"), "{shown}");
    fs::write(context.blob_path(&digest), "{").unwrap();
    let found = look(&context);
    let Problem::Unusable { reason } = &found.blobs.broken[0].problem else { panic!("{found:?}") };
    assert!(reason.contains("size"), "{reason}");
}

#[test]
fn a_text_that_its_reader_does_not_take() {
    let context = indexed("single", IndexVersion::V2);
    let (index, document) = soci_index(&context);
    replace(&context, &index, format!("{document}\n").as_bytes());
    let image = &look(&context).images[0];
    assert!(image.eager.as_ref().unwrap().contains("JSON text"), "{:?}", image.eager);
    assert_eq!((image.lazy.layers, image.lazy.of_layers), (0, 4));
}

#[test]
fn prefetch_artifacts() {
    let context = indexed("single", IndexVersion::V2);
    let (index, document) = soci_index(&context);
    let artifact = br#"{"version":"1.0","prefetch_spans":[{"start_span":0,"end_span":3},{"start_span":7,"end_span":7}]}"#;
    let mut value: Value = serde_json::from_str(&document).unwrap();
    let layer = value["layers"][1]["annotations"]["com.amazon.soci.image-layer-digest"].clone();
    let entry = json!({"mediaType": "application/vnd.amazon.soci.prefetch.v1+json",
        "digest": context.put(artifact), "size": artifact.len(),
        "annotations": {"com.amazon.soci.image-layer-digest": layer}});
    value["layers"].as_array_mut().unwrap().push(entry);
    // serde_json sorts members; the reader's order is put back.
    let list = value["layers"].as_array().unwrap();
    let added = list.last().unwrap();
    let text_of = |name: &str| added[name].to_string();
    let added = format!(
        "{{\"mediaType\":{},\"digest\":{},\"size\":{},\"annotations\":{}}}",
        text_of("mediaType"),
        text_of("digest"),
        text_of("size"),
        text_of("annotations")
    );
    let changed =
        document.replacen("}}],\"annotations\"", &format!("}}}},{added}],\"annotations\""), 1);
    assert_ne!(changed, document);
    replace(&context, &index, changed.as_bytes());
    let found = look(&context);
    let soci = &found.soci_indexes[0];
    assert_eq!(soci.rejected, None);
    assert_eq!(soci.prefetch.len(), 1);
    assert_eq!(soci.prefetch[0].spans, [(0, 3), (7, 7)]);
    assert_eq!(soci.prefetch[0].layer, Some(digest(text(&layer))));
    let shown = stdout(run("inspect", &[&context.layout()]));
    assert!(shown.contains("5 spans (0-3, 7) of layer 2"), "{shown}");
    let file = context.blob_path(&Digest::of(artifact).to_string());
    fs::write(&file, [artifact, &b"\n"[..]].concat()).unwrap();
    let found = look(&context);
    let longer = Problem::Size { found: artifact.len() as u64 + 1 };
    assert_eq!(found.soci_indexes[0].prefetch[0].problem, Some(longer));
    assert!(found.images[0].eager.is_some());
    fs::remove_file(file).unwrap();
    let found = look(&context);
    assert_eq!(found.soci_indexes[0].prefetch[0].problem, Some(Problem::Missing));
    assert!(found.images[0].eager.is_some());
}

#[test]
fn lists_of_referrers_without_their_image() {
    let context = Context::fixture("single");
    let tagged =
        with!(Context::options(), index_version = IndexVersion::V1, v1_shape = V1Shape::Tagged);
    context.index(&tagged).unwrap();
    let found = look(&context);
    assert_eq!(found.soci_indexes[0].shapes, [Shape::Tagged]);
    assert_eq!(found.images[0].lazy.layers, 4);
    // By name, the list comes along.
    let options = with!(InspectOptions::default(), images = named("v1"));
    assert_eq!(inspect(&context.layout(), &options, &Silent).unwrap().roots.len(), 2);
    let mut index = context.index_json();
    index["manifests"].as_array_mut().unwrap().remove(0);
    context.write_index_json(&index.to_string());
    let found = look(&context);
    assert!(found.images.is_empty() && found.soci_indexes[0].images.is_empty());
    let shown = stdout(run("inspect", &[&context.layout()]));
    assert!(shown.contains("SOCI v1") && shown.contains("belongs to no image"), "{shown}");
}

/// Any byte of `index.json` or of an index or manifest changed: an error for `index.json` itself, a view
/// of the rest for everything else, and never a panic.
#[test]
fn damaged_documents() {
    let context = indexed("multi-attest", IndexVersion::Both);
    let index = context.index_json().to_string();
    let (mut errors, mut views) = (0, 0);
    for position in (0..index.len()).step_by(3) {
        for change in [1_u8, 0x20, 0x80] {
            let mut bytes = index.clone().into_bytes();
            bytes[position] ^= change;
            fs::write(context.layout().join("index.json"), bytes).unwrap();
            match inspect(&context.layout(), &InspectOptions::default(), &Silent) {
                Ok(_) => views += 1,
                Err(_) => errors += 1,
            }
        }
    }
    assert!(errors > 50 && views > 50, "{errors} {views}");
    context.write_index_json(&index);
    // With the digests above made right, so that the change is seen by more than its digest.
    let root = text(&context.index_json()["manifests"][0]["digest"]).to_owned();
    let document = String::from_utf8(context.blob(&root)).unwrap();
    for position in (0..document.len()).step_by(17) {
        let mut bytes = document.clone().into_bytes();
        bytes[position] ^= 1;
        let entry = json!({"mediaType": "application/vnd.oci.image.index.v1+json",
            "digest": context.put(&bytes), "size": bytes.len()});
        context.write_index_json(&json!({"manifests": [entry]}).to_string());
        look(&context);
    }
}

#[test]
fn hostile_layouts_end_soon() {
    let start = Instant::now();
    // Indexes in indexes, deeper than is followed.
    let context = Context::fixture("single");
    let mut child = context.index_json()["manifests"][0].clone();
    for _ in 0..100 {
        let document = json!({"schemaVersion": 2, "manifests": [child]}).to_string();
        let digest = context.put(document.as_bytes());
        child = json!({"mediaType": "application/vnd.oci.image.index.v1+json",
            "digest": digest, "size": document.len()});
    }
    context.write_index_json(&json!({"manifests": [child]}).to_string());
    let found = look(&context);
    let Problem::Unusable { reason } = &found.blobs.broken[0].problem else { panic!("{found:?}") };
    assert!(reason.contains("nesting"), "{reason}");

    // The same damaged document of 4 MiB named a thousand times is not read a thousand times.
    let context = Context::fixture("single");
    let wrong = Digest::of(b"another").to_string();
    fs::write(context.blob_path(&wrong), vec![b' '; 4 << 20]).unwrap();
    let entry = json!({"mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": wrong, "size": 4 << 20});
    context.write_index_json(&json!({"manifests": vec![entry; 1000]}).to_string());
    let found = look(&context);
    assert_eq!(found.roots.len(), 1000);
    assert!(found.roots.iter().all(|r| matches!(r.content, Content::Unreadable { .. })));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}
