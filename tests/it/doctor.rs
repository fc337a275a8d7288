//! `doctor`: one test for each thing that it finds, and that it finds nothing in a good layout.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use soci_layout::doctor::{DoctorOptions, Finding, Kind, Target, WORTHWHILE, doctor};
use soci_layout::event::Silent;
use soci_layout::{Digest, IndexVersion, LayerTypes, Options, V1Shape};

use crate::context::{Context, fixtures, text};
use crate::inspect::{run, stdout};
use crate::verify::{indexed, largest_ztoc, replace, soci_index};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Everything is small here; only Fargate would mind.
fn examine(context: &Context) -> Vec<Finding> {
    let target = Some(Target::Containerd);
    examine_with(context, &with!(DoctorOptions::default(), min_layer_size = 0, target))
}

fn examine_with(context: &Context, options: &DoctorOptions) -> Vec<Finding> {
    let before = context.files();
    let diagnosis = doctor(&context.layout(), options, &Silent).unwrap();
    assert_eq!(context.files(), before, "nothing is written");
    for finding in &diagnosis.findings {
        assert!(!finding.sentence.is_empty() && !finding.remedy.is_empty(), "{finding:?}");
    }
    diagnosis.findings
}

fn kinds(findings: &[Finding]) -> Vec<Kind> {
    findings.iter().map(|finding| finding.kind).collect()
}

/// Findings of all kinds that are expected, in their order; gives back the first.
#[track_caller]
fn only(findings: &[Finding], expected: &[Kind]) -> Finding {
    assert_eq!(kinds(findings), expected, "{findings:#?}");
    findings[0].clone()
}

/// Changes the manifest of the first root, which is one image.
fn edit(context: &Context, change: impl FnOnce(&mut Value)) {
    let digest = text(&context.index_json()["manifests"][0]["digest"]).to_owned();
    let mut manifest = context.json(&digest);
    change(&mut manifest);
    replace(context, &digest, manifest.to_string().as_bytes());
}

/// Changes the first entry of `index.json`.
fn edit_root(context: &Context, change: impl FnOnce(&mut Value)) {
    let mut index = context.index_json();
    change(&mut index["manifests"][0]);
    context.write_index_json(&index.to_string());
}

fn root(context: &Context) -> Digest {
    text(&context.index_json()["manifests"][0]["digest"]).parse().unwrap()
}

#[test]
fn a_good_layout_has_no_findings() {
    for name in ["single", "multi-attest", "two-names-multi", "appended", "estargz", "sbom"] {
        let context = indexed(name, IndexVersion::V2);
        assert_eq!(examine(&context), [], "{name}");
    }
    let shown = stdout(run(
        "doctor",
        &[&indexed("single", IndexVersion::V2).layout(), &"--for", &"containerd"],
    ));
    assert!(
        shown.starts_with("linux/amd64 of v1, example.com/app:v1: 4 of 4 layers load lazily"),
        "{shown}"
    );
    let (findings, _) = shown.split_once("note: ").unwrap();
    assert!(findings.ends_with("\nno findings\n"), "{shown}");
}

#[test]
fn an_export_is_not_indexed() {
    let context = Context::fixture("multi-attest");
    let first = only(&examine(&context), &[Kind::NotIndexed; 2]);
    assert_eq!(first.place.platform.as_deref(), Some("linux/amd64"));
    assert!(first.sentence.contains("3 of its 3 layers"), "{first:?}");
    let command = format!("`soci-layout index --min-layer-size 0 {}`", context.layout().display());
    assert_eq!(first.remedy, command);
    follow(&first.remedy);
    assert_eq!(examine(&context), []);
}

/// Runs a remedy that is a command.
fn follow(remedy: &str) {
    let line = remedy.trim_matches('`').strip_prefix("soci-layout ").unwrap();
    let mut words = line.split(' ');
    let command = words.next().unwrap();
    let arguments: Vec<&str> = words.collect();
    let arguments: Vec<&dyn AsRef<std::ffi::OsStr>> = arguments.iter().map(|w| w as _).collect();
    assert_eq!(run(command, &arguments).status.code(), Some(0), "{remedy}");
}

