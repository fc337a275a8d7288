//! `soci-layout ls`: what is listed, in which form, and what is said when it cannot be.

use serde_json::Value;
use soci_layout::files::{EntryKind, FilesOptions, LayerChoice};
use soci_layout::{Error, Options};

use crate::context::{Context, fixtures};
use crate::files::{Archive, all, fixture_names, images, layout, open, program, utf8};

/// Three layers with all that can happen between them.
fn stack() -> Context {
    layout(&[
        Archive::new()
            .directory("etc/")
            .file("etc/passwd", b"root")
            .file("etc/shadow", b"secret")
            .directory("old/")
            .file("old/a", b"a")
            .file("old/b", b"b")
            .directory("cache/")
            .file("cache/x", b"x")
            .link("conf", "etc")
            .gzip(),
        Archive::new()
            .file("etc/.wh.shadow", b"")
            .file(".wh.old", b"")
            .directory("cache/")
            .file("cache/.wh..wh..opq", b"")
            .file("cache/y", b"yy")
            .add(b"etc/hard", tar::EntryType::Regular, "", b"link")
            .add(b"etc/same", tar::EntryType::Link, "etc/hard", b"")
            .plain(),
        Archive::new()
            .file("etc/passwd", b"root and more")
            .link("loop", "loop")
            .link("out", "../../../../etc/passwd")
            .gzip(),
    ])
}

#[track_caller]
fn listed(context: &Context, arguments: &[&str]) -> String {
    let output = program(context, "ls", arguments);
    assert_eq!(output.status.code(), Some(0), "{}", utf8(&output.stderr));
    utf8(&output.stdout).to_owned()
}

#[test]
fn merged_and_one_layer() {
    for indexed in [false, true] {
        let context = stack();
        if indexed {
            context.index(&Context::options()).unwrap();
        }
        assert_eq!(listed(&context, &[]), "cache\nconf\netc\nloop\nout\n");
        let recursive =
            "/:\ncache\nconf\netc\nloop\nout\n\n/cache:\ny\n\n/etc:\nhard\npasswd\nsame\n";
        assert_eq!(listed(&context, &["-R"]), recursive);
        let raw = listed(&context, &["-lR", "--layer", "2"]);
        let lines: Vec<&str> = raw.lines().collect();
        assert_eq!(
            lines[1],
            "w--------- 1000:7 0 2023-11-14T22:13:20Z .wh.old".replace("---------", "rw-r--r--")
        );
        assert!(raw.contains(" .wh..wh..opq\n") && raw.contains(" .wh.shadow\n"), "{raw}");
        assert!(
            raw.contains("hrw-r--r-- 1000:7 0 2023-11-14T22:13:20Z same link to etc/hard\n"),
            "{raw}"
        );
    }
}

