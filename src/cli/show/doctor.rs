//! `soci-layout doctor` for people: how much is lazy, then each finding with its places and its remedy.

use std::fmt::Write as _;

use soci_layout::doctor::{Diagnosis, Examined, Finding, Place};

use super::names::{names, title};
use super::style::{HINT, WARNING};
use super::{count, escape, findings, json, part};

/// The whole text.
pub(crate) fn text(diagnosis: &Diagnosis) -> String {
    let mut out = String::new();
    for image in &diagnosis.images {
        self::image(&mut out, image);
    }
    for same in grouped(&diagnosis.findings) {
        group(&mut out, &same);
    }
    let total = findings(diagnosis.findings.len() as u64 + diagnosis.more);
    let _ = match diagnosis.more {
        0 => writeln!(out, "{total}"),
        more => writeln!(out, "{total}, {more} of them not shown"),
    };
    out.extend(diagnosis.unseen.as_deref().map(super::message::note));
    out
}

fn image(out: &mut String, image: &Examined) {
    let platform = image.platform.as_deref().unwrap_or("(no platform)");
    let title = format!("{} of {}", title(platform, ""), escape::label(&names(&image.names)));
    let lazy = &image.lazy;
    let (layers, share) = (count(lazy.of_layers, "layer"), part(lazy.bytes, lazy.of_bytes));
    let _ = writeln!(out, "{title}: {} of {layers} load lazily, {share}", lazy.layers);
}

/// Findings of one kind that have the same remedy, in the order of the first of each.
fn grouped(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        let same = |group: &&mut Vec<&Finding>| {
            group[0].kind == finding.kind && group[0].remedy == finding.remedy
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
}

fn group(out: &mut String, same: &[&Finding]) {
    let _ = writeln!(out, "\n{WARNING}{}{WARNING:#}", json::word(&same[0].kind));
    for finding in same {
        let sentence = escape::message(&finding.sentence);
        let _ = match place(&finding.place) {
            place if place.is_empty() => writeln!(out, "  {sentence}"),
            place => writeln!(out, "  {place}: {sentence}"),
        };
    }
    let remedy = escape::message(&same[0].remedy);
    let _ = writeln!(out, "  {HINT}remedy:{HINT:#} {remedy}");
}

/// `linux/amd64 of v1, layer 2 (3f6d2009f6ed)`, as far as it applies.
fn place(place: &Place) -> String {
    let mut parts = Vec::new();
    let names = place.names.join(", ");
    match (&place.platform, place.image) {
        (Some(platform), _) => parts.push(escape::label(platform).into_owned()),
        (None, Some(image)) => parts.push(image.short()),
        (None, None) => {}
    }
    if let (Some(last), false) = (parts.last_mut(), names.is_empty()) {
        let _ = write!(last, " of {}", escape::label(&names));
    }
    let blob = place.blob.map(|blob| blob.short());
    match (place.layer, blob) {
        (Some(number), Some(blob)) => parts.push(format!("layer {number} ({blob})")),
        (_, Some(blob)) => parts.push(blob),
        (_, None) => {}
    }
    parts.join(", ")
}