#[test]
fn small_layers_make_no_index() {
    let context = Context::fixture("single");
    let options = with!(DoctorOptions::default(), target = Some(Target::Eks));
    let first = only(&examine_with(&context, &options), &[Kind::SmallLayers]);
    follow(&first.remedy);
    assert_eq!(examine(&context), []);
    // What is in the way after that is said at once.
    let context = Context::fixture("zstd");
    let found = kinds(&examine_with(&context, &options));
    assert_eq!(found[0], Kind::SmallLayers);
    assert!(
        found[1..].iter().all(|kind| *kind == Kind::ZstdLayer) && found.len() == 5,
        "{found:?}"
    );
}

#[test]
fn small_images_are_told_where_fargate_could_start_them() {
    let context = indexed("single", IndexVersion::V2);
    for (target, told) in [
        (None, true),
        (Some(Target::Fargate), true),
        (Some(Target::Eks), false),
        (Some(Target::Containerd), false),
    ] {
        let found = examine_with(&context, &with!(DoctorOptions::default(), target));
        assert_eq!(kinds(&found), [Kind::SmallImage][..usize::from(told)], "{target:?}");
    }
}

#[test]
fn volumes_are_named_as_what_no_layout_tells() {
    let context = indexed("single", IndexVersion::V2);
    for (target, part) in [
        (Target::Fargate, "private ECR"),
        (Target::Eks, "snapshotter"),
        (Target::Containerd, "snapshotter"),
    ] {
        let options = with!(DoctorOptions::default(), target = Some(target));
        let unseen = doctor(&context.layout(), &options, &Silent).unwrap().unseen.unwrap();
        assert!(unseen.contains(part) && unseen.contains("EFS"), "{unseen}");
        let page = unseen.rsplit_once('(').unwrap().1.trim_end_matches(')');
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(page).exists(), "{page}");
    }
    let shown = stdout(run("doctor", &[&context.layout(), &"--for", &"fargate"]));
    assert!(shown.lines().last().unwrap().starts_with("note: a layout does not tell"), "{shown}");
    let shown = stdout(run("doctor", &[&context.layout()]));
    assert!(!shown.contains("note:"), "{shown}");
}

#[test]
fn zstd_layers_are_told_with_the_options_of_the_build() {
    let context = Context::fixture("zstd-mixed");
    let found = examine(&context);
    assert_eq!(kinds(&found), [Kind::NotIndexed, Kind::ZstdLayer, Kind::ZstdLayer]);
    assert_eq!(found[1].place.layer, Some(2));
    assert!(found[1].remedy.contains("compression=gzip,force-compression=true"), "{found:?}");
    context.index(&Context::options()).unwrap();
    only(&examine(&context), &[Kind::ZstdLayer; 2]);
}

#[test]
fn encrypted_and_unknown_layers() {
    for (media_type, kind) in [
        (format!("{GZIP}+encrypted"), Kind::EncryptedLayer),
        (GZIP.replace("gzip", "xz"), Kind::UnsupportedLayer),
    ] {
        let context = Context::fixture("single");
        edit(&context, |manifest| manifest["layers"][0]["mediaType"] = media_type.into());
        let found = examine(&context);
        assert_eq!(kinds(&found), [Kind::NotIndexed, kind], "{found:?}");
        assert_eq!(found[1].place.layer, Some(1));
    }
}

/// What the first part of a layer shows.
#[test]
fn mislabelled_and_unreadable_layers() {
    let mislabelled = fs::read(fixtures().join("uncompressed/blobs/sha256").join({
        let layout = Context::fixture("uncompressed");
        let manifest = layout.json(&root(&layout).to_string());
        text(&manifest["layers"][1]["digest"])["sha256:".len()..].to_owned()
    }))
    .unwrap();
    for (bytes, kind, part) in [
        (mislabelled, Kind::UnsupportedLayer, "compression=gzip"),
        (vec![7; 4096], Kind::EagerLayer, "anew"),
    ] {
        let context = Context::fixture("single");
        context.replace_layer(1, &bytes);
        let found = examine(&context);
        assert_eq!(kinds(&found), [Kind::NotIndexed, kind], "{found:?}");
        assert_eq!(found[1].place.layer, Some(2));
        assert!(found[1].remedy.contains(part), "{found:?}");
    }
}

