//! `soci-layout inspect` for people: a tree of names, images and layers.
//!
//! Digests that are copied (roots, images, SOCI indexes) stand in full, those that are only told apart
//! (layers, zTOCs) are short; `-v` shows all of them in full. What is wrong is said where it is.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use soci_layout::Digest;
use soci_layout::inspect::{
    BrokenBlob, Content, Eager, Entry, Image, Inspection, Layer, Prefetch, Problem, Shape,
    SociIndex, Ztoc,
};

use super::names::{names, short, title, version};
use super::style::{BOLD, DIM, WARNING};
use super::table::Table;
use super::tree::Branch;
use super::{Bytes, count, escape, part, startup};

/// Blobs of one kind that are listed without `-v`.
const SHOWN: usize = 10;

/// The whole text.
pub(crate) fn text(inspection: &Inspection, verbose: bool) -> String {
    let mut attested = HashMap::new();
    statements(&inspection.roots, &mut attested);
    let show = Show {
        inspection,
        images: inspection.images.iter().map(|image| (image.digest, image)).collect(),
        soci: inspection.soci_indexes.iter().map(|soci| (soci.digest, soci)).collect(),
        statements: attested,
        verbose,
    };
    let mut out = String::new();
    let mut roots: Vec<(Vec<&str>, &Entry)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for root in &inspection.roots {
        let names = root.names.iter().map(String::as_str);
        // Several names of one image are one root for people.
        match places.get(root.digest.as_str()) {
            Some(place) if !root.digest.is_empty() => roots[*place].0.extend(names),
            _ => {
                places.insert(&root.digest, roots.len());
                roots.push((names.collect(), root));
            }
        }
    }
    for (names, root) in roots {
        show.root(&names, root).write(&mut out);
    }
    show.blobs(&mut out);
    out
}

struct Show<'a> {
    inspection: &'a Inspection,
    images: HashMap<Digest, &'a Image>,
    soci: HashMap<Digest, &'a SociIndex>,
    /// By the digests of the attestations.
    statements: HashMap<&'a str, &'a [String]>,
    verbose: bool,
}

fn statements<'a>(entries: &'a [Entry], found: &mut HashMap<&'a str, &'a [String]>) {
    for entry in entries {
        match &entry.content {
            Content::Attestation { statements, .. } => {
                found.entry(&entry.digest).or_insert(statements);
            }
            Content::Index { entries } | Content::Referrers { entries, .. } => {
                statements(entries, found);
            }
            _ => {}
        }
    }
}

