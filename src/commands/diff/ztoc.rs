//! How two zTOCs of one layer differ, in words: the first difference of each part, with its place.

use super::report::Contrast;
use crate::ztoc::toc::{FileRef, ModTime};
use crate::ztoc::zinfo::{Checkpoint, GzipZinfo};
use crate::ztoc::{Zinfo, Ztoc};

/// How `a` and `b` differ; their bytes are not the same.
pub(super) fn contrasts(a: &Ztoc, b: &Ztoc) -> Vec<Contrast> {
    let mut list = List(Vec::new());
    list.if_not_same("build tool", &a.build_tool_identifier, &b.build_tool_identifier);
    list.if_not_same("compression", &compression(a), &compression(b));
    let sizes = [a, b].map(|ztoc| ztoc.compressed_archive_size);
    list.if_not_same("compressed size", &sizes[0], &sizes[1]);
    let sizes = [a, b].map(|ztoc| ztoc.uncompressed_archive_size);
    list.if_not_same("uncompressed size", &sizes[0], &sizes[1]);
    list.if_not_same("span size", &a.zinfo.span_size(), &b.zinfo.span_size());
    list.if_not_same("spans", &a.zinfo.span_count(), &b.zinfo.span_count());
    let mut same_spans = a.zinfo.span_size() == b.zinfo.span_size();
    if let (Zinfo::Gzip(a), Zinfo::Gzip(b)) = (&a.zinfo, &b.zinfo) {
        same_spans = list.checkpoints(a, b);
    }
    if same_spans {
        let mut digests = a.span_digests.iter().zip(&b.span_digests).enumerate();
        if let Some((index, (a, b))) = digests.find(|(_, (a, b))| a != b) {
            list.add(format!("digest of span {index}"), a, b);
        }
    }
    list.toc(a, b);
    if list.0.is_empty() {
        list.add("encoding".to_owned(), &"the same values", &"in other bytes");
    }
    list.0
}

fn compression(ztoc: &Ztoc) -> &'static str {
    match ztoc.zinfo {
        Zinfo::Gzip(_) => "gzip",
        Zinfo::Tar(_) => "none",
    }
}

struct List(Vec<Contrast>);

impl List {
    fn add(&mut self, place: String, a: &impl ToString, b: &impl ToString) {
        self.0.push(Contrast { place, a: a.to_string(), b: b.to_string() });
    }

    fn if_not_same<T: PartialEq + ToString>(&mut self, place: &str, a: &T, b: &T) {
        if a != b {
            self.add(place.to_owned(), a, b);
        }
    }

    /// The first checkpoint that differs; whether all are at the same places.
    fn checkpoints(&mut self, a: &GzipZinfo, b: &GzipZinfo) -> bool {
        let mut pairs = a.checkpoints().zip(b.checkpoints()).enumerate();
        if let Some((index, (a, b))) = pairs.find(|(_, (a, b))| a != b) {
            self.add(format!("checkpoint {index}"), &place(a), &place(b));
            return false;
        }
        for index in 0..a.len().min(b.len()) {
            let (x, y) = (a.window(index), b.window(index));
            if let Some(byte) = x.iter().zip(y).position(|(x, y)| x != y) {
                let place = format!("window of checkpoint {index}, byte {byte}");
                self.add(place, &format!("{:#04x}", x[byte]), &format!("{:#04x}", y[byte]));
                break;
            }
        }
        a.len() == b.len()
    }

    fn toc(&mut self, a: &Ztoc, b: &Ztoc) {
        self.if_not_same("TOC entries", &a.toc.len(), &b.toc.len());
        for (index, (a, b)) in a.toc.iter().zip(b.toc.iter()).enumerate() {
            if let Some((field, x, y)) = entry(&a, &b) {
                let name = a.name().escape_ascii();
                self.add(format!("{field} of TOC entry {index} (\"{name}\")"), &x, &y);
                return;
            }
        }
    }
}

fn place(checkpoint: Checkpoint) -> String {
    let Checkpoint { compressed_offset, uncompressed_offset, bits } = checkpoint;
    let bits = if bits == 0 { String::new() } else { format!(" and {bits} bits before") };
    format!("byte {compressed_offset}{bits}, uncompressed {uncompressed_offset}")
}

/// The first field in which two entries differ. Most entries are the same: texts are made for those that
/// are not.
fn entry(a: &FileRef<'_>, b: &FileRef<'_>) -> Option<(&'static str, String, String)> {
    let bytes = |field, a: &[u8], b: &[u8]| {
        let text = |bytes: &[u8]| format!("\"{}\"", bytes.escape_ascii());
        (a != b).then(|| (field, text(a), text(b)))
    };
    let number = |field, a: i64, b: i64| (a != b).then(|| (field, a.to_string(), b.to_string()));
    let kinds = (a.file_type().as_str(), b.file_type().as_str());
    bytes("name", a.name(), b.name())
        .or_else(|| bytes("type", kinds.0.as_bytes(), kinds.1.as_bytes()))
        .or_else(|| number("offset", a.uncompressed_offset(), b.uncompressed_offset()))
        .or_else(|| number("size", a.uncompressed_size(), b.uncompressed_size()))
        .or_else(|| bytes("link target", a.linkname(), b.linkname()))
        .or_else(|| {
            let octal = |mode: i64| format!("{mode:#o}");
            (a.mode() != b.mode()).then(|| ("mode", octal(a.mode()), octal(b.mode())))
        })
        .or_else(|| number("uid", a.uid().into(), b.uid().into()))
        .or_else(|| number("gid", a.gid().into(), b.gid().into()))
        .or_else(|| bytes("owner name", a.uname(), b.uname()))
        .or_else(|| bytes("group name", a.gname(), b.gname()))
        .or_else(|| {
            let text = |time: ModTime| format!("{}.{:09}", time.seconds, time.nanoseconds);
            let (a, b) = (a.mod_time(), b.mod_time());
            (a != b).then(|| ("modification time", text(a), text(b)))
        })
        .or_else(|| number("major device number", a.devmajor(), b.devmajor()))
        .or_else(|| number("minor device number", a.devminor(), b.devminor()))
        .or_else(|| (!a.pax().eq(b.pax())).then(|| ("PAX records", records(a), records(b))))
}

fn records(file: &FileRef<'_>) -> String {
    let records = file.pax().map(|(key, value)| {
        let (key, value) = (key.escape_ascii(), value.escape_ascii());
        format!("{key}={value}")
    });
    records.collect::<Vec<_>>().join(" ")
}
