//! Three states of a layer: damaged, eager, lazy. Every media type with every content, by `index`, `--strict`, `plan`,
//! `inspect` and `verify`: only bytes that differ from their digest are damage, all else that cannot be lazy is told
//! with its reason, and what `index` writes `verify` accepts.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use soci_layout::event::Silent;
use soci_layout::inspect::{InspectOptions, inspect};
use soci_layout::layer::EagerCause;
use soci_layout::media_type::{Compression, LayerKind, layer_kind};
use soci_layout::report::LayerOutcome;
use soci_layout::verify::{Consequence, Verification, VerifyOptions, verify};
use soci_layout::{Digest, Error, IndexVersion, LayerTypes, V1Shape};

use crate::context::{Context, text};
use crate::inspect::{run, stdout};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const TYPES: [&str; 8] = [
    GZIP,
    TAR,
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

/// A file of `size` bytes and the end of the archive.
fn tar(size: usize) -> Vec<u8> {
    let mut header = [0; 512];
    header[..4].copy_from_slice(b"file");
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    header[156] = b'0';
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.resize(512 + size.next_multiple_of(512) + 1024, 0);
    archive
}

/// A gzip member of stored blocks.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    for piece in content.chunks(60_000) {
        let length = piece.len() as u16;
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(piece);
    }
    out.extend([3, 0]);
    out.extend(crc32fast::hash(content).to_le_bytes());
    out.extend((content.len() as u32).to_le_bytes());
    out
}

/// A zstd frame with one raw block.
fn zstd(content: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    frame.extend(&((content.len() as u32) << 3 | 1).to_le_bytes()[..3]);
    frame.extend(content);
    frame
}

/// An image with these layers, as media type and bytes. Diff IDs are those of `tar(100)`.
fn image(layers: &[(&str, Vec<u8>)]) -> Context {
    image_of(layers, &vec![tar(100); layers.len()])
}

/// The same; what the layers unpack to is `unpacked`.
fn image_of(layers: &[(&str, Vec<u8>)], unpacked: &[Vec<u8>]) -> Context {
    let context = Context::fixture("single");
    let ids: Vec<String> = unpacked.iter().map(|tar| Digest::of(tar).to_string()).collect();
    let config = json!({"os": "linux", "architecture": "amd64",
                        "rootfs": {"type": "layers", "diff_ids": ids}});
    let entries: Vec<Value> = layers
        .iter()
        .map(|(kind, bytes)| {
            json!({"mediaType": kind, "digest": context.put(bytes), "size": bytes.len()})
        })
        .collect();
    with_config(&context, &config, &entries);
    context
}

fn with_config(context: &Context, config: &Value, layers: &[Value]) {
    let config = config.to_string();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                   "digest": context.put(config.as_bytes()), "size": config.len()},
        "layers": layers,
    })
    .to_string();
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": context.put(manifest.as_bytes()), "size": manifest.len(),
        "platform": {"os": "linux", "architecture": "amd64"},
        "annotations": {"org.opencontainers.image.ref.name": "v1"}}]});
    context.write_index_json(&index.to_string());
}

fn verified(context: &Context) -> Verification {
    verify(&context.layout(), &VerifyOptions::default(), &Silent).unwrap()
}

/// Contents: a name, the bytes, what it is (`None` when no runtime reads it).
fn contents() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let plain = tar(100);
    let packed = gzip(&plain);
    vec![
        ("tar", plain.clone(), Some("tar")),
        ("gzip", packed.clone(), Some("gzip")),
        ("zstd", zstd(&plain), Some("zstd")),
        ("xz", b"\xfd7zXZ\0\0\x04rest".to_vec(), None),
        ("bzip2", b"BZh91AY&SYrest".to_vec(), None),
        ("gzip with NULs behind", [packed.clone(), vec![0; 512]].concat(), None),
        ("gzip with text behind", [packed.clone(), b"text".to_vec()].concat(), None),
        ("truncated gzip", packed[..packed.len() - 9].to_vec(), None),
        ("gzip of no tar", gzip(&[7; 5000]), None),
        ("gzip of gzip", gzip(&packed), None),
        ("garbage", vec![7; 2000], None),
    ]
}

