//! Verification by mutation: in a good layout one thing is made wrong, and every digest above it right
//! again, so that nothing but that thing can tell. Each must be found, with what it leads to.

use std::fs;

use serde_json::Value;
use soci_layout::event::Silent;
use soci_layout::verify::{Consequence, Finding, Verification, VerifyOptions, verify};
use soci_layout::ztoc::toc::{Entry, FileRef, FileType, ModTime, Toc};
use soci_layout::ztoc::zinfo::{GzipZinfo, TarZinfo};
use soci_layout::ztoc::{Zinfo, Ztoc};
use soci_layout::{Digest, IndexVersion};

use crate::context::{Context, fixtures, text};

use Consequence::{IoError, LayerEager, Misleading, Rejected, Unpullable, WrongBytes};

fn verified(context: &Context) -> Verification {
    let before = context.files();
    let verification = verify(&context.layout(), &VerifyOptions::default(), &Silent).unwrap();
    assert_eq!(context.files(), before, "verification writes nothing");
    verification
}

pub(crate) fn indexed(fixture: &str, version: IndexVersion) -> Context {
    let context = Context::fixture(fixture);
    let options = with!(Context::options(), span_size = 4096, index_version = version);
    context.index(&options).unwrap();
    context
}

/// The finding that tells, which must be among all.
#[track_caller]
fn found(context: &Context, consequence: Consequence, place: &str) -> Vec<Finding> {
    let findings = verified(context).findings;
    let tells = |finding: &&Finding| {
        finding.consequence == consequence
            && finding.place.contains(place)
            && finding.expected != finding.found
    };
    assert!(
        findings.iter().any(|finding| tells(&finding)),
        "{consequence:?} {place}: {findings:#?}"
    );
    findings
}

/// Replaces a blob, and its digest and size in every document up to `index.json`.
pub(crate) fn replace(context: &Context, old: &str, bytes: &[u8]) {
    let size = fs::metadata(context.blob_path(old)).unwrap().len();
    let mut pairs = vec![(old.to_owned(), size, context.put(bytes), bytes.len())];
    let path = context.layout().join("index.json");
    // A document may have to be changed again when another that it names has been.
    loop {
        let change = |text: &str| {
            pairs.iter().fold(text.to_owned(), |text, (old, old_size, new, new_size)| {
                let descriptor = format!("\"digest\":\"{old}\",\"size\":{old_size}");
                let changed = format!("\"digest\":\"{new}\",\"size\":{new_size}");
                text.replace(&descriptor, &changed).replace(old.as_str(), new)
            })
        };
        fs::write(&path, change(&fs::read_to_string(&path).unwrap())).unwrap();
        let stale = reached(context).into_iter().find_map(|digest| {
            let content = fs::read(context.blob_path(&digest)).unwrap_or_default();
            let text = String::from_utf8(content).ok().filter(|text| text.starts_with('{'))?;
            let changed = change(&text);
            (changed != text).then_some((digest, text.len() as u64, changed))
        });
        let Some((digest, size, changed)) = stale else { return };
        let new = context.put(changed.as_bytes());
        pairs.push((digest, size, new, changed.len()));
    }
}

/// Digests of all documents and blobs that `index.json` leads to.
fn reached(context: &Context) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![context.index_json()];
    while let Some(value) = todo.pop() {
        match &value {
            Value::Object(object) => {
                if let Some(digest) = object.get("digest").and_then(Value::as_str)
                    && !found.iter().any(|known| known == digest)
                {
                    found.push(digest.to_owned());
                    let content = fs::read(context.blob_path(digest)).unwrap_or_default();
                    todo.extend(serde_json::from_slice(&content).ok());
                }
                todo.extend(object.values().cloned());
            }
            Value::Array(values) => todo.extend(values.iter().cloned()),
            _ => {}
        }
    }
    found
}

/// The SOCI index of a layout that has one.
pub(crate) fn soci_index(context: &Context) -> (String, String) {
    let index = reached(context).into_iter().find(|digest| {
        let content = fs::read(context.blob_path(digest)).unwrap_or_default();
        String::from_utf8_lossy(&content).contains("application/vnd.amazon.soci.index")
            && String::from_utf8_lossy(&content).contains("\"config\"")
    });
    let index = index.expect("a SOCI index");
    let document = String::from_utf8(context.blob(&index)).unwrap();
    (index, document)
}

