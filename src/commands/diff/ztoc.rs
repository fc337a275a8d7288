//! How two zTOCs of one layer differ, in words: the first difference of each part, with its place.

use super::report::Contrast;
use crate::ztoc::compare::{Field, differences};
use crate::ztoc::zinfo::{Checkpoint, GzipZinfo};
use crate::ztoc::{Zinfo, Ztoc};

/// How `a` and `b` differ; their bytes are not the same.
pub(super) fn contrasts(a: &Ztoc, b: &Ztoc) -> Vec<Contrast> {
    let mut list = List(Vec::new());
    list.if_not_same("build tool", &a.build_tool_identifier, &b.build_tool_identifier);
    let words = [a, b].map(|ztoc| ztoc.zinfo.compression().word());
    list.if_not_same("compression", &words[0], &words[1]);
    list.if_not_same("compressed size", &a.compressed_archive_size, &b.compressed_archive_size);
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
            if let Some(field) = differences(&Field::ALL, &a, &b).next() {
                let name = a.name().escape_ascii();
                let place = format!("{} of TOC entry {index} (\"{name}\")", field.name());
                self.add(place, &field.text(&a), &field.text(&b));
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