#[test]
fn every_media_type_with_every_content() {
    for media_type in TYPES {
        for (name, bytes, content) in contents() {
            let at = format!("{name} under {media_type}");
            // The other layer is lazy, whatever becomes of the first.
            let unpacked = match name {
                "gzip of no tar" => vec![7; 5000],
                "gzip of gzip" => gzip(&tar(100)),
                "garbage" => bytes.clone(),
                _ => tar(100),
            };
            let context =
                image_of(&[(media_type, bytes), (GZIP, gzip(&tar(200)))], &[unpacked, tar(200)]);
            let called = match layer_kind(media_type) {
                LayerKind::Indexable(Compression::Gzip) => "gzip",
                LayerKind::Indexable(Compression::None) => "tar",
                _ => "zstd",
            };
            let lazy = called != "zstd" && content == Some(called);
            let strict = with!(Context::options(), strict = true);
            match context.index(&strict) {
                Ok(_) => assert!(lazy, "{at}: strict takes it"),
                Err(Error::UnsupportedLayer { .. }) => assert!(!lazy, "{at}: strict"),
                Err(error) => panic!("{at}: {error}"),
            }
            let context = if lazy { image(&[(media_type, contents_of(name))]) } else { context };
            let estimate =
                soci_layout::plan::estimate(&context.layout(), &Context::options(), &Silent);
            let estimate = estimate.unwrap_or_else(|error| panic!("{at}: plan: {error}"));
            let doubts = estimate.layers.iter().filter(|layer| layer.doubt.is_some()).count();
            assert!(lazy == (doubts == 0) || called == "zstd" || name.contains("gzip"), "{at}");
            let report = context.index(&Context::options()).unwrap_or_else(|e| panic!("{at}: {e}"));
            match &report.layers[0].outcome {
                LayerOutcome::Indexed { .. } => assert!(lazy, "{at}"),
                LayerOutcome::Skipped(reason) => {
                    assert!(!lazy, "{at}: {reason}");
                    let cause = match (called, name) {
                        ("zstd", _) => EagerCause::MediaType,
                        ("gzip", "tar" | "zstd" | "xz" | "bzip2" | "gzip of gzip") => {
                            EagerCause::Mislabelled
                        }
                        ("gzip", _) | ("tar", "garbage") => EagerCause::Unreadable,
                        _ => EagerCause::Mislabelled,
                    };
                    assert_eq!(reason.cause, cause, "{at}: {reason}");
                }
                other => panic!("{at}: {other:?}"),
            }
            let verification = verified(&context);
            assert_eq!(verification.findings, [], "{at}");
            let eager = &verification.images[0].eager;
            assert_eq!(eager.len(), usize::from(!lazy), "{at}: {eager:?}");
            if let (Some(told), LayerOutcome::Skipped(reason)) =
                (eager.first(), &report.layers[0].outcome)
            {
                assert_eq!(&told.reason, reason, "{at}");
            }
            let seen = inspect(&context.layout(), &InspectOptions::default(), &Silent).unwrap();
            assert_eq!(seen.images[0].layers[0].lazy, lazy, "{at}");
        }
    }
}

fn contents_of(name: &str) -> Vec<u8> {
    contents().into_iter().find(|(other, ..)| *other == name).unwrap().1
}

