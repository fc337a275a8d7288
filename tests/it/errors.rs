//! Bad input: one clear error that says where, and a layout that is as before.

use std::fs;
use std::path::Path;

use serde_json::json;
use soci_layout::event::Silent;
use soci_layout::report::LayerOutcome;
use soci_layout::{Digest, Options, index};
use tempfile::TempDir;

use crate::context::{Context, named, platform, text};

/// Fails as expected and leaves every file untouched.
#[track_caller]
fn refused(context: &Context, options: &Options, expected: &[&str]) {
    let before = context.files();
    let error = context.index(options).expect_err("must be refused");
    let message = format!("{error} / {}", crate::hints::hint(&error, true).unwrap_or_default());
    for part in expected {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
    assert_eq!(context.files(), before);
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
    for (name, problem, hint) in [
        ("nothing", "no such directory", "tar=false"),
        ("image.tar", "tar archive", "tar -xf"),
        ("image.tgz", "gzip file", "tar -xzf"),
        ("empty", "empty", "export"),
        ("docker", "docker-archive", "skopeo copy docker-archive:"),
        ("dir", "skopeo's dir:", "skopeo copy --all dir:DIR oci:NEW"),
        ("old-dir", "skopeo's dir:", "skopeo copy --all dir:DIR oci:NEW"),
        ("unmarked", "no oci-layout file", "imageLayoutVersion"),
        ("version", "2.0.0", "1.0.0"),
        ("rootless", "no index.json", "interrupted"),
    ] {
        let error = index(&path(name), &Options::default(), &Silent).expect_err(name);
        assert!(error.to_string().contains(problem), "{name}: {error}");
        assert!(
            crate::hints::hint(&error, true).unwrap().contains(hint),
            "{name}: {:?}",
            crate::hints::hint(&error, true)
        );
    }
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
        refused(&context, &Context::options(), &[&told, "cp -rL DIR NEW"]);
        let inspected = soci_layout::inspect::inspect(
            &context.layout(),
            &soci_layout::inspect::InspectOptions::default(),
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
fn layer(context: &Context) -> (String, u64) {
    let manifest = context.json(&root_digest(context));
    let layer = &manifest["layers"][0];
    (text(&layer["digest"]).to_owned(), layer["size"].as_u64().unwrap())
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn missing_and_damaged_blobs() {
    let options = Context::options();
    let context = Context::fixture("single");
    let (digest, size) = layer(&context);
    let path = context.blob_path(&digest);
    let good = fs::read(&path).unwrap();

    fs::remove_file(&path).unwrap();
    refused(&context, &options, &[&digest, "missing", "linux/amd64", "export"]);
    fs::write(&path, &good[..good.len() - 1]).unwrap();
    refused(&context, &options, &[&digest, &size.to_string(), &(size - 1).to_string()]);
    let mut bad = good.clone();
    bad[1000] ^= 1;
    overwrite(&path, &bad);
    refused(&context, &options, &[&digest, &Digest::of(&bad).to_string(), "corrupt"]);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let error = context.index(&options).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");

    let context = Context::fixture("single");
    let digest = root_digest(&context);
    let path = context.blob_path(&digest);
    let text = fs::read_to_string(&path).unwrap();
    overwrite(&path, text.replace("gzip", "gzi_").as_bytes());
    refused(&context, &options, &[&digest, "corrupt"]);
    fs::remove_file(&path).unwrap();
    refused(&context, &options, &[&digest, "missing", "index.json"]);
}

#[test]
fn documents_that_make_no_sense() {
    let options = Context::options();
    for (change, expected) in [
        (json!({"digest": "sha256:../../x"}), vec!["sha256:../../x", "not a digest"]),
        (json!({"digest": "sha512:ab"}), vec!["no container image"]),
        (json!({"size": -1}), vec!["index.json", "-1"]),
        (json!({"size": 1}), vec!["expected 1 bytes", "found 1045"]),
        (json!({"size": 99_999_999}), vec!["limit", "99999999"]),
        (json!({"mediaType": 7}), vec!["index.json"]),
    ] {
        let context = Context::fixture("single");
        let mut index = context.index_json();
        for (name, value) in change.as_object().unwrap() {
            index["manifests"][0][name] = value.clone();
        }
        context.write_index_json(&index.to_string());
        refused(&context, &options, &expected);
    }
    for (text, expected) in [
        ("", "found nothing"),
        ("[]", "expected an object"),
        ("{\"manifests\":7}", "expected an array"),
        ("{}", "has not"),
        ("{\"manifests\":[],\"Manifests\":[]}", "programs in Go take it for that"),
        ("{\"manifests\":[]}", "no container image"),
    ] {
        let context = Context::fixture("single");
        context.write_index_json(text);
        refused(&context, &options, &[expected]);
    }
}

#[test]
fn a_layer_that_is_none() {
    // The digest is right, the content is not.
    let context = Context::fixture("single");
    let (digest, _) = layer(&context);
    let good = context.blob(&digest);
    let len = good.len();
    let mut crc = good.clone();
    crc[len - 8] ^= 1;
    let mut length = good.clone();
    length[len - 1] ^= 1;
    let mut data = good.clone();
    data[len / 2..len / 2 + 64].fill(0xff);
    let mut flags = good.clone();
    flags[3] = 0x80;
    for (bytes, expected) in [
        (good[..len - 1].to_vec(), "truncated"),
        (good[..len / 2].to_vec(), "truncated"),
        (good[..5].to_vec(), "truncated"),
        (Vec::new(), "its content is empty"),
        ([&good[..], b"\0"].concat(), "trailing bytes"),
        ([&good[..], b"\x1f"].concat(), "truncated"),
        (b"plain".to_vec(), "not a gzip stream"),
        (crc, "CRC-32"),
        (length, "length"),
        (data, "at byte"),
        (flags, "reserved"),
    ] {
        let context = Context::fixture("single");
        context.replace_layer(0, &bytes);
        // The bytes are those of the digest: the layer is eager, and only --strict makes that an error.
        let report = context.index(&Context::options()).unwrap();
        let LayerOutcome::Skipped(reason) = &report.layers[0].outcome else { panic!("{report:?}") };
        assert!(reason.text.contains(expected), "{expected}: {reason}");
        let context = Context::fixture("single");
        context.replace_layer(0, &bytes);
        let strict = with!(Context::options(), strict = true);
        refused(&context, &strict, &["cannot be indexed", expected]);
    }
}

#[test]
fn names_and_platforms_that_are_not_there() {
    let context = Context::fixture("two-names-multi");
    let options = with!(Context::options(), images = named("v9"));
    refused(&context, &options, &["\"v9\"", "v1", "latest"]);
    let options = with!(Context::options(), images = platform("linux/s390x"));
    refused(&context, &options, &["linux/s390x", "linux/amd64", "linux/arm64"]);
    let options = with!(Context::options(), span_size = 0);
    refused(&context, &options, &["span size"]);
}