#[test]
fn paths_as_ls_takes_them() {
    let context = stack();
    // A link to a directory is followed, unless its own attributes are asked for.
    assert_eq!(listed(&context, &["/conf"]), "hard\npasswd\nsame\n");
    assert_eq!(
        listed(&context, &["-l", "conf"]),
        "lrw-r--r-- 1000:7 0 2023-11-14T22:13:20Z conf -> etc\n"
    );
    assert!(listed(&context, &["-l", "conf/"]).contains(" passwd\n"));
    assert!(listed(&context, &["-lL", "conf"]).contains(" passwd\n"));
    assert_eq!(listed(&context, &["-d", "etc", "."]), ".\netc\n");
    assert_eq!(
        listed(&context, &["-l", "etc/passwd"]),
        "-rw-r--r-- 1000:7 13 2023-11-14T22:13:20Z etc/passwd\n"
    );
    assert!(
        listed(&context, &["-lL", "/"]).contains("-rw-r--r-- 1000:7 13 2023-11-14T22:13:20Z out\n")
    );
    // Files first, then directories with titles.
    assert_eq!(
        listed(&context, &["/cache", "/out", "/etc/passwd"]),
        "/etc/passwd\n/out\n\n/cache:\ny\n"
    );
    let output = program(&context, "ls", &["/nothing", "/cache", "/loop/x", "/etc/passwd/"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(utf8(&output.stdout), "/cache:\ny\n");
    let told = utf8(&output.stderr);
    for part in [
        "/nothing: no such file or directory",
        "/loop/x: too many levels of symbolic links",
        "/etc/passwd/: not a directory",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn json_has_all_of_it() {
    let context = layout(&[Archive::new()
        .file("a\u{202e}b", b"12345")
        .add(b"caf\xe9", tar::EntryType::Symlink, "x", b"")
        .directory("d/")
        .gzip()]);
    let output = program(&context, "ls", &["--json", "-q", "/", "missing"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!utf8(&output.stdout).contains('\u{202e}'));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!(document["image"]["platform"], "linux/amd64");
    assert_eq!(document["layers"][0]["ztoc"], Value::Null);
    assert_eq!(document["errors"][0]["path"], "missing");
    let entries = document["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0]["path"], "/a\u{202e}b");
    assert_eq!((&entries[0]["size"], &entries[0]["mode"]), (&5.into(), &"0644".into()));
    assert_eq!(entries[1]["path"], "/caf\u{fffd}");
    assert_eq!(entries[1]["path_base64"], "L2NhZuk=");
    assert_eq!((&entries[1]["type"], &entries[1]["target"]), (&"symlink".into(), &"x".into()));
    assert_eq!(entries[2]["modified"], "2023-11-14T22:13:20Z");
    // Without JSON such names are escaped.
    assert_eq!(listed(&context, &[]), "a\\u{202e}b\ncaf\\xe9\nd\n");
    let empty: Value = serde_json::from_str(&listed(&context, &["--json", "/d"])).unwrap();
    assert_eq!(empty["entries"], Value::Array(Vec::new()));
}

#[test]
fn attributes_of_real_images() {
    let context = Context::fixture("single");
    let long = listed(&context, &["-lRv"]);
    for part in ["\npr", "\ncr", "security.capability=\"", " -> ", "\n-rwsr-xr-x "] {
        assert!(long.contains(part), "{part:?}: {long}");
    }
}

#[test]
fn a_layer_without_a_ztoc_is_said() {
    let context = stack();
    let output = program(&context, "ls", &[]);
    assert!(
        utf8(&output.stderr).contains("3 of 3 layers without zTOC"),
        "{}",
        utf8(&output.stderr)
    );
    let output = program(&context, "ls", &["-v"]);
    assert!(utf8(&output.stderr).contains("layer 2 (sha256:"), "{}", utf8(&output.stderr));
    assert_eq!(utf8(&program(&context, "ls", &["-q"]).stderr), "");
    let options = with!(Context::options(), accept_unlike_unpacked = true);
    context.index(&options).unwrap();
    assert_eq!(utf8(&program(&context, "ls", &["-v"]).stderr), "");
    // A zTOC that cannot be read is a warning, and the names are the same.
    let image = open(&context, &FilesOptions::default()).unwrap();
    let ztoc = image.layers()[0].ztoc.unwrap().to_string();
    std::fs::remove_file(context.blob_path(&ztoc)).unwrap();
    let output = program(&context, "ls", &["-q"]);
    let told = utf8(&output.stderr);
    assert!(told.contains("warning:") && told.contains(&ztoc), "{told}");
    assert_eq!(utf8(&output.stdout), "cache\nconf\netc\nloop\nout\n");
}

#[test]
fn one_image_must_remain() {
    let context = Context::fixture("appended");
    let refused = |options: &FilesOptions| open(&context, options).unwrap_err();
    let error = refused(&FilesOptions::default());
    assert!(matches!(error, Error::SeveralImages { .. }), "{error}");
    for part in ["v1 linux/amd64 sha256:", "v1 linux/arm64", "v2, latest linux/amd64"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(crate::hints::hint(&error, true).unwrap().contains("--ref"));
    let named = |name: &str, platform: Option<&str>| {
        with!(
            FilesOptions::default(),
            reference = Some(name.to_owned()),
            platform = platform.map(|platform| platform.parse().unwrap())
        )
    };
    assert!(open(&context, &named("v2", None)).is_ok());
    assert!(matches!(refused(&named("v3", None)), Error::NoSuchRef { .. }));
    assert!(matches!(refused(&named("v1", Some("linux/s390x"))), Error::NoSuchPlatform { .. }));
    // Of several platforms the machine's is taken.
    match (std::env::consts::ARCH, open(&context, &named("v1", None))) {
        ("x86_64", Ok(image)) => {
            assert_eq!(image.platform().to_string(), "linux/amd64");
            assert_eq!(image.left_out(), ["linux/arm64"]);
        }
        ("aarch64", Ok(image)) => assert_eq!(image.platform().to_string(), "linux/arm64"),
        (_, Err(Error::SeveralImages { .. })) => {}
        other => panic!("{other:?}"),
    }
    let layer = |choice: &str| {
        with!(named("v2", None), layer = Some(choice.parse::<LayerChoice>().unwrap()))
    };
    let digest = open(&context, &named("v2", None)).unwrap().layers()[1].digest.to_string();
    for choice in ["2", &digest, &digest[..14]] {
        let image = open(&context, &layer(choice)).unwrap();
        assert_eq!(image.read_layers().map(|l| l.number).collect::<Vec<_>>(), [2]);
    }
    let error = refused(&layer("9"));
    assert!(error.to_string().contains(&digest), "{error}");
    assert!("0".parse::<LayerChoice>().is_err() && "sha256:".parse::<LayerChoice>().is_err());
}

/// zTOCs say of every image what its layers say.
#[test]
fn with_and_without_an_index_the_same_is_listed() {
    let mut count = 0;
    for fixture in fixture_names() {
        let bare = Context::fixture(&fixture);
        let indexed = Context::fixture(&fixture);
        let span_size = 65536;
        let options = with!(Options::default(), min_layer_size = 0, span_size);
        indexed.index(&options).unwrap();
        for options in images(&bare) {
            let (before, after) =
                (open(&bare, &options).unwrap(), open(&indexed, &options).unwrap());
            let (before, after) = (before.root().unwrap(), after.root().unwrap());
            let (names, again) = (all(&before), all(&after));
            assert!(names.keys().eq(again.keys()) && names.len() > 10, "{fixture}");
            for (one, other) in names.values().zip(again.values()) {
                let (one, other) = (before.entry(*one), after.entry(*other));
                let of = |e: &soci_layout::files::Entry<'_>| {
                    let xattrs: Vec<_> = e.xattrs().collect();
                    format!(
                        "{:?} {:o} {} {} {} {:?} {:?} {:?} {xattrs:?} {:?}",
                        e.kind(),
                        e.mode(),
                        e.uid(),
                        e.gid(),
                        e.size(),
                        e.mod_time(),
                        e.link_target(),
                        e.device(),
                        e.layer().map(|l| l.digest),
                    )
                };
                assert_eq!(of(&one), of(&other), "{fixture}");
                assert_ne!(one.kind(), EntryKind::HardLink);
            }
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

/// zstd layers hold what the gzip layers of the same build hold.
#[test]
fn zstd_layers_are_read() {
    assert!(fixtures().join("zstd").exists());
    let zstd = Context::fixture("zstd");
    let gzip = Context::fixture("single");
    assert_eq!(listed(&zstd, &["-lR"]), listed(&gzip, &["-lR"]));
    let mixed = Context::fixture("zstd-mixed");
    mixed.index(&Context::options()).unwrap();
    let output = program(&mixed, "ls", &[]);
    assert!(
        utf8(&output.stderr).contains("2 of 3 layers without zTOC"),
        "{}",
        utf8(&output.stderr)
    );
}

#[test]
fn what_cannot_be_unpacked_is_an_error() {
    let bad = || Archive::new().file("a", b"").file("x/.wh.", b"").gzip();
    let context = layout(&[Archive::new().file("a", b"").gzip(), bad()]);
    let output = program(&context, "ls", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(
        utf8(&output.stderr).contains("whiteout that names nothing"),
        "{}",
        utf8(&output.stderr)
    );
    assert_eq!(listed(&context, &["--layer", "2", "x"]), ".wh.\n");
    let encrypted = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
    let context = layout(&[bad(), (encrypted, b"cipher".to_vec())]);
    let output = program(&context, "ls", &[]);
    let told = utf8(&output.stderr);
    assert!(told.contains("encrypted") && told.contains("hint:"), "{told}");
}