/// A global PAX header, as `git archive` writes it, in front of an archive.
fn with_global_header(archive: &[u8]) -> Vec<u8> {
    let record = b"52 comment=0123456789012345678901234567890123456789\n";
    let mut all = tar(record.len())[..1024].to_vec();
    all[156] = b'g';
    all[148..156].fill(b' ');
    let sum: u32 = all[..512].iter().map(|byte| u32::from(*byte)).sum();
    all[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    all[512..512 + record.len()].copy_from_slice(record);
    [&all, archive].concat()
}

#[test]
fn ls_and_cat_show_what_unpacking_gives_of_layers_without_a_ztoc() {
    for (media_type, bytes) in [
        (GZIP, zstd(&tar(100))),
        (GZIP, tar(100)),
        (TYPES[5], gzip(&tar(100))),
        (TYPES[2], gzip(&tar(100))),
        (GZIP, gzip(&with_global_header(&tar(100)))),
        (GZIP, [gzip(&tar(100)), vec![0; 512]].concat()),
    ] {
        let context = image(&[(media_type, bytes)]);
        let listed = stdout(run("ls", &[&"-q", &context.layout()]));
        assert_eq!(listed, "file\n", "{media_type}");
        let content = stdout(run("cat", &[&"-q", &context.layout(), &Path::new("file")]));
        assert_eq!(content, "\0".repeat(100), "{media_type}");
    }
}

#[test]
fn a_blob_under_two_types_is_read_by_its_ztoc() {
    let layer = gzip(&tar(100));
    let context = image(&[(TAR, layer.clone()), (GZIP, layer)]);
    context.index(&Context::options()).unwrap();
    assert_eq!(verified(&context).findings, []);
}

#[test]
fn images_may_name_a_blob_by_different_types() {
    for (index_version, v1_shape) in [
        (IndexVersion::V2, V1Shape::Nested),
        (IndexVersion::V1, V1Shape::Nested),
        (IndexVersion::V1, V1Shape::Tagged),
        (IndexVersion::Both, V1Shape::Nested),
    ] {
        let context = image(&[(GZIP, gzip(&tar(100)))]);
        let mut index = context.index_json();
        let mut other = index["manifests"][0].clone();
        let mut manifest = context.json(text(&other["digest"]));
        manifest["layers"][0]["mediaType"] = TYPES[4].into();
        let manifest = manifest.to_string();
        other["digest"] = context.put(manifest.as_bytes()).into();
        other["size"] = manifest.len().into();
        for (position, root) in [&mut index["manifests"][0], &mut other].into_iter().enumerate() {
            root["annotations"] =
                json!({"org.opencontainers.image.ref.name": format!("v{position}")});
        }
        index["manifests"].as_array_mut().unwrap().push(other);
        context.write_index_json(&index.to_string());
        let layer_types = LayerTypes::Keep;
        context.index(&with!(Context::options(), index_version, v1_shape, layer_types)).unwrap();
        let verification = verified(&context);
        assert_eq!(verification.findings, [], "{index_version:?} {v1_shape:?}");
        assert_eq!(verification.images.len(), 2);
    }
}

#[test]
fn a_gzip_stream_of_nothing_is_sound() {
    let context = image_of(&[(GZIP, gzip(b"")), (GZIP, gzip(&tar(100)))], &[Vec::new(), tar(100)]);
    context.index(&Context::options()).unwrap();
    let verification = verified(&context);
    assert_eq!(verification.findings, []);
    assert_eq!(verification.images[0].lazy_layers, 2);
}

#[test]
fn bytes_that_differ_from_their_digest_are_damage_under_every_type() {
    for media_type in TYPES {
        let context = image(&[(media_type, gzip(&tar(100)))]);
        let manifest = context.json(text(&context.index_json()["manifests"][0]["digest"]));
        let path = context.blob_path(text(&manifest["layers"][0]["digest"]));
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let findings = verified(&context).findings;
        let unpullable =
            |f: &&soci_layout::verify::Finding| f.consequence == Consequence::Unpullable;
        assert_eq!(findings.iter().filter(unpullable).count(), 1, "{media_type}: {findings:?}");
        if matches!(layer_kind(media_type), LayerKind::Indexable(_)) {
            let error = context.index(&Context::options()).unwrap_err();
            assert!(matches!(error, Error::BlobDigest { .. }), "{media_type}: {error}");
        }
    }
}

#[test]
fn an_image_without_an_index_is_no_fault() {
    let context = image(&[(GZIP, gzip(&tar(100)))]);
    let verification = verified(&context);
    assert_eq!(verification.findings, []);
    let [eager] = verification.images[0].eager.as_slice() else { panic!("one layer") };
    assert_eq!(eager.reason.cause, EagerCause::NoIndex);
    assert_eq!(verification.eager_from(0).count(), 1);
    assert_eq!(verification.eager_from(10 << 20).count(), 0);
}

#[test]
fn a_layer_that_its_owner_keeps_is_eager_and_no_fault() {
    let context = image(&[(TYPES[3], gzip(b"")), (GZIP, gzip(&tar(100)))]);
    let manifest = context.json(text(&context.index_json()["manifests"][0]["digest"]));
    fs::remove_file(context.blob_path(text(&manifest["layers"][0]["digest"]))).unwrap();
    context.index(&Context::options()).unwrap();
    let verification = verified(&context);
    assert_eq!(verification.findings, []);
    assert_eq!(verification.images[0].eager[0].reason.cause, EagerCause::Absent);
}

#[test]
fn diff_ids_are_compared_beside_an_entry_of_an_unknown_type() {
    let layer = gzip(&tar(100));
    for (other, wrong) in [(0, false), (1, false), (0, true), (1, true)] {
        let context = image(&[(GZIP, layer.clone())]);
        let mut layers =
            vec![json!({"mediaType": GZIP, "digest": context.put(&layer), "size": layer.len()})];
        let content = if wrong { b"x".to_vec() } else { tar(100) };
        let mut ids = vec![Digest::of(&content).to_string()];
        let unknown = json!({"mediaType": "application/octet-stream", "digest": context.put(b"other"), "size": 5});
        layers.insert(other, unknown);
        ids.insert(other, Digest::of(b"y").to_string());
        let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids}});
        with_config(&context, &config, &layers);
        let findings = verified(&context).findings;
        assert_eq!(findings.len(), usize::from(wrong), "{other} {wrong}: {findings:?}");
        assert!(findings.iter().all(|finding| finding.place.contains("diff ID")), "{findings:?}");
    }
}

