//! `soci-layout diff` for people: a tree of what is the same (`=`), changed (`~`), added (`+`) and
//! removed (`-`).

use std::fmt::Write as _;

use soci_layout::diff::{
    Change, Difference, FileDifference, ImageDifference, ImageSide, LayerDifference,
    NameDifference, SociRef,
};
use soci_layout::inspect::{Blob, Layer, Share, Ztoc};

use super::names::{short, title, version};
use super::style::{BOLD, CACHED, DIM, WARNING};
use super::tree::Branch;
use super::{Bytes, count, escape, percent, ztoc};

/// Files that are listed with `-v`.
const SHOWN: usize = 20;

/// The whole text.
pub(crate) fn text(difference: &Difference, verbose: bool) -> String {
    let mut out = String::new();
    if difference.same {
        let blobs = &difference.blobs;
        let images = count(difference.images.len() as u64, "image");
        let _ = writeln!(
            out,
            "no difference: {images}, {}, {}",
            count(blobs.common, "blob"),
            Bytes(blobs.common_bytes)
        );
        return out;
    }
    if !difference.names.is_empty() {
        let mut branch = Branch::new(format!("{BOLD}names{BOLD:#}"));
        // Names that went the same way stand together.
        for names in difference.names.chunk_by(|x, y| (&x.a, &x.b) == (&y.a, &y.b)) {
            self::names(&mut branch, names);
        }
        branch.write(&mut out);
    }
    for image in &difference.images {
        self::image(image, verbose).write(&mut out);
    }
    let blobs = &difference.blobs;
    let mut part = |mark: &str, what: &str, list: &[Blob], bytes: u64| {
        let number = count(list.len() as u64, "blob");
        let _ = writeln!(out, "{mark} {number} only in {what}, {}", Bytes(bytes));
        for blob in list.iter().filter(|_| verbose) {
            let _ = writeln!(out, "  {}  {}", blob.digest, Bytes(blob.size));
        }
    };
    part("-", "A", &blobs.only_a, blobs.only_a_bytes);
    part("+", "B", &blobs.only_b, blobs.only_b_bytes);
    let common = count(blobs.common, "blob");
    let _ = writeln!(out, "= {common} in both, {}", Bytes(blobs.common_bytes));
    out
}

fn mark(change: Change) -> String {
    match change {
        Change::Same => "=".to_owned(),
        Change::Changed => format!("{WARNING}~{WARNING:#}"),
        Change::Added => format!("{CACHED}+{CACHED:#}"),
        Change::Removed => format!("{CACHED}-{CACHED:#}"),
    }
}

fn image(image: &ImageDifference, verbose: bool) -> Branch {
    let platform = image.platform.as_deref().unwrap_or("(platform unknown)");
    let title = title(platform, &image.names.join(", "));
    let mut branch = Branch::new(format!("{} {title}", mark(image.change)));
    let mut field = |name: &str, value: String| {
        branch.line(format!("{DIM}{name:<9}{DIM:#}  {value}"));
    };
    match (&image.a, &image.b) {
        (Some(a), Some(b)) if a.digest == b.digest => field("is still", a.digest.to_string()),
        (a, b) => {
            for (word, side) in [("was", a), ("is", b)] {
                if let Some(side) = side {
                    field(word, side.digest.to_string());
                }
            }
        }
    }
    for (name, digest) in soci(image.a.as_ref(), image.b.as_ref()) {
        field(&name, digest);
    }
    let sides = [&image.a, &image.b].into_iter().flatten();
    let mut shares: Vec<_> = sides.map(|side| side.lazy).collect();
    shares.dedup();
    field("lazy", shares.iter().map(share).collect::<Vec<_>>().join(" → "));
    for layer in &image.layers {
        branch.child(self::layer(layer, verbose));
    }
    branch
}

