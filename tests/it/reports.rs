//! The JSON of every command is the library's report, and can be read as such again.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use soci_layout::cache::Checked;
use soci_layout::cache::Listing as CacheListing;
use soci_layout::cache::Pruned;
use soci_layout::diff::Difference;
use soci_layout::doctor::Diagnosis;
use soci_layout::files::Listing;
use soci_layout::gc::GcReport;
use soci_layout::inspect::Inspection;
use soci_layout::plan::Estimate;
use soci_layout::verify::Verification;
use soci_layout::{RemoveReport, Report};

use crate::context::{Context, fixtures};

/// Runs the program; its JSON is what its report gives when it was read from it.
fn report<T: Serialize + DeserializeOwned>(directory: &Path, arguments: &str) -> T {
    let mut program = Command::new(env!("CARGO_BIN_EXE_soci-layout"));
    program.args(arguments.split_whitespace()).arg("--json").env_clear().current_dir(directory);
    let output = program.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let json: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments}: {error}: {told}"));
    let report: T = serde_json::from_value(json.clone())
        .unwrap_or_else(|error| panic!("{arguments}: {error}: {json:#}"));
    assert_eq!(serde_json::to_value(&report).unwrap(), json, "{arguments}");
    report
}

const SMALL: &str = "--min-layer-size 0 --span-size 64KiB";

#[test]
fn of_every_command_can_be_read_again() {
    let mut seen = (0, 0, 0, 0);
    for name in ["docker-manifest-list", "multi-attest", "two-names", "zstd-mixed"] {
        let (context, before) = (Context::fixture(name), Context::fixture(name));
        let here = context.layout();
        let before = before.layout().display().to_string();
        let _: Diagnosis = report(&here, "doctor .");
        let plan: Estimate = report(&here, &format!("plan . {SMALL}"));
        let dry: Report = report(&here, &format!("index . --dry-run {SMALL}"));
        assert_eq!(plan.plan.layers.len(), dry.layers.len(), "{name}");
        let indexed = format!("index . --index-version both {SMALL} --cache-dir ../cache");
        let indexed: Report = report(&here, &indexed);
        let again: Report =
            report(&here, &format!("index . {SMALL} --prefetch-file /** --cache-dir ../cache"));
        seen.0 += again.prefetch.len();
        let inspection: Inspection = report(&here, "inspect .");
        assert_eq!(inspection.images.len(), indexed.images.len(), "{name}");
        let _: Diagnosis = report(&here, "doctor . --for fargate");
        let verification: Verification = report(&here, "verify .");
        assert_eq!(verification.findings, [], "{name}");
        let difference: Difference = report(&here, &format!("diff {before} ."));
        seen.1 += difference.images.iter().flat_map(|image| &image.layers).count();
        for image in &inspection.images {
            let Some(reference) = image.names.first() else { continue };
            let platform = image.platform.as_deref().unwrap();
            let listing: Listing =
                report(&here, &format!("ls -R . --ref {reference} --platform {platform} /"));
            assert_eq!(listing.image.digest, image.digest);
            seen.2 += listing.entries.len();
            let _: Listing = report(
                &here,
                &format!("ls . --ref {reference} --platform {platform} /no --layer 1"),
            );
        }
        let _: RemoveReport = report(&here, "remove .");
        let collected: GcReport = report(&here, "gc . --min-age 0");
        seen.3 += collected.removed.len();
        let cached: CacheListing = report(&here, "cache ls --cache-dir ../cache");
        let checked: Checked = report(&here, "cache verify --cache-dir ../cache");
        assert_eq!(checked.sound, cached.entries.len() as u64);
        let _: Pruned = report(&here, "cache prune --cache-dir ../cache --max-size 0");
    }
    assert!(seen.0 > 0 && seen.1 > 0 && seen.2 > 0 && seen.3 > 0, "{seen:?}");
}

/// What is wrong with a layout has members of its own.
#[test]
fn of_broken_layouts_can_be_read_again() {
    let context = Context::fixture("multi-attest");
    let here = context.layout();
    let _: Report = report(&here, &format!("index . {SMALL} --cache-dir ../cache"));
    let before: Inspection = report(&here, "inspect .");
    let image = &before.images[0];
    let ztoc = before.soci_indexes[0].ztocs[0].digest.to_string();
    let layer = image.layers[0].digest.to_string();
    for blob in [&ztoc, &layer] {
        let path = context.blob_path(blob);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "not it").unwrap();
    }
    fs::remove_file(context.blob_path(&image.attestations[0].to_string())).unwrap();
    fs::remove_file(context.blob_path(&before.images[1].digest.to_string())).unwrap();
    let entry = fs::read_dir(here.join("../cache")).unwrap().next().unwrap().unwrap().path();
    fs::write(entry, "{}").unwrap();

    let broken: Inspection = report(&here, "inspect .");
    assert!(!broken.blobs.broken.is_empty());
    let diagnosis: Diagnosis = report(&here, "doctor .");
    assert!(!diagnosis.findings.is_empty());
    let _: Difference =
        report(&here, &format!("diff {} .", fixtures().join("multi-attest").display()));
    let cached: CacheListing = report(&here, "cache ls --cache-dir ../cache");
    assert_eq!(cached.unusable.len(), 1);
    let checked: Checked = report(&here, "cache verify --remove --cache-dir ../cache");
    assert_eq!(checked.corrupt.len(), 1);
}

/// A file in `blobs` may have any name.
#[test]
fn of_gc_has_names_that_are_no_utf8() {
    let context = Context::fixture("single");
    let name = std::ffi::OsStr::from_bytes(b"strange\xff");
    fs::write(context.layout().join("blobs/sha256").join(name), "x").unwrap();
    let collected: GcReport = report(&context.layout(), "gc .");
    assert_eq!(collected.strangers.len(), 1);
}