#[test]
fn an_absent_manifest_of_an_index_is_a_finding() {
    let context = Context::fixture("multi-attest");
    let index = context.json(text(&context.index_json()["manifests"][0]["digest"]));
    let absent = text(&index["manifests"][1]["digest"]);
    fs::remove_file(context.blob_path(absent)).unwrap();
    let findings = verified(&context).findings;
    let tells = |finding: &soci_layout::verify::Finding| {
        finding.consequence == Consequence::Unpullable
            && finding.blob.is_some_and(|blob| blob.to_string() == absent)
    };
    assert!(findings.iter().any(tells), "{findings:?}");
}

#[test]
fn an_index_that_no_image_names_is_a_finding() {
    let context = Context::fixture("single");
    context.index(&Context::options()).unwrap();
    let mut index = context.index_json();
    let nested = context.json(text(&index["manifests"][0]["digest"]));
    let soci = nested["manifests"].as_array().unwrap().last().unwrap().clone();
    assert!(soci["annotations"]["com.amazon.soci.image-manifest-digest"].is_string(), "{soci}");
    let original = Context::fixture("single").index_json()["manifests"][0].clone();
    index["manifests"] = json!([original, soci]);
    context.write_index_json(&index.to_string());
    let findings = verified(&context).findings;
    assert!(findings.iter().any(|f| f.consequence == Consequence::Rejected), "{findings:?}");
}

#[test]
fn a_ztoc_that_does_not_pay_is_not_written() {
    // One fixed block of 258 zeros per two bytes: 60 MiB in half a megabyte, in several spans' worth of members.
    let archive = tar(12 << 20);
    let layer = one_block(&archive);
    let context = image(&[(GZIP, layer.clone()), (GZIP, gzip(&tar(100)))]);
    let report = context.index(&Context::options()).unwrap();
    let LayerOutcome::Skipped(reason) = &report.layers[0].outcome else { panic!("{report:?}") };
    assert_eq!(reason.cause, EagerCause::NoSaving, "{reason}");
    assert!(matches!(report.layers[1].outcome, LayerOutcome::Indexed { .. }));
    let context = image(&[(GZIP, layer)]);
    let any = with!(Context::options(), min_saving = 0);
    let report = context.index(&any).unwrap();
    let LayerOutcome::Indexed { ztoc } = &report.layers[0].outcome else { panic!("{report:?}") };
    let seen = inspect(&context.layout(), &InspectOptions::default(), &Silent).unwrap();
    let head = seen.images[0].layers[0].ztoc.as_ref().unwrap().head.as_ref().unwrap();
    assert_eq!(head.largest_span, Some(ztoc.largest_span));
    let findings = verified(&context);
    assert_eq!(findings.images[0].largest_span, Some(ztoc.largest_span));
    // A later run with the usual rule takes the index away again.
    let report = context.index(&Context::options()).unwrap();
    assert!(matches!(report.layers[0].outcome, LayerOutcome::Skipped(_)), "{report:?}");
}

/// A gzip member of one deflate block with fixed codes, for content that ends in many zeros.
fn one_block(content: &[u8]) -> Vec<u8> {
    let mut bits = Vec::new();
    let mut put = |value: u32, count: u32| bits.extend((0..count).map(|bit| value >> bit & 1 == 1));
    put(0b011, 3);
    let zeros = content.iter().rev().take_while(|byte| **byte == 0).count() - 1;
    let (runs, rest) = (zeros / 258, zeros % 258);
    for byte in content[..content.len() - zeros].iter().chain(&vec![0; rest]) {
        let byte = u32::from(*byte);
        let (code, count) = if byte < 144 { (0x30 + byte, 8) } else { (0x190 + byte - 144, 9) };
        put(code.reverse_bits() >> (32 - count), count);
    }
    for _ in 0..runs {
        put(0b1100_0101_u32.reverse_bits() >> 24, 8);
        put(0, 5);
    }
    put(0, 7);
    let mut out = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let byte = |bits: &[bool]| bits.iter().rev().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit));
    out.extend(bits.chunks(8).map(byte));
    out.extend(crc32fast::hash(content).to_le_bytes());
    out.extend((content.len() as u32).to_le_bytes());
    out
}
