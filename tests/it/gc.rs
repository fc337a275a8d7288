//! `gc` removes what nothing refers to, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use soci_layout::event::Silent;
use soci_layout::gc::{GcOptions, GcReport, gc};
use soci_layout::verify::{VerifyOptions, verify};
use soci_layout::{Digest, IndexVersion, RemoveOptions, V1Shape, remove};

use crate::context::{Context, fixtures};

fn now() -> GcOptions {
    with!(GcOptions::default(), min_age = Duration::ZERO)
}

fn collect(context: &Context, options: &GcOptions) -> GcReport {
    gc(&context.layout(), options, &Silent).unwrap()
}

fn files(context: &Context) -> BTreeSet<String> {
    context.files().into_keys().collect()
}

#[test]
fn a_fresh_export_keeps_everything() {
    for entry in fs::read_dir(fixtures()).unwrap() {
        let entry = entry.unwrap();
        if !entry.path().is_dir() {
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        let context = Context::fixture(&name);
        let before = context.files();
        let report = collect(&context, &now());
        assert!(report.removed.is_empty() && report.young.is_empty(), "{name}: {report:?}");
        assert_eq!(context.files(), before, "{name}");
        assert_eq!(report.kept as usize, before.len() - 2, "{name}");
    }
}

#[test]
fn what_index_replaced_goes_and_the_image_still_verifies() {
    for (index_version, v1_shape) in [
        (IndexVersion::V2, V1Shape::Nested),
        (IndexVersion::V1, V1Shape::Tagged),
        (IndexVersion::Both, V1Shape::Nested),
    ] {
        for name in
            ["single", "multi-attest", "appended", "cache-shared", "sbom", "two-names-multi"]
        {
            let options = with!(Context::options(), index_version, v1_shape);
            let context = Context::fixture(name);
            context.index(&options).unwrap();
            // Two generations of superseded documents.
            context.index(&with!(options.clone(), span_size = 32768)).unwrap();
            let with_prune = Context::fixture(name);
            with_prune.index(&with!(options, span_size = 32768, prune = true)).unwrap();
            let report = collect(&context, &now());
            assert!(!report.removed.is_empty(), "{name}");
            assert_eq!(files(&context), files(&with_prune), "{name} {index_version:?}");
            let verified = verify(&context.layout(), &VerifyOptions::default(), &Silent).unwrap();
            assert_eq!(verified.findings, [], "{name}");
            assert!(collect(&context, &now()).removed.is_empty(), "{name}");
        }
    }
}

#[test]
fn after_remove_only_the_export_is_left() {
    let context = Context::fixture("multi-attest");
    let before = files(&context);
    context.index(&Context::options()).unwrap();
    remove(&context.layout(), &RemoveOptions::default(), &Silent).unwrap();
    assert_ne!(files(&context), before);
    let planned = collect(&context, &with!(now(), dry_run = true));
    assert_ne!(files(&context), before, "a dry run removes nothing");
    let done = collect(&context, &now());
    assert_eq!(planned.removed, done.removed);
    assert_eq!(planned.bytes_removed, done.bytes_removed);
    assert_eq!(files(&context), before);
}

#[test]
fn young_blobs_stay() {
    let context = Context::fixture("single");
    let digest: Digest = context.put(b"an export under way").parse().unwrap();
    // An unpacked archive has old times of change, but its files have just come.
    let file =
        fs::File::options().write(true).open(context.blob_path(&digest.to_string())).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let report = collect(&context, &GcOptions::default());
    assert_eq!(report.young.iter().map(|blob| blob.digest).collect::<Vec<_>>(), [digest]);
    assert_eq!(report.removed, []);
    assert!(context.blob_path(&digest.to_string()).exists());
    let report = collect(&context, &now());
    assert_eq!(report.removed.iter().map(|blob| blob.digest).collect::<Vec<_>>(), [digest]);
    assert!(!context.blob_path(&digest.to_string()).exists());
}

#[test]
fn leftovers_go_and_strangers_stay() {
    let context = Context::fixture("single");
    let layout = context.layout();
    let leftover = layout.join("blobs/sha256/.soci-layout-abc.tmp");
    fs::write(&leftover, "half a blob").unwrap();
    let stranger = layout.join("blobs/sha256/README");
    fs::write(&stranger, "mine").unwrap();
    let other = layout.join("blobs/sha512/00");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, "another algorithm").unwrap();
    let link = layout.join("blobs/sha256").join(Digest::of(b"link").hex());
    symlink("README", &link).unwrap();
    let report = collect(&context, &now());
    assert_eq!(report.leftovers, std::slice::from_ref(&leftover));
    assert_eq!(report.strangers, [stranger.clone(), link.clone(), other.clone()]);
    assert!(!leftover.exists());
    assert!(stranger.exists() && other.exists() && link.is_symlink());
}

#[test]
fn any_mention_in_a_document_keeps_a_blob() {
    let context = Context::fixture("single");
    let plain = context.put(b"named in an annotation");
    let escaped = context.put(b"named with an escape");
    let docker = context.put(b"named by a path");
    let lost = context.put(b"named by nobody");
    let note = format!(
        "\n {{\"note\":\"{plain}\",\"x\":[\"sha256\\u003a{}\"]}}",
        escaped.strip_prefix("sha256:").unwrap()
    );
    let note = context.put(note.as_bytes());
    let mut index = context.index_json();
    index["annotations"]["see"] = note.clone().into();
    context.write_index_json(&index.to_string());
    let path = format!("blobs/sha256/{}", docker.strip_prefix("sha256:").unwrap());
    fs::write(context.layout().join("manifest.json"), format!("[{{\"Layers\":[\"{path}\"]}}]"))
        .unwrap();
    let report = collect(&context, &now());
    let removed: Vec<String> = report.removed.iter().map(|blob| blob.digest.to_string()).collect();
    assert_eq!(removed, [lost]);
    for kept in [plain, escaped, docker, note] {
        assert!(context.blob_path(&kept).exists(), "{kept}");
    }
}

#[test]
fn a_damaged_document_stops_it() {
    for name in ["single", "multi-attest"] {
        let context = Context::fixture(name);
        context.index(&Context::options()).unwrap();
        let lost = context.put(b"named by nobody");
        let damaged = context.index_json()["manifests"][0]["digest"].as_str().unwrap().to_owned();
        let mut bytes = context.blob(&damaged);
        bytes[0] = b'[';
        let path = context.blob_path(&damaged);
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let error = gc(&context.layout(), &now(), &Silent).unwrap_err();
        assert!(error.to_string().contains(&damaged), "{error}");
        assert!(context.blob_path(&lost).exists());
    }
    // Not only manifests: any small blob could be a document.
    let context = Context::fixture("sbom");
    let lost = context.put(b"named by nobody");
    let report = context.index(&with!(Context::options(), dry_run = true)).unwrap();
    let layer = report.images[0].layers.last().unwrap().to_string();
    let path = context.blob_path(&layer);
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"{\"what\": 1}").unwrap();
    let error = gc(&context.layout(), &now(), &Silent).unwrap_err();
    assert!(error.to_string().contains(&layer), "{error}");
    assert!(context.blob_path(&lost).exists());
}