#[test]
fn one_large_layer_is_told() {
    let context = Context::fixture("single");
    let (size, digest) = (WORTHWHILE + 1, Digest::of(b"as large as a model"));
    let file = fs::File::create(context.blob_path(&digest.to_string())).unwrap();
    file.set_len(size).unwrap();
    edit(&context, |manifest| {
        manifest["layers"][0]["digest"] = digest.to_string().into();
        manifest["layers"][0]["size"] = size.into();
        manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar".into();
    });
    let options = with!(DoctorOptions::default(), target = Some(Target::Fargate));
    let found = doctor(&context.layout(), &options, &Silent).unwrap().findings;
    let large = found.iter().find(|finding| finding.kind == Kind::OneLargeLayer).unwrap();
    assert_eq!((large.place.layer, large.place.blob), (Some(1), Some(digest)));
    assert!(large.remedy.contains("a COPY or RUN for each"), "{large:?}");
    assert!(!kinds(&found).contains(&Kind::SmallImage), "{found:?}");
}

#[test]
fn layers_without_a_ztoc_and_with_a_bad_one() {
    let context = Context::fixture("single");
    context.index(&with!(Context::options(), min_layer_size = 100_000)).unwrap();
    let first = only(&examine(&context), &[Kind::NoZtoc; 3]);
    assert_eq!(first.place.layer, Some(2));

    let context = indexed("single", IndexVersion::V2);
    let ztoc = largest_ztoc(&context);
    let size = context.blob(&ztoc).len();
    replace(&context, &ztoc, &vec![b'x'; size]);
    let first = only(&examine(&context), &[Kind::BadZtoc]);
    assert_eq!(first.place.layer, Some(1));
}

#[test]
fn an_index_that_is_lost_or_rejected() {
    let context = indexed("single", IndexVersion::V2);
    fs::remove_file(context.blob_path(&largest_ztoc(&context))).unwrap();
    let found = examine(&context);
    assert_eq!(found[0].kind, Kind::RejectedIndex, "{found:?}");

    let context = indexed("single", IndexVersion::V2);
    let list = root(&context).to_string();
    let mut index = context.json(&list);
    index["manifests"].as_array_mut().unwrap().retain(|child| child["artifactType"].is_null());
    replace(&context, &list, index.to_string().as_bytes());
    let (digest, _) = {
        let whole = indexed("single", IndexVersion::V2);
        soci_index(&whole)
    };
    let first = only(&examine(&context), &[Kind::LostIndex]);
    assert!(first.sentence.contains(&digest), "{first:?}");
}

#[test]
fn v1_alone_is_told_in_the_words_of_the_runtime() {
    let context = indexed("single", IndexVersion::V1);
    for (target, part) in [
        (Target::Fargate, "Fargate"),
        (Target::Eks, "pull_modes.soci_v1"),
        (Target::Containerd, "pull_modes.soci_v1"),
    ] {
        let found = examine_with(&context, &with!(DoctorOptions::default(), target = Some(target)));
        let v1 = found.iter().find(|finding| finding.kind == Kind::V1Only).unwrap();
        assert!(v1.sentence.contains(part), "{v1:?}");
    }
    follow(&only(&examine(&context), &[Kind::V1Only]).remedy);
    assert_eq!(examine(&context), []);
    let both = indexed("single", IndexVersion::Both);
    assert_eq!(examine(&both), []);
}

#[test]
fn entries_without_a_name() {
    let context = Context::fixture("single");
    edit_root(&context, |root| drop(root.as_object_mut().unwrap().remove("annotations")));
    let first = only(&examine(&context), &[Kind::NoName, Kind::NotIndexed]);
    assert_eq!(first.place.blob, Some(root(&context)));
    assert!(first.remedy.contains(" --name TAG "), "{first:?}");
    context.index(&with!(Context::options(), name = Some("v1".into()))).unwrap();
    assert_eq!(examine(&context), []);
    // An index.json that is itself an image's index has no names.
    let context = Context::fixture("multi-attest");
    let index = context.json(&root(&context).to_string());
    context.write_index_json(&index.to_string());
    assert!(!kinds(&examine(&context)).contains(&Kind::NoName));
}