impl Show<'_> {
    fn root(&self, names: &[&str], root: &Entry) -> Branch {
        let name = title(&self::names(names), "");
        match &root.content {
            Content::Index { entries } => {
                let mut branch = Branch::new(format!("{name}  {}", escape::label(&root.digest)));
                self.entries(&mut branch, entries);
                branch
            }
            Content::Referrers { subject, entries } => {
                let of = self.called(&subject.to_string());
                let head = format!("{name}  referrers of {of}");
                let mut branch = Branch::new(head).with(escape::label(&root.digest));
                self.entries(&mut branch, entries);
                branch
            }
            _ => {
                let mut branch = Branch::new(name);
                branch.child(self.entry(root));
                branch
            }
        }
    }

    /// Entries of an index: what belongs to an image is shown with it and not once more.
    fn entries(&self, branch: &mut Branch, entries: &[Entry]) {
        let here: HashSet<&str> = entries
            .iter()
            .filter(|entry| matches!(entry.content, Content::Image { .. }))
            .map(|entry| entry.digest.as_str())
            .collect();
        for entry in entries {
            let belongs = match &entry.content {
                Content::SociIndex => self.soci_of(&entry.digest).is_none_or(|soci| {
                    soci.images.iter().any(|image| here.contains(&image.to_string().as_str()))
                }),
                Content::Attestation { image: Some(image), present: true, .. } => {
                    here.contains(&image.as_str())
                }
                _ => false,
            };
            if !belongs {
                branch.child(self.entry(entry));
            }
        }
    }

    fn soci_of(&self, digest: &str) -> Option<&SociIndex> {
        self.soci.get(&digest.parse().ok()?).copied()
    }

    fn entry(&self, entry: &Entry) -> Branch {
        let digest = escape::label(&entry.digest);
        match &entry.content {
            Content::Image { .. } => self.image(entry),
            Content::Index { entries } | Content::Referrers { entries, .. } => {
                let mut branch = Branch::new(format!("index  {digest}"));
                self.entries(&mut branch, entries);
                branch
            }
            Content::SociIndex => {
                let Some(soci) = self.soci_of(&entry.digest) else {
                    return Branch::new(format!("SOCI index  {digest}"));
                };
                let version = version(soci.soci_version);
                if let Some(image) = soci.images.first() {
                    let of = self.called(&image.to_string());
                    return Branch::new(format!("SOCI {version} of {of}  {digest}"));
                }
                let ztocs = soci.ztocs.iter();
                let bytes = ztocs.clone().fold(0_u64, |sum, ztoc| sum.saturating_add(ztoc.size));
                let ztocs = count(ztocs.len() as u64, "zTOC");
                Branch::new(format!("SOCI {version}  {digest}"))
                    .with(format!("{WARNING}belongs to no image{WARNING:#} here"))
                    .with(format!("{ztocs}, {}", Bytes(bytes)))
            }
            Content::Attestation { image, belongs, present, statements } => {
                let of = match image {
                    Some(image) if *belongs => format!(" of {}", self.called(image)),
                    Some(image) => format!(" of {}, which is not here", escape::label(image)),
                    None => String::new(),
                };
                let mut branch = Branch::new(format!("attestation{of}  {digest}"));
                if !present {
                    branch.line(format!("{WARNING}missing{WARNING:#}"));
                }
                for statement in statements {
                    branch.line(escape::label(statement));
                }
                branch
            }
            Content::Artifact { artifact_type, subject } => {
                let of =
                    subject.map(|subject| format!(" of {}", self.called(&subject.to_string())));
                let head = format!("artifact{}  {digest}", of.unwrap_or_default());
                Branch::new(head).with(escape::label(artifact_type))
            }
            Content::Missing { platform } => {
                let of =
                    platform.as_ref().map(|platform| format!(" of {}", escape::label(platform)));
                let head = format!("manifest{}  {digest}", of.unwrap_or_default());
                Branch::new(head).with(format!("{WARNING}missing{WARNING:#}"))
            }
            Content::Unreadable { problem } => {
                let digest = if digest.is_empty() { "(no digest)".into() } else { digest };
                let problem = escape::label(problem);
                Branch::new(format!("entry  {digest}"))
                    .with(format!("{WARNING}cannot be read:{WARNING:#} {problem}"))
            }
            _ => Branch::new(format!("{}  {digest}", escape::label(&entry.media_type))),
        }
    }

    /// An image by its platform where it is known, else by its digest.
    fn called(&self, digest: &str) -> String {
        let image = digest.parse().ok().and_then(|digest: Digest| self.images.get(&digest));
        let platform = image.and_then(|image| image.platform.as_deref());
        escape::label(platform.unwrap_or(digest)).into_owned()
    }

    fn image(&self, entry: &Entry) -> Branch {
        let digest = entry.digest.parse().ok();
        let Some(image) = digest.and_then(|digest: Digest| self.images.get(&digest)) else {
            return Branch::new(escape::label(&entry.digest));
        };
        let platform = image.platform.as_deref().unwrap_or("(platform unknown)");
        let mut branch = Branch::new(format!("{}  {}", title(platform, ""), image.digest));
        let mut field = |name: &str, value: String| {
            branch.line(format!("{DIM}{name:<8}{DIM:#}  {value}"));
        };
        let own = image.soci_indexes.iter().filter_map(|digest| self.soci.get(digest));
        for soci in own.clone() {
            field(&format!("SOCI {}", version(soci.soci_version)), self.soci_line(soci));
        }
        field("lazy", lazy(image));
        for prefetch in own.flat_map(|soci| &soci.prefetch) {
            let of = |layer: &Layer| Some(layer.digest) == prefetch.layer;
            let of = match image.layers.iter().position(of) {
                Some(position) => format!("of layer {}", position + 1),
                None => "of no layer here".to_owned(),
            };
            let what = match &prefetch.problem {
                Some(problem) => format!("{WARNING}{}{WARNING:#}", self::problem(problem)),
                None => ranges(prefetch),
            };
            let digest = short(&prefetch.digest, self.verbose);
            field("prefetch", format!("{digest}  {what} {of}"));
        }
        for line in image.startup.iter().flat_map(startup::lines) {
            field("start", line);
        }
        for digest in &image.attestations {
            field("attested", format!("{digest}{}", self.statements(digest)));
        }
        for line in self.layers(image) {
            branch.child(Branch::new(line));
        }
        branch
    }

    fn soci_line(&self, soci: &SociIndex) -> String {
        let shapes = soci.shapes.iter().map(|shape| match shape {
            Shape::Nested => "nested",
            Shape::Tagged => "tagged",
            Shape::Root => "in index.json",
        });
        let shapes = shapes.collect::<Vec<_>>().join(" and ");
        let tool = soci.build_tool.as_deref().filter(|_| self.verbose);
        let tool = tool.map(|tool| format!(", by {}", escape::label(tool))).unwrap_or_default();
        format!("{}  {shapes}{tool}", soci.digest)
    }

    fn statements(&self, attestation: &Digest) -> String {
        let found = self.statements.get(attestation.to_string().as_str()).copied();
        let found = found.unwrap_or_default();
        let words: Vec<_> = found.iter().map(|statement| escape::label(statement)).collect();
        if words.is_empty() { String::new() } else { format!("  {}", words.join(", ")) }
    }

    fn layers(&self, image: &Image) -> Vec<String> {
        let right = &[true, false, true, false, false, true, true, false, true, false];
        let mut table = Table::new(right);
        for (position, layer) in image.layers.iter().enumerate() {
            let mut cells = vec![
                (position + 1).to_string(),
                short(&layer.digest, self.verbose),
                Bytes(layer.size).to_string(),
                compression(&layer.media_type).to_owned(),
                Self::state(layer),
            ];
            if let Some(ztoc) = &layer.ztoc {
                cells.extend(self.ztoc(ztoc));
            }
            table.row(cells);
        }
        table.lines()
    }

    fn state(layer: &Layer) -> String {
        let state = match &layer.eager {
            None => "lazy".to_owned(),
            Some(Eager::Small) => "small".to_owned(),
            Some(Eager::Unsupported { reason }) => format!("skipped: {}", escape::label(reason)),
            Some(Eager::BadZtoc) => "bad zTOC".to_owned(),
            Some(Eager::NoZtoc) => "no zTOC".to_owned(),
            // Said once for the whole image.
            Some(_) => String::new(),
        };
        match &layer.problem {
            None => state,
            Some(problem) => {
                let comma = if state.is_empty() { "" } else { ", " };
                format!("{state}{comma}blob {}", self::problem(problem))
            }
        }
    }

    /// Spans, files and the zTOC, in five cells.
    fn ztoc(&self, ztoc: &Ztoc) -> Vec<String> {
        let digest = format!("zTOC {}", short(&ztoc.digest, self.verbose));
        let size = Bytes(ztoc.size).to_string();
        let mut notes: Vec<String> = ztoc.problem.iter().map(problem).collect();
        let Some(head) = &ztoc.head else {
            return vec![String::new(), String::new(), digest, size, notes.join(", ")];
        };
        if self.verbose {
            notes.push(format!("by {}", escape::label(&head.build_tool)));
        }
        if ztoc.disable_xattrs {
            notes.push("no xattrs".to_owned());
        }
        let spans = format!("{} of {}", count(head.spans, "span"), Bytes(head.span_size));
        let spans = match head.largest_span {
            Some(largest) => format!("{spans}, up to {} to fetch", Bytes(largest)),
            None => spans,
        };
        vec![spans, count(head.files, "file"), digest, size, notes.join(", ")]
    }

    fn blobs(&self, out: &mut String) {
        let blobs = &self.inspection.blobs;
        let mut parts =
            vec![format!("{} referenced, {}", blobs.referenced, Bytes(blobs.referenced_bytes))];
        let unreferenced = blobs.unreferenced.len();
        if unreferenced > 0 {
            let bytes = Bytes(blobs.unreferenced_bytes);
            parts.push(format!("{unreferenced} unreferenced, {bytes}"));
        }
        if blobs.strangers > 0 {
            parts.push(count(blobs.strangers, "other file"));
        }
        let missing = |blob: &&BrokenBlob| matches!(blob.problem, Problem::Missing);
        let gone = blobs.broken.iter().filter(missing).count();
        for (number, what) in [(gone, "missing"), (blobs.broken.len() - gone, "damaged")] {
            if number > 0 {
                parts.push(format!("{WARNING}{number} {what}{WARNING:#}"));
            }
        }
        let _ = writeln!(out, "{BOLD}blobs{BOLD:#}  {}", parts.join("; "));
        let limit = if self.verbose { usize::MAX } else { SHOWN };
        let mut list = |lines: Vec<String>| {
            let more = lines.len().saturating_sub(limit);
            for line in lines.into_iter().take(limit) {
                let _ = writeln!(out, "  {line}");
            }
            if more > 0 {
                let _ = writeln!(out, "  and {more} more (-v lists them)");
            }
        };
        let mut table = Table::new(&[false, false, true, false]);
        for blob in &blobs.broken {
            table.row(vec![
                self::problem(&blob.problem),
                blob.digest.to_string(),
                Bytes(blob.size).to_string(),
                match &blob.referrer {
                    Some(referrer) => format!("{} of {}", blob.role, referrer.short()),
                    None => format!("{} of index.json", blob.role),
                },
            ]);
        }
        list(table.lines());
        if self.verbose {
            let mut table = Table::new(&[false, false, true]);
            for blob in &blobs.unreferenced {
                let what = "unreferenced".to_owned();
                table.row(vec![what, blob.digest.to_string(), Bytes(blob.size).to_string()]);
            }
            list(table.lines());
        }
    }
}