/// Digest of the zTOC with the most checkpoints (or, plain, bytes).
pub(crate) fn largest_ztoc(context: &Context) -> String {
    let (_, document) = soci_index(context);
    let document: Value = serde_json::from_str(&document).unwrap();
    let layers = document["layers"].as_array().unwrap();
    let largest = layers.iter().max_by_key(|layer| layer["size"].as_u64()).unwrap();
    text(&largest["digest"]).to_owned()
}

fn change_ztoc(fixture: &str, change: impl FnOnce(&mut Ztoc)) -> Context {
    let context = indexed(fixture, IndexVersion::V2);
    let digest = largest_ztoc(&context);
    let mut ztoc = Ztoc::decode(&context.blob(&digest)).unwrap();
    change(&mut ztoc);
    replace(&context, &digest, &ztoc.encode().unwrap());
    context
}

pub(crate) fn change_zinfo(change: impl FnOnce(&mut Vec<u8>)) -> Context {
    change_ztoc("single", |ztoc| {
        let Zinfo::Gzip(gzip) = &ztoc.zinfo else { panic!("gzip") };
        let mut bytes = gzip.as_bytes().to_vec();
        change(&mut bytes);
        ztoc.zinfo = Zinfo::Gzip(GzipZinfo::from_bytes(bytes).unwrap());
    })
}

