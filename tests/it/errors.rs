//! Bad input: one clear error that says where, and a layout that is as before.

use std::fs;
use std::path::Path;

use serde_json::json;
use soci_layout::event::Silent;
use soci_layout::report::LayerOutcome;
use soci_layout::{Error, Options, index};
use tempfile::TempDir;

use crate::context::{Context, named, platform, text};

/// Fails and leaves every file untouched; gives what is said.
#[track_caller]
fn refused(context: &Context, options: &Options) -> String {
    let before = context.files();
    let error = context.index(options).expect_err("must be refused");
    assert_eq!(context.files(), before);
    told(&error, context.layout().parent().unwrap())
}

/// What people see of an error below `directory`.
fn told(error: &Error, directory: &Path) -> String {
    let hint = crate::hints::hint(error, true)
        .map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
    format!("{error}{hint}\n").replace(&directory.display().to_string(), "<dir>")
}

#[test]
fn what_is_no_layout_is_named() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    fs::write(path("image.tar"), tar).unwrap();
    fs::write(path("image.tgz"), [0x1f, 0x8b, 8]).unwrap();
    fs::create_dir(path("empty")).unwrap();
    fs::create_dir(path("docker")).unwrap();
    fs::write(path("docker/manifest.json"), "[]").unwrap();
    fs::create_dir(path("dir")).unwrap();
    fs::write(path("dir/manifest.json"), r#"{"schemaVersion":2}"#).unwrap();
    fs::write(path("dir/version"), "Directory Transport Version: 1.1\n").unwrap();
    fs::create_dir(path("old-dir")).unwrap();
    fs::write(path("old-dir/manifest.json"), "\n {\"schemaVersion\":2}").unwrap();
    fs::create_dir_all(path("unmarked/blobs")).unwrap();
    fs::write(path("unmarked/index.json"), "{}").unwrap();
    fs::create_dir(path("version")).unwrap();
    fs::write(path("version/oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    fs::create_dir(path("rootless")).unwrap();
    fs::write(path("rootless/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let mut all = String::new();
    for name in [
        "nothing",
        "image.tar",
        "image.tgz",
        "empty",
        "docker",
        "dir",
        "old-dir",
        "unmarked",
        "version",
        "rootless",
    ] {
        let error = index(&path(name), &Options::default(), &Silent).expect_err(name);
        all += &told(&error, directory.path());
    }
    insta::assert_snapshot!("no-layout", all);
}

/// As Bazel's rules leave a layout; all blobs or only the layers.
#[test]
fn linked_blobs_are_told_once_for_the_layout() {
    for only_layers in [false, true] {
        let context = Context::fixture("single");
        let documents = [
            root_digest(&context),
            text(&context.json(&root_digest(&context))["config"]["digest"]).to_owned(),
        ];
        let elsewhere = context.layout().parent().unwrap().join("outputs");
        fs::create_dir(&elsewhere).unwrap();
        let store = context.layout().join("blobs/sha256");
        let (mut links, mut blobs) = (0, 0);
        for entry in fs::read_dir(&store).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            blobs += 1;
            if !only_layers || documents.iter().all(|document| !document.ends_with(&name)) {
                let target = elsewhere.join(&name);
                fs::rename(&path, &target).unwrap();
                std::os::unix::fs::symlink(Path::new("../../../outputs").join(&name), &path)
                    .unwrap();
                links += 1;
            }
        }
        let told = format!("{links} of its {blobs} blobs are symbolic links out of the layout");
        let refused = refused(&context, &Context::options());
        assert!(refused.contains(&told) && refused.contains("cp -rL DIR NEW"), "{refused}");
        let inspected = soci_layout::inspect::inspect(
            &context.layout(),
            &soci_layout::inspect::InspectOptions::default(),
            &Silent,
        )
        .expect_err("must be refused");
        assert!(inspected.to_string().contains(&told), "{inspected}");
        let copied = Context::fixture("single");
        fs::remove_dir_all(copied.layout()).unwrap();
        let copy = std::process::Command::new("cp")
            .arg("-rL")
            .arg(context.layout())
            .arg(copied.layout())
            .status();
        assert!(copy.unwrap().success());
        assert!(copied.index(&Context::options()).unwrap().changed);
    }
}

fn root_digest(context: &Context) -> String {
    text(&context.index_json()["manifests"][0]["digest"]).to_owned()
}

/// The first layer of the first image of `single`.
fn layer(context: &Context) -> String {
    let manifest = context.json(&root_digest(context));
    text(&manifest["layers"][0]["digest"]).to_owned()
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn missing_and_damaged_blobs() {
    let options = Context::options();
    let context = Context::fixture("single");
    let path = context.blob_path(&layer(&context));
    let good = fs::read(&path).unwrap();

    fs::remove_file(&path).unwrap();
    let mut all = refused(&context, &options);
    fs::write(&path, &good[..good.len() - 1]).unwrap();
    all += &refused(&context, &options);
    let mut bad = good.clone();
    bad[1000] ^= 1;
    overwrite(&path, &bad);
    all += &refused(&context, &options);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    all += &told(&context.index(&options).unwrap_err(), context.layout().parent().unwrap());

    let context = Context::fixture("single");
    let digest = root_digest(&context);
    let path = context.blob_path(&digest);
    let text = fs::read_to_string(&path).unwrap();
    overwrite(&path, text.replace("gzip", "gzi_").as_bytes());
    all += &refused(&context, &options);
    fs::remove_file(&path).unwrap();
    all += &refused(&context, &options);
    insta::assert_snapshot!("blobs", all);
}

#[test]
fn documents_that_make_no_sense() {
    let options = Context::options();
    let mut all = String::new();
    for change in [
        json!({"digest": "sha256:../../x"}),
        json!({"digest": "sha512:ab"}),
        json!({"size": -1}),
        json!({"size": 1}),
        json!({"size": 99_999_999}),
        json!({"mediaType": 7}),
    ] {
        let context = Context::fixture("single");
        let mut index = context.index_json();
        for (name, value) in change.as_object().unwrap() {
            index["manifests"][0][name] = value.clone();
        }
        context.write_index_json(&index.to_string());
        all += &refused(&context, &options);
    }
    for text in [
        "",
        "[]",
        "{\"manifests\":7}",
        "{}",
        "{\"manifests\":[],\"Manifests\":[]}",
        "{\"manifests\":[]}",
    ] {
        let context = Context::fixture("single");
        context.write_index_json(text);
        all += &refused(&context, &options);
    }
    insta::assert_snapshot!("documents", all);
}

#[test]
fn a_layer_that_is_none() {
    // The digest is right, the content is not.
    let context = Context::fixture("single");
    let good = context.blob(&layer(&context));
    let len = good.len();
    let mut crc = good.clone();
    crc[len - 8] ^= 1;
    let mut length = good.clone();
    length[len - 1] ^= 1;
    let mut data = good.clone();
    data[len / 2..len / 2 + 64].fill(0xff);
    let mut flags = good.clone();
    flags[3] = 0x80;
    let mut all = String::new();
    for bytes in [
        good[..len - 1].to_vec(),
        good[..len / 2].to_vec(),
        good[..5].to_vec(),
        Vec::new(),
        [&good[..], b"\0"].concat(),
        [&good[..], b"\x1f"].concat(),
        b"plain".to_vec(),
        crc,
        length,
        data,
        flags,
    ] {
        let context = Context::fixture("single");
        context.replace_layer(0, &bytes);
        // The bytes are those of the digest: the layer is eager, and only --strict makes that an error.
        let report = context.index(&Context::options()).unwrap();
        let LayerOutcome::Skipped(reason) = &report.layers[0].outcome else { panic!("{report:?}") };
        let context = Context::fixture("single");
        context.replace_layer(0, &bytes);
        let strict = with!(Context::options(), strict = true);
        let refused = refused(&context, &strict);
        assert!(refused.contains(&reason.text), "{reason}: {refused}");
        all += &refused;
    }
    insta::assert_snapshot!("layers", all);
}

#[test]
fn names_and_platforms_that_are_not_there() {
    let context = Context::fixture("two-names-multi");
    let options = with!(Context::options(), images = named("v9"));
    let mut all = refused(&context, &options);
    let options = with!(Context::options(), images = platform("linux/s390x"));
    all += &refused(&context, &options);
    let options = with!(Context::options(), span_size = 0);
    all += &refused(&context, &options);
    insta::assert_snapshot!("choices", all);
}