fn problem(problem: &Problem) -> String {
    match problem {
        Problem::Missing => "missing".to_owned(),
        Problem::LeftToOwner => "not here (non-distributable)".to_owned(),
        Problem::Size { found } => format!("has {found} bytes"),
        Problem::Unusable { reason } => escape::label(reason).into_owned(),
        _ => String::new(),
    }
}

fn lazy(image: &Image) -> String {
    let share = &image.lazy;
    let layers = count(share.of_layers, "layer");
    if share.layers == 0 {
        let why = match &image.eager {
            // That is how every image begins.
            Some(why) if image.soci_indexes.is_empty() && image.lost_soci_index.is_none() => {
                format!(": {}", escape::label(why))
            }
            Some(why) => format!(": {WARNING}{}{WARNING:#}", escape::label(why)),
            None => String::new(),
        };
        return format!("0 of {layers}, {}{why}", Bytes(share.of_bytes));
    }
    format!("{} of {layers}, {}", share.layers, part(share.bytes, share.of_bytes))
}

/// `8 spans (0-7)`.
fn ranges(prefetch: &Prefetch) -> String {
    let (spans, number) = (&prefetch.spans, prefetch.span_count());
    let texts: Vec<String> = spans
        .iter()
        .take(SHOWN)
        .map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") })
        .collect();
    let more = if spans.len() > SHOWN { ", …" } else { "" };
    format!("{} ({}{more})", count(number, "span"), texts.join(", "))
}

/// One word for how a layer is compressed, from its media type.
fn compression(media_type: &str) -> &'static str {
    if media_type.contains("encrypted") {
        return "encrypted";
    }
    ["gzip", "zstd", "tar"].into_iter().find(|end| media_type.ends_with(end)).unwrap_or("other")
}