#[test]
fn docker_types() {
    for name in ["docker-mediatypes", "docker-manifest-list"] {
        let context = Context::fixture(name);
        let found = examine(&context);
        assert!(kinds(&found).contains(&Kind::DockerTypes), "{name}: {found:?}");
        let docker = found.iter().find(|finding| finding.kind == Kind::DockerTypes).unwrap();
        assert!(docker.remedy.contains("oci-mediatypes=true"), "{docker:?}");
        context.index(&Context::options()).unwrap();
        assert_eq!(examine(&context), [], "{name}");
    }
    let context = Context::fixture("docker-mediatypes");
    context.index(&with!(Context::options(), layer_types = LayerTypes::Keep)).unwrap();
    let first = only(&examine(&context), &[Kind::DockerTypes]);
    assert!(first.sentence.contains("OCI manifest with layers"), "{first:?}");
}

#[test]
fn platforms() {
    let context = indexed("multi-attest", IndexVersion::V2);
    let index = context.json(&root(&context).to_string());
    let missing = text(&index["manifests"][1]["digest"]);
    fs::remove_file(context.blob_path(missing)).unwrap();
    let first = only(&examine(&context), &[Kind::MissingPlatform]);
    assert_eq!(first.place.platform.as_deref(), Some("linux/arm64"));
    assert!(first.remedy.contains("--platform"), "{first:?}");
    assert_eq!(first.place.image.map(|image| image.to_string()).as_deref(), Some(missing));

    for (platform, target, kind) in [
        (
            json!({"os": "windows", "architecture": "amd64"}),
            Target::Containerd,
            Some(Kind::NotLinux),
        ),
        (json!({"os": "linux", "architecture": "s390x"}), Target::Containerd, None),
        (
            json!({"os": "linux", "architecture": "s390x"}),
            Target::Fargate,
            Some(Kind::NoUsablePlatform),
        ),
        (
            json!({"os": "linux", "architecture": "s390x"}),
            Target::Eks,
            Some(Kind::NoUsablePlatform),
        ),
        (json!({"os": "linux", "architecture": "arm64"}), Target::Eks, None),
        (json!({"os": "linux", "architecture": "arm64", "variant": "v8"}), Target::Eks, None),
    ] {
        let context = Context::fixture("single");
        edit_root(&context, |root| root["platform"] = platform.clone());
        let options = with!(DoctorOptions::default(), target = Some(target), min_layer_size = 0);
        let mut found = kinds(&examine_with(&context, &options));
        found.retain(|kind| ![Kind::NotIndexed, Kind::SmallImage].contains(kind));
        assert_eq!(found, kind.into_iter().collect::<Vec<_>>(), "{platform} {target:?}");
    }

    let context = Context::fixture("single");
    let config = br#"{"os":"","architecture":"","rootfs":{"type":"layers","diff_ids":[]}}"#;
    edit(&context, |manifest| {
        manifest["config"]["digest"] = context.put(config).into();
        manifest["config"]["size"] = config.len().into();
    });
    edit_root(&context, |root| drop(root.as_object_mut().unwrap().remove("platform")));
    assert!(kinds(&examine(&context)).contains(&Kind::UnknownPlatform));
}

#[test]
fn blobs_that_are_missing_and_layouts_that_cannot_be_indexed() {
    let context = Context::fixture("single");
    let manifest = context.json(&root(&context).to_string());
    fs::remove_file(context.blob_path(text(&manifest["layers"][0]["digest"]))).unwrap();
    let first = only(&examine(&context), &[Kind::IndexFails, Kind::BrokenBlob]);
    assert!(first.sentence.contains("soci-layout index"), "{first:?}");
    context.write_index_json(r#"{"schemaVersion":2,"manifests":[]}"#);
    only(&examine(&context), &[Kind::IndexFails]);
}

/// Adds an artifact that is attached to `subject`.
fn attach(context: &Context, subject: Digest) {
    let config = context.put(b"{}");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.example.sbom", "digest": config, "size": 2},
        "layers": [],
        "subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject.to_string(), "size": 1},
    })
    .to_string();
    let digest = context.put(manifest.as_bytes());
    let mut index = context.index_json();
    index["manifests"].as_array_mut().unwrap().push(json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest,
        "size": manifest.len(),
    }));
    context.write_index_json(&index.to_string());
}