/// One entry of the TOC, to be changed.
#[derive(Clone)]
struct Owned {
    texts: [Vec<u8>; 4],
    file_type: FileType,
    numbers: [i64; 5],
    owner: [u32; 2],
    mod_time: ModTime,
    pax: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Owned {
    fn new(file: &FileRef<'_>) -> Self {
        Self {
            texts: [file.name(), file.linkname(), file.uname(), file.gname()].map(<[u8]>::to_vec),
            file_type: file.file_type(),
            numbers: [
                file.uncompressed_offset(),
                file.uncompressed_size(),
                file.mode(),
                file.devmajor(),
                file.devminor(),
            ],
            owner: [file.uid(), file.gid()],
            mod_time: file.mod_time(),
            pax: file.pax().map(|(key, value)| (key.to_vec(), value.to_vec())).collect(),
        }
    }

    fn push(&self, toc: &mut Toc) {
        let pax: Vec<_> =
            self.pax.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
        toc.push(&Entry {
            name: &self.texts[0],
            file_type: self.file_type,
            uncompressed_offset: self.numbers[0],
            uncompressed_size: self.numbers[1],
            linkname: &self.texts[1],
            mode: self.numbers[2],
            uid: self.owner[0],
            gid: self.owner[1],
            uname: &self.texts[2],
            gname: &self.texts[3],
            mod_time: self.mod_time,
            devmajor: self.numbers[3],
            devminor: self.numbers[4],
            pax: &pax,
        })
        .unwrap();
    }
}

fn change_entries(change: impl FnOnce(&mut Vec<Owned>)) -> Context {
    change_ztoc("single", |ztoc| {
        let mut entries: Vec<_> = ztoc.toc.iter().map(|file| Owned::new(&file)).collect();
        change(&mut entries);
        ztoc.toc = Toc::new();
        for entry in &entries {
            entry.push(&mut ztoc.toc);
        }
    })
}

/// Position of a regular file with content.
fn file(entries: &[Owned]) -> usize {
    let linked = |e: &Owned| entries.iter().any(|link| link.texts[1] == e.texts[0]);
    let found = entries
        .iter()
        .position(|e| e.file_type == FileType::Regular && e.numbers[1] > 600 && !linked(e));
    found.expect("a file")
}

const HEADER: usize = 12;
const RECORD: usize = 17 + (32 << 10);

#[test]
fn every_fixture_passes_and_is_lazy_when_it_is_indexed() {
    let mut count = 0;
    for entry in fs::read_dir(fixtures()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !fixtures().join(&name).join("index.json").exists() {
            continue;
        }
        // Without an index nothing is lazy, and nothing is wrong.
        let bare = verified(&Context::fixture(&name));
        assert_eq!(bare.findings, [], "{name}");
        assert!(!bare.images.is_empty(), "{name}");
        for image in &bare.images {
            assert_eq!((image.lazy_layers, image.eager.len() as u64), (0, image.layers), "{name}");
        }
        if name == "zstd" {
            continue;
        }
        for version in [IndexVersion::V1, IndexVersion::V2, IndexVersion::Both] {
            let verification = verified(&indexed(&name, version));
            assert_eq!(verification.findings, [], "{name} {version:?}");
            assert!(verification.files > 10, "{name}: {verification:?}");
        }
        count += 1;
    }
    assert!(count > 10);
}

#[test]
fn numbers_of_a_ztoc() {
    let context = change_ztoc("single", |ztoc| ztoc.compressed_archive_size += 1);
    found(&context, IoError, "compressed_archive_size");
    // The end of the archive holds zeros only; the files must be in front of it.
    let context = change_ztoc("single", |ztoc| ztoc.uncompressed_archive_size -= 512);
    found(&context, Misleading, "uncompressed_archive_size");
    let context = change_ztoc("single", |ztoc| ztoc.uncompressed_archive_size = 600);
    found(&context, IoError, "uncompressed_archive_size");
    let context = change_ztoc("single", |ztoc| ztoc.uncompressed_archive_size += 1 << 30);
    found(&context, IoError, "uncompressed_archive_size");
    let context = change_ztoc("single", |ztoc| ztoc.span_digests[1] = Digest::of(b"other"));
    assert_eq!(found(&context, IoError, "digest of span 1").len(), 1);
    let context = change_ztoc("uncompressed", |ztoc| {
        let Zinfo::Tar(tar) = ztoc.zinfo else { panic!("tar") };
        ztoc.zinfo = Zinfo::Tar(TarZinfo { size: tar.size - 1, ..tar });
    });
    found(&context, IoError, "size in its span table");
    let context = change_ztoc("uncompressed", |ztoc| ztoc.span_digests[0] = Digest::of(b"other"));
    found(&context, IoError, "digest of span 0");
    // What a reader refuses at once.
    let context = change_ztoc("single", |ztoc| ztoc.span_digests.truncate(1));
    found(&context, LayerEager, "the zTOC blob");
}

#[test]
fn every_field_of_a_checkpoint() {
    for number in [1, 2] {
        let at = HEADER + number * RECORD;
        // Compressed offset, uncompressed offset, bits. One bit more may leave the content of a stored block
        // as it is, but then the span has another first byte.
        for field in [at, at + 8, at + 16] {
            let context = change_zinfo(|bytes| bytes[field] ^= 1);
            let findings = verified(&context).findings;
            assert!(
                findings.iter().any(|f| matches!(f.consequence, WrongBytes | IoError | LayerEager)),
                "byte {field}: {findings:#?}"
            );
        }
    }
    let context = change_zinfo(|bytes| bytes[4] ^= 1);
    found(&context, Misleading, "com.amazon.soci.span-size");
}

#[test]
fn any_bit_of_a_window() {
    for (number, byte, bit) in
        [(0, 0, 0), (1, 0, 7), (1, 1, 0), (1, 20_000, 3), (1, 32_767, 5), (2, 32_000, 1)]
    {
        let context = change_zinfo(|bytes| bytes[HEADER + number * RECORD + 17 + byte] ^= 1 << bit);
        let place = format!("window of checkpoint {number}, byte {byte}");
        // Whether a span refers to that very byte is decided by inflating from there.
        let findings = verified(&context).findings;
        assert!(findings.iter().any(|f| f.place == place), "{findings:#?}");
        let gravest = findings.iter().map(|f| f.consequence).min();
        assert!(matches!(gravest, Some(WrongBytes | IoError | Misleading)), "{findings:#?}");
        if number == 0 {
            assert_eq!(gravest, Some(Misleading), "nothing is in front of the first block");
        }
    }
    // All zeros, as a careless builder would store them.
    let context = change_zinfo(|bytes| {
        for record in bytes[HEADER..].chunks_mut(RECORD) {
            record[17..].fill(0);
        }
    });
    found(&context, WrongBytes, "window of checkpoint");
}

#[test]
fn every_field_of_an_entry() {
    type Change = fn(&mut Owned);
    let changes: [(&str, Consequence, Change); 15] = [
        ("name", WrongBytes, |e| e.texts[0].push(b'x')),
        ("linkname", IoError, |e| e.texts[1].push(b'x')),
        ("uname", Misleading, |e| e.texts[2].push(b'x')),
        ("gname", Misleading, |e| e.texts[3].push(b'x')),
        ("type", WrongBytes, |e| e.file_type = FileType::Fifo),
        ("uncompressed_offset", IoError, |e| e.numbers[0] += 1),
        ("uncompressed_size", IoError, |e| e.numbers[1] -= 1),
        ("mode", IoError, |e| e.numbers[2] ^= 0o111),
        ("device number", IoError, |e| e.numbers[3] += 1),
        ("device number", IoError, |e| e.numbers[4] += 1),
        ("uid", IoError, |e| e.owner[0] += 1),
        ("gid", IoError, |e| e.owner[1] += 1),
        ("mod_time", IoError, |e| e.mod_time.nanoseconds += 1),
        ("extended attributes", IoError, |e| {
            e.pax.push((b"SCHILY.xattr.user.x".to_vec(), b"y".to_vec()));
        }),
        ("PAX records", Misleading, |e| e.pax.push((b"comment".to_vec(), b"y".to_vec()))),
    ];
    for (field, consequence, change) in changes {
        let context = change_entries(|entries| {
            let position = file(entries);
            // A hard link to a file of another name would be the graver thing.
            let name = entries[position].texts[0].clone();
            assert!(
                entries.iter().all(|e| e.file_type != FileType::HardLink || e.texts[1] != name)
            );
            change(&mut entries[position]);
            entries[position].pax.sort();
        });
        let findings = found(&context, consequence, &format!("{field} of entry"));
        assert_eq!(findings.len(), 1, "{field}: {findings:#?}");
    }
    // Nobody compares a directory with its header.
    let context = change_entries(|entries| {
        let directory = entries.iter_mut().find(|e| e.file_type == FileType::Directory);
        directory.expect("a directory").numbers[2] ^= 0o22;
    });
    found(&context, WrongBytes, "mode of entry");
    let context = change_entries(|entries| drop(entries.pop()));
    found(&context, WrongBytes, "the number of entries");
    let context = change_entries(|entries| {
        let twice = entries.last().unwrap().clone();
        entries.push(Owned { file_type: FileType::Fifo, ..twice });
    });
    assert!(!verified(&context).findings.is_empty());
}

fn change_index(version: IndexVersion, change: impl FnOnce(&str) -> String) -> Context {
    let context = indexed("single", version);
    let (digest, document) = soci_index(&context);
    let changed = change(&document);
    assert_ne!(changed, document);
    replace(&context, &digest, changed.as_bytes());
    context
}

#[test]
fn the_text_of_a_soci_index() {
    type Change = fn(&str) -> String;
    let changes: [(&str, Consequence, Change); 7] = [
        ("JSON text", Rejected, |text| {
            text.replace("{\"schemaVersion\":2,", "{\"schemaVersion\": 2,")
        }),
        ("JSON text", Rejected, |text| format!("{text}\n")),
        ("JSON text", Rejected, |text| {
            text.replace("{\"schemaVersion\":2,", "{").replacen(
                "\"config\"",
                "\"schemaVersion\":2,\"config\"",
                1,
            )
        }),
        ("example", Rejected, |text| {
            format!("{},\"example\":1}}", text.strip_suffix('}').unwrap())
        }),
        ("config.digest", Misleading, |text| {
            let empty = Digest::of(b"{}").to_string();
            text.replacen(&empty, &Digest::of(b"").to_string(), 1)
        }),
        ("image-layer-mediaType", Misleading, |text| {
            text.replacen("layer.v1.tar+gzip", "layer.v1.tar", 1)
        }),
        ("image-layer-digest", LayerEager, |text| {
            let key = "\"com.amazon.soci.image-layer-digest\":\"sha256:";
            let at = text.find(key).unwrap() + key.len();
            format!("{}{}{}", &text[..at], "0".repeat(64), &text[at + 64..])
        }),
    ];
    for (place, consequence, change) in changes {
        found(&change_index(IndexVersion::V2, change), consequence, place);
    }
    let context = change_index(IndexVersion::V2, |text| {
        text.replacen(
            "\"annotations\":{\"com.amazon.soci.image",
            "\"annotations\":{\"com.amazon.soci.disable-xattrs\":\"true\",\"com.amazon.soci.image",
            1,
        )
    });
    // Whether that is wrong depends on the layer.
    let findings = verified(&context).findings;
    assert!(
        findings.iter().all(|f| f.consequence == WrongBytes && f.place.contains("disable-xattrs")),
        "{findings:#?}"
    );
}

#[test]
fn what_is_missing_or_damaged() {
    let flip = |context: &Context, digest: &str| {
        let path = context.blob_path(digest);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    };
    let image = |context: &Context| {
        let digest = text(&context.index_json()["manifests"][0]["digest"]).to_owned();
        let root = context.json(&digest);
        let manifest =
            root.get("manifests").map_or(digest, |list| text(&list[0]["digest"]).to_owned());
        (manifest.clone(), context.json(&manifest))
    };
    let context = indexed("single", IndexVersion::V2);
    let (_, manifest) = image(&context);
    let layer = text(&manifest["layers"][1]["digest"]).to_owned();
    flip(&context, &layer);
    found(&context, Unpullable, "the layer's blob");
    fs::remove_file(context.blob_path(&layer)).unwrap();
    found(&context, Unpullable, "the layer's blob");

    let context = indexed("single", IndexVersion::V2);
    let ztoc = largest_ztoc(&context);
    flip(&context, &ztoc);
    found(&context, Rejected, "the zTOC blob");
    fs::remove_file(context.blob_path(&ztoc)).unwrap();
    found(&context, Rejected, "the zTOC blob");

    let context = indexed("single", IndexVersion::V2);
    let (_, manifest) = image(&context);
    let config = text(&manifest["config"]["digest"]).to_owned();
    let mut value = context.json(&config);
    value["rootfs"]["diff_ids"][0] = Digest::of(b"other").to_string().into();
    replace(&context, &config, value.to_string().as_bytes());
    found(&context, Unpullable, "diff ID");

    // The empty configuration of the SOCI index is pushed as well.
    let context = indexed("single", IndexVersion::V2);
    flip(&context, &Digest::of(b"{}").to_string());
    found(&context, Unpullable, "the blob");

    // An annotation that leads nowhere.
    let context = indexed("single", IndexVersion::V2);
    let (name, manifest) = image(&context);
    let soci = text(&manifest["annotations"]["com.amazon.soci.index-digest"]).to_owned();
    let document = String::from_utf8(context.blob(&name)).unwrap();
    let changed = document.replace(&soci, &Digest::of(b"nowhere").to_string());
    replace(&context, &name, changed.as_bytes());
    found(&context, Rejected, "com.amazon.soci.index-digest");
}

#[test]
fn ztocs_of_two_layers_swapped() {
    let context = change_index(IndexVersion::V2, |text| {
        let value: Value = serde_json::from_str(text).unwrap();
        let digest = |number: usize| {
            value["layers"][number]["annotations"]["com.amazon.soci.image-layer-digest"]
                .as_str()
                .unwrap()
        };
        let (a, b) = (digest(0), digest(1));
        text.replace(a, "\0").replace(b, a).replace('\0', b)
    });
    let findings = verified(&context).findings;
    assert!(
        findings.iter().any(|f| f.consequence == IoError && f.place.contains("digest of span")),
        "{findings:#?}"
    );
    assert!(findings.len() > 10);
}

#[test]
fn members_that_nobody_knows_switch_no_check_off() {
    // What serde_json's Value does not take, and Go's decoder passes over.
    for member in ["1e999".to_owned(), "[".repeat(200) + &"]".repeat(200), "\"\\ud800\"".to_owned()]
    {
        let context = indexed("single", IndexVersion::V2);
        let manifest = text(&context.index_json()["manifests"][0]["digest"]).to_owned();
        let manifest = match context.json(&manifest)["manifests"].as_array() {
            Some(list) => text(&list[0]["digest"]).to_owned(),
            None => manifest,
        };
        let config = text(&context.json(&manifest)["config"]["digest"]).to_owned();
        let changed = String::from_utf8(context.blob(&manifest)).unwrap();
        replace(
            &context,
            &manifest,
            changed.replacen('{', &format!("{{\"x\":{member},"), 1).as_bytes(),
        );
        fs::remove_file(context.blob_path(&config)).unwrap();
        found(&context, Unpullable, "the image's configuration");
    }
}

#[test]
fn a_diff_id_that_is_no_digest_is_found() {
    for id in ["null", "\"\"", "\"sha512:ab\""] {
        let context = indexed("single", IndexVersion::V2);
        let root = text(&context.index_json()["manifests"][0]["digest"]).to_owned();
        let manifest = text(&context.json(&root)["manifests"][0]["digest"]).to_owned();
        let config = text(&context.json(&manifest)["config"]["digest"]).to_owned();
        let mut value = context.json(&config);
        value["rootfs"]["diff_ids"][0] = serde_json::from_str(id).unwrap();
        replace(&context, &config, value.to_string().as_bytes());
        found(&context, Unpullable, "rootfs.diff_ids[0]");
    }
}
