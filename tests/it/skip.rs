//! `--skip-layer`: layers that are left alone because somebody says so.

use soci_layout::layer::EagerCause;
use soci_layout::report::{LayerOutcome, Report};
use soci_layout::{Error, LayerChoice, Options};

use crate::context::Context;
use crate::inspect::{run, stdout};

fn options(choices: &[&str]) -> Options {
    let skip_layers = choices.iter().map(|choice| choice.parse().unwrap()).collect();
    with!(Context::options(), skip_layers)
}

/// Whether each distinct layer was left out.
fn excluded(report: &Report) -> Vec<bool> {
    let excluded = |outcome: &LayerOutcome| matches!(outcome, LayerOutcome::Skipped(reason) if reason.cause == EagerCause::Excluded);
    report.layers.iter().map(|layer| excluded(&layer.outcome)).collect()
}

#[test]
fn by_number_and_by_digest() {
    let context = Context::fixture("single");
    let report = context.index(&options(&["2"])).unwrap();
    assert_eq!(excluded(&report), [false, true, false, false]);
    let digest = report.layers[2].digest.to_string();
    // The index of before is replaced; so is what it says of layer 2.
    let report = context.index(&options(&["1", &digest[..20]])).unwrap();
    assert_eq!(excluded(&report), [true, false, true, false]);
    assert!(report.changed && matches!(report.layers[1].outcome, LayerOutcome::Indexed { .. }));
    let planned = context.index(&with!(options(&["4"]), dry_run = true)).unwrap();
    assert_eq!(excluded(&planned), [false, false, false, true]);
}

#[test]
fn a_number_counts_in_every_image() {
    let context = Context::fixture("multi-attest");
    let report = context.index(&options(&["2"])).unwrap();
    // Two images with a layer 2 of their own, and the first and third in common.
    assert_eq!(excluded(&report), [false, true, false, true]);
    // A layer that is left out of one image is left out of all.
    let second = report.images[1].layers[0];
    assert_eq!(report.images[0].layers[0], second);
}

#[test]
fn a_layer_that_no_image_has_is_an_error() {
    for choice in ["5", "sha256:0000"] {
        let context = Context::fixture("single");
        let before = context.files();
        let error = context.index(&options(&[choice])).unwrap_err();
        assert!(matches!(&error, Error::NoSuchLayer { found, .. } if found.len() == 4), "{error}");
        assert_eq!(context.files(), before);
    }
}

/// What was asked for is no failure.
#[test]
fn strict_runs_take_it() {
    let context = Context::fixture("single");
    let report = context.index(&with!(options(&["1"]), strict = true)).unwrap();
    assert_eq!(excluded(&report), [true, false, false, false]);
    assert!("0".parse::<LayerChoice>().is_err());
}

#[test]
fn the_command_and_what_others_say_of_it() {
    let context = Context::fixture("single");
    let layout = context.layout();
    let small: [&dyn AsRef<std::ffi::OsStr>; 6] =
        [&layout, &"-q", &"--min-layer-size", &"0", &"--skip-layer", &"3"];
    stdout(run("index", &small));
    let shown = stdout(run("verify", &[&layout, &"--progress", &"quiet"]));
    assert!(shown.contains("3 of 4 layers lazy") && shown.contains("no findings"), "{shown}");
    let wrong = run("index", &[&layout, &"--skip-layer", &"9"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("no layer 9"), "{wrong:?}");
}