#[test]
fn attached_artifacts_before_and_after_indexing() {
    let context = Context::fixture("single");
    let before = root(&context);
    attach(&context, before);
    let found = examine(&context);
    assert_eq!(kinds(&found), [Kind::NotIndexed, Kind::AttachmentStaysBehind], "{found:?}");
    assert_eq!(found[1].place.image, Some(before));
    assert!(found[1].remedy.contains("--v1-shape tagged"), "{found:?}");
    context.index(&Context::options()).unwrap();
    let first = only(&examine(&context), &[Kind::AttachmentLost]);
    assert_eq!(first.place.image, Some(before));

    // Attached after indexing, to the index and to an image; a second run changes neither.
    let context = indexed("single", IndexVersion::V2);
    attach(&context, root(&context));
    let index = context.json(&root(&context).to_string());
    attach(&context, text(&index["manifests"][0]["digest"]).parse().unwrap());
    assert_eq!(examine(&context), []);

    // The shape that changes no digest.
    let context = Context::fixture("single");
    attach(&context, root(&context));
    let tagged =
        with!(Context::options(), index_version = IndexVersion::V1, v1_shape = V1Shape::Tagged);
    context.index(&tagged).unwrap();
    let found = kinds(&examine(&context));
    assert_eq!(
        found,
        [Kind::V1Only, Kind::AttachmentStaysBehind],
        "following the first remedy would"
    );
}

#[test]
fn small_layers_leave_nothing_behind() {
    let context = Context::fixture("single");
    attach(&context, root(&context));
    let dry = context.index(&with!(Options::default(), dry_run = true)).unwrap();
    assert_eq!((dry.stays_behind, dry.warnings), (vec![], vec![]));
}

#[test]
fn the_command() {
    let context = Context::fixture("zstd-mixed");
    let small: [&dyn AsRef<std::ffi::OsStr>; 3] = [&context.layout(), &"--min-layer-size", &"0"];
    let shown = stdout(run("doctor", &small));
    for part in [
        "linux/amd64 of v1, example.com/app:v1: 0 of 3 layers load lazily, 0B of ",
        "\nnot-indexed\n  linux/amd64 of v1, example.com/app:v1: it has no SOCI index",
        "\nzstd-layer\n  linux/amd64 of v1, ",
        "layer 2 (",
        "layer 3 (",
        "  remedy: build with `docker buildx build --output type=oci,tar=false,compression=gzip",
        "\n4 findings\n",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(shown.matches("compression=gzip").count(), 1, "said once: {shown}");
    let json = stdout(run("doctor", &[&small[..], &[&"--json", &"--for", &"eks"]].concat()));
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&value["version"], &value["target"]), (&1.into(), &"eks".into()));
    assert_eq!(value["findings"][1]["kind"], "zstd-layer");
    assert_eq!(value["images"][0]["lazy"]["of_layers"], 3);
    assert_eq!(run("doctor", &[&"/nonexistent"]).status.code(), Some(1));
    assert_eq!(run("doctor", &[&context.layout(), &"--ref", &"nobody"]).status.code(), Some(1));
    assert_eq!(run("doctor", &[&context.layout(), &"--for", &"docker"]).status.code(), Some(2));
}

/// Kinds are for programs: each has a row in the docs and a word in the schema.
#[test]
fn every_kind_is_described() {
    let schema = include_str!("../../docs/schemas/doctor.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let words = schema["$defs"]["Kind"]["enum"].as_array().unwrap();
    let docs = include_str!("../../docs/cli.md");
    for word in words {
        assert!(docs.contains(&format!("\n| `{}` | ", text(word))), "{word} has no row");
    }
    let source = include_str!("../../src/commands/doctor/report.rs");
    let body = source.split("pub enum Kind {").nth(1).unwrap().split("\n}").next().unwrap();
    let variants =
        body.lines().map(str::trim).filter(|line| !line.starts_with("///") && !line.is_empty());
    assert_eq!(variants.count(), words.len());
}