fn layer(layer: &LayerDifference, verbose: bool) -> Branch {
    let sides = (layer.a.as_ref(), layer.b.as_ref());
    let blob =
        |layer: &Layer| format!("{}  {:>9}", short(&layer.digest, verbose), Bytes(layer.size));
    let blob = match sides {
        (Some(a), Some(b)) if layer.change == Change::Changed => {
            format!("{} → {}", blob(a), blob(b))
        }
        (a, b) => a.or(b).map(blob).unwrap_or_default(),
    };
    let mut branch = Branch::new(format!("{} {blob}{}", mark(layer.change), ztocs(layer, verbose)));
    if layer.same_content {
        branch.line("the same archive, compressed in another way");
    }
    for contrast in &layer.contrasts {
        let (a, b) = (escape::label(&contrast.a), escape::label(&contrast.b));
        branch.line(format!("{}: {a} → {b}", escape::label(&contrast.place)));
    }
    if let Some(files) = &layer.files {
        self::files(&mut branch, files, verbose);
    }
    branch
}

/// The zTOCs of a layer, behind it on its line.
fn ztocs(layer: &LayerDifference, verbose: bool) -> String {
    let of = |layer: &Option<Layer>| layer.as_ref().and_then(|layer| layer.ztoc.clone());
    let (a, b) = (of(&layer.a), of(&layer.b));
    let one = |of: &Ztoc| {
        let numbers = match &of.head {
            Some(head) => ztoc(of.size, head.spans, head.files),
            None => format!("{}, cannot be read", Bytes(of.size)),
        };
        format!("{}  {numbers}", short(&of.digest, verbose))
    };
    match (layer.ztoc, a, b) {
        (Some(Change::Same), Some(a), _) => {
            format!("  = zTOC {}  reused", short(&a.digest, verbose))
        }
        (Some(change @ Change::Changed), Some(a), Some(b)) => {
            format!("  {} zTOC {} → {}", mark(change), one(&a), one(&b))
        }
        (Some(change), a, b) => {
            let ztoc = a.or(b).map(|ztoc| one(&ztoc)).unwrap_or_default();
            // A layer that is new or gone says so itself.
            if layer.change == change {
                format!("  zTOC {ztoc}")
            } else {
                format!("  {} zTOC {ztoc}", mark(change))
            }
        }
        (None, ..) => "  no zTOC".to_owned(),
    }
}

fn files(branch: &mut Branch, files: &FileDifference, verbose: bool) {
    let FileDifference { added, removed, changed, unchanged, examples, .. } = files;
    if added + removed + changed == 0 {
        branch.line(format!("files: all {unchanged} as before"));
        return;
    }
    branch.line(format!(
        "files: {added} added, {removed} removed, {changed} changed, {unchanged} as before"
    ));
    let limit = if verbose { SHOWN } else { 0 };
    for file in examples.iter().take(limit) {
        branch.line(format!("  {} {}", mark(file.change), escape::label(&file.name)));
    }
    let more = (added + removed + changed).saturating_sub(limit as u64);
    if verbose && more > 0 {
        branch.line(format!("  and {more} more"));
    }
}

fn names(branch: &mut Branch, names: &[NameDifference]) {
    let texts: Vec<_> = names.iter().map(|name| escape::label(&name.name)).collect();
    let mut line = Branch::new(format!("{} {}", mark(names[0].change), texts.join(", ")));
    for (word, digest) in [("was", &names[0].a), ("is", &names[0].b)] {
        if let Some(digest) = digest {
            line.line(format!("{DIM}{word:<3}{DIM:#}  {}", escape::label(digest)));
        }
    }
    branch.child(line);
}

/// The SOCI indexes of both sides: what stays, what goes, what comes.
fn soci(a: Option<&ImageSide>, b: Option<&ImageSide>) -> Vec<(String, String)> {
    let (a, b) = (a.map_or(&[][..], |a| &a.soci_indexes), b.map_or(&[][..], |b| &b.soci_indexes));
    let old = a.iter().map(|soci| (if b.contains(soci) { "=" } else { "-" }, soci));
    let new = b.iter().filter(|soci| !a.contains(soci)).map(|soci| ("+", soci));
    let line = |(mark, soci): (&str, &SociRef)| {
        (format!("{mark} SOCI {}", version(soci.soci_version)), soci.digest.to_string())
    };
    old.chain(new).map(line).collect()
}

fn share(share: &Share) -> String {
    let percent = percent(share.bytes, share.of_bytes);
    format!("{} of {} ({percent})", share.layers, count(share.of_layers, "layer"))
}
