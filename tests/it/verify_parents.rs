//! Directories that a lazy layer has no entry for: index leaves it eager when they hide a lower layer's attributes, and
//! verify tells it when it was indexed all the same.

use std::collections::BTreeSet;

use soci_layout::event::Silent;
use soci_layout::layer::EagerCause;
use soci_layout::report::{LayerOutcome, LayerReport, Report};
use soci_layout::verify::{Consequence, Finding, VerifyOptions, verify};
use soci_layout::ztoc::Ztoc;
use soci_layout::{IndexVersion, Options};

use crate::context::Context;
use crate::files;
use crate::verify::{largest_ztoc, replace};

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// Bytes that make a layer large enough for a zTOC.
const PAD: usize = 100_000;

/// An archive of entries `NAME[,MODE:UID:GID][,xattr=NAME]`. A name with a slash at its end is a directory, one with
/// `@` a symbolic link.
fn archive(entries: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries.split_whitespace() {
        let mut parts = entry.split(',');
        let name = parts.next().unwrap();
        let (name, linked) = name.strip_suffix('@').map_or((name, false), |name| (name, true));
        let directory = name.ends_with('/');
        let mut header = tar::Header::new_ustar();
        // As it stands here, which the library would not do.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(match (directory, linked) {
            (true, _) => tar::EntryType::Directory,
            (_, true) => tar::EntryType::Symlink,
            _ => tar::EntryType::Regular,
        });
        let content = if name == "pad" { vec![7; PAD] } else { Vec::new() };
        header.set_size(content.len() as u64);
        header.set_mtime(1_700_000_000);
        if linked {
            header.set_link_name("elsewhere").unwrap();
        }
        let mut attributes = vec![if directory { 0o755 } else { 0o644 }, 0, 0];
        for part in parts {
            if let Some(key) = part.strip_prefix("xattr=") {
                let key = format!("SCHILY.xattr.{key}");
                builder.append_pax_extensions([(key.as_str(), b"value".as_slice())]).unwrap();
                continue;
            }
            let numbers = part.split(':').zip([8, 10, 10]);
            attributes = numbers.map(|(n, base)| u32::from_str_radix(n, base).unwrap()).collect();
        }
        header.set_mode(attributes[0]);
        header.set_uid(attributes[1].into());
        header.set_gid(attributes[2].into());
        header.set_cksum();
        builder.append(&header, content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// An image of these layers, indexed. Those that have an entry `pad` are lazy; one that begins with `zstd` is
/// compressed so.
fn image(layers: &[&str]) -> Context {
    image_of(layers, IndexVersion::V2)
}

/// The positions of the layers that index leaves eager for it. Then there is nothing to tell.
fn left_eager(layers: &[&str]) -> BTreeSet<usize> {
    let (context, report) = indexed(layers, Context::options());
    assert_eq!(verified(&context), [], "{layers:?}");
    let unlike = |(position, layer): (usize, &LayerReport)| match &layer.outcome {
        LayerOutcome::Skipped(reason) if reason.text.starts_with("it has no entry for") => {
            assert_eq!(reason.cause, EagerCause::UnlikeUnpacked);
            Some(position)
        }
        _ => None,
    };
    report.layers.iter().enumerate().filter_map(unlike).collect()
}

fn image_of(layers: &[&str], index_version: IndexVersion) -> Context {
    indexed(layers, with!(Context::options(), index_version, accept_unlike_unpacked = true)).0
}

fn indexed(layers: &[&str], options: Options) -> (Context, Report) {
    let blob = |text: &&str| match text.strip_prefix("zstd ") {
        Some(text) => {
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            (ZSTD, ruzstd::encoding::compress_to_vec(archive(text).as_slice(), level))
        }
        None => (TAR, archive(text)),
    };
    let context = files::layout(&layers.iter().map(blob).collect::<Vec<_>>());
    let min_layer_size = PAD as u64;
    let options = with!(options, min_layer_size);
    let report = soci_layout::index(&context.layout(), &options, &Silent).unwrap();
    (context, report)
}

fn verified(context: &Context) -> Vec<Finding> {
    let verification = verify(&context.layout(), &VerifyOptions::default(), &Silent).unwrap();
    let findings = verification.findings.into_iter();
    // What is wrong with a layer by itself is for other tests.
    let parents = |finding: &Finding| {
        !finding.place.starts_with("entry ") && !finding.place.contains("diff ID")
    };
    findings.filter(parents).collect()
}

/// The findings as `LAYER DIRECTORY MODE:UID:GID[+] LOWER`, with the layers by their positions.
fn hidden(context: &Context) -> Vec<String> {
    let manifest =
        |value: &serde_json::Value| context.json(value["manifests"][0]["digest"].as_str().unwrap());
    let mut image = context.index_json();
    while image["layers"].is_null() {
        image = manifest(&image);
    }
    let digests: Vec<&str> =
        image["layers"].as_array().unwrap().iter().map(|l| l["digest"].as_str().unwrap()).collect();
    let position = |digest: &str| digests.iter().position(|known| *known == digest).unwrap();
    let one = |finding: &Finding| {
        assert_eq!(finding.consequence, Consequence::WrongBytes, "{finding:?}");
        assert_eq!(finding.found, "mode 0755, owner 0:0, which the reader makes up");
        let upper = position(&finding.blob.unwrap().to_string());
        let rest = finding.place.strip_prefix("directory ").unwrap();
        let (directory, rest) = rest.split_once(", which it has no entry for, in image ").unwrap();
        assert_eq!(context.json(rest)["layers"], image["layers"]);
        let (attributes, lower) = finding.expected.split_once(", as in layer ").unwrap();
        let attributes = attributes.replace("mode ", "").replace(", owner ", ":");
        let attributes = attributes.replace(", extended attributes", "+");
        format!("{upper} {directory} {attributes} {}", position(lower))
    };
    verified(context).iter().map(one).collect()
}

#[test]
fn layers_on_top_of_each_other() {
    const TMP: &str = "tmp/,1777:0:0";
    let mut wrong = Vec::new();
    for (layers, expected) in [
        // What the lower directory has.
        (vec![TMP, "tmp/x pad"], vec!["1 tmp 1777:0:0 0"]),
        (vec!["d/,755:5:0", "d/x pad"], vec!["1 d 0755:5:0 0"]),
        (vec!["d/,755:0:6", "d/x pad"], vec!["1 d 0755:0:6 0"]),
        (vec!["d/,xattr=user.a", "d/x pad"], vec!["1 d 0755:0:0+ 0"]),
        (vec!["d/,2750:5:6,xattr=security.capability", "d/x pad"], vec!["1 d 2750:5:6+ 0"]),
        (vec!["d/", "d/x pad"], vec![]),
        // Dropped by whoever unpacks.
        (vec!["d/,xattr=trusted.a", "d/x pad"], vec![]),
        // The lower layer lazy, too.
        (vec!["tmp/,1777:0:0 pad", "tmp/x pad"], vec!["1 tmp 1777:0:0 0"]),
        (vec!["zstd tmp/,1777:0:0 pad", "tmp/x pad"], vec!["1 tmp 1777:0:0 0"]),
        // The upper one not.
        (vec!["pad", TMP, "tmp/x"], vec![]),
        (vec!["tmp/,1777:0:0 pad", "tmp/x"], vec![]),
        // An entry, before its names or behind them, the same or another one.
        (vec![TMP, "tmp/,1777:0:0 tmp/x pad"], vec![]),
        (vec![TMP, "tmp/x tmp/ pad"], vec![]),
        (vec![TMP, "tmp@ pad"], vec![]),
        // Spellings.
        (vec!["./tmp/,1777:0:0", "tmp/x pad"], vec!["1 tmp 1777:0:0 0"]),
        (vec!["/tmp/,1777:0:0", "./tmp/x pad"], vec!["1 tmp 1777:0:0 0"]),
        (vec![TMP, "/tmp//x pad"], vec!["1 tmp 1777:0:0 0"]),
        (vec![TMP, "./tmp/ tmp/x pad"], vec![]),
        (vec![TMP, "/tmp/ ./tmp/x pad"], vec![]),
        (vec![TMP, "a/../tmp/x pad"], vec!["1 tmp 1777:0:0 0"]),
        // Any name counts, every directory once, in order.
        (vec![TMP, "tmp/x tmp/y tmp/z/ pad"], vec!["1 tmp 1777:0:0 0"]),
        (vec![TMP, "tmp/.wh.x pad"], vec!["1 tmp 1777:0:0 0"]),
        (vec![TMP, "tmp/.wh..wh..opq tmp/x pad"], vec!["1 tmp 1777:0:0 0"]),
        (
            vec!["b/,700:0:0 a/,700:0:0 a/c/ a/c/d/,700:0:0", "b/x a/c/d/x pad"],
            vec!["1 a 0700:0:0 0", "1 a/c/d 0700:0:0 0", "1 b 0700:0:0 0"],
        ),
        (vec!["a/,700:0:0 a/b/,711:0:0", "a/ a/b/x pad"], vec!["1 a/b 0711:0:0 0"]),
        // The last entry of a layer counts.
        (vec!["tmp/ tmp/,1777:0:0", "tmp/x pad"], vec!["1 tmp 1777:0:0 0"]),
        (vec!["tmp/,1777:0:0 tmp/", "tmp/x pad"], vec![]),
        // The root is the container's own.
        (vec!["./,700:5:6,xattr=user.a", "x pad"], vec![]),
        (vec!["./,700:5:6 pad", "x pad"], vec![]),
        // Three layers: the nearest that says something.
        (vec![TMP, "other", "tmp/x pad"], vec!["2 tmp 1777:0:0 0"]),
        (vec![TMP, "tmp/,700:1:1", "tmp/x pad"], vec!["2 tmp 0700:1:1 1"]),
        (vec![TMP, "tmp/", "tmp/x pad"], vec![]),
        (vec![TMP, "tmp/y", "tmp/x pad"], vec!["2 tmp 1777:0:0 0"]),
        (vec![TMP, "tmp/y pad", "tmp/x pad"], vec!["1 tmp 1777:0:0 0", "2 tmp 1777:0:0 0"]),
        // A layer above has it again, or without it; one that only has names in it changes nothing.
        (vec![TMP, "tmp/x pad", TMP], vec![]),
        (vec![TMP, "tmp/x pad", ".wh.tmp"], vec![]),
        (vec![TMP, "tmp/x pad", "tmp"], vec![]),
        (vec![TMP, "tmp/x pad", "tmp/y"], vec!["1 tmp 1777:0:0 0"]),
        (vec![TMP, "tmp/x pad", "other"], vec!["1 tmp 1777:0:0 0"]),
        // Taken away in between.
        (vec![TMP, ".wh.tmp", "tmp/x pad"], vec![]),
        (vec![TMP, ".wh.tmp tmp/,700:0:0", "tmp/x pad"], vec!["2 tmp 0700:0:0 1"]),
        (vec![TMP, "tmp", "tmp/x pad"], vec![]),
        (vec![TMP, "tmp@", "tmp/x pad"], vec![]),
        (vec![TMP, "zstd .wh.tmp", "tmp/x pad"], vec![]),
        (vec![TMP, ".wh..wh..opq", "tmp/x pad"], vec![]),
        (vec!["a/ a/b/,700:0:0", ".wh.a", "a/b/x pad"], vec![]),
        (vec!["a/ a/b/,700:0:0", "a", "a/b/x pad"], vec![]),
        (vec!["a/ a/b/,700:0:0", "a/ a/.wh..wh..opq", "a/b/x pad"], vec![]),
        (vec!["a/ a/b/,700:0:0", "a/ a/.wh.b", "a/b/x pad"], vec![]),
        (vec!["a/ a/b/,700:0:0", "a/ a/.wh.c", "a/ a/b/x pad"], vec!["2 a/b 0700:0:0 0"]),
        // Of an opaque directory only the names are gone.
        (vec![TMP, "tmp/.wh..wh..opq", "tmp/x pad"], vec!["2 tmp 1777:0:0 0"]),
        // By the layer itself.
        (vec![TMP, ".wh.tmp tmp/x pad"], vec![]),
        (vec!["a/ a/b/,700:0:0", "a/ a/.wh..wh..opq a/b/x pad"], vec![]),
    ] {
        let found = hidden(&image(&layers));
        if found != expected {
            wrong.push(format!("{layers:?}: {found:?}, not {expected:?}"));
        }
        let uppers: BTreeSet<usize> =
            expected.iter().map(|text| text[..1].parse().unwrap()).collect();
        let eager = left_eager(&layers);
        if eager != uppers {
            wrong.push(format!("{layers:?}: {eager:?} are eager, not {uppers:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn once_whatever_leads_to_the_layer() {
    for version in [IndexVersion::V1, IndexVersion::Both] {
        let context = image_of(&["tmp/,1777:0:0", "tmp/x pad"], version);
        assert_eq!(hidden(&context), ["1 tmp 1777:0:0 0"], "{version:?}");
    }
}

#[test]
fn a_ztoc_that_cannot_be_mounted_hides_nothing() {
    let context = image(&["tmp/,1777:0:0", "tmp/x pad"]);
    let digest = largest_ztoc(&context);
    let mut ztoc = Ztoc::decode(&context.blob(&digest)).unwrap();
    let right = ztoc.encode().unwrap();
    ztoc.span_digests.truncate(1);
    replace(&context, &digest, &ztoc.encode().unwrap());
    let consequences = |context: &Context| {
        verified(context).iter().map(|finding| finding.consequence).collect::<Vec<_>>()
    };
    assert_eq!(consequences(&context), [Consequence::LayerEager]);
    replace(&context, &largest_ztoc(&context), &right);
    assert_eq!(consequences(&context), [Consequence::WrongBytes]);
}

#[test]
fn a_layer_that_nothing_is_known_of_decides_nothing() {
    // The same with content that can be read is found above.
    let context = image(&["tmp/,1777:0:0", "zstd other", "tmp/x pad"]);
    assert_eq!(hidden(&context), ["2 tmp 1777:0:0 0"]);
    let broken = files::layout(&[
        (TAR, archive("tmp/,1777:0:0")),
        (ZSTD, b"no zstd".to_vec()),
        (TAR, archive("tmp/x pad")),
    ]);
    let options = with!(Context::options(), min_layer_size = PAD as u64);
    soci_layout::index(&broken.layout(), &options, &Silent).unwrap();
    assert_eq!(verified(&broken), []);
}
