//! Bytes of layers as parts of files: what a record of ranges says, told so that it serves for an image that is built
//! again.

use std::collections::{BTreeMap, HashSet};

use super::open::ImageFiles;
use super::tree::NodeId;
use super::view::Root;
use crate::commands::traced::{BlobRange, TracedFile};
use crate::ztoc::Ztoc;

/// The files that ranges lead to.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Files in the order in which their first bytes were asked for.
    pub files: Vec<TracedFile>,
    /// Ranges of layers that the image does not have, or that have no zTOC.
    pub not_found: u64,
}

/// By span, the number of the first range that has it.
type Spans = BTreeMap<u64, usize>;

impl ImageFiles {
    /// The files whose content lies in the spans that these ranges are of. Of a file that goes beyond them only the parts
    /// are named that lie in them. Files that nobody sees in the image, and names that are not UTF-8, are left out.
    ///
    /// # Errors
    /// Those of [`ImageFiles::root`].
    pub fn recorded(&self, ranges: &[BlobRange]) -> Result<Recorded, crate::Error> {
        let root = self.root()?;
        let tables: Vec<_> = self.tables().collect();
        let mut spans: BTreeMap<usize, Spans> = BTreeMap::new();
        let mut not_found = 0;
        for (order, range) in ranges.iter().enumerate() {
            let mut found = false;
            for (position, table) in tables.iter().enumerate() {
                let Some(ztoc) = table.ztoc.filter(|_| table.digest == range.layer) else {
                    continue;
                };
                found = true;
                let bytes = (range.first, range.last);
                let of = ztoc.zinfo.spans_of_bytes(bytes, ztoc.compressed_archive_size);
                let of_layer = spans.entry(position).or_default();
                for number in of.into_iter().flat_map(|(first, last)| first..=last) {
                    of_layer.entry(number).or_insert(order);
                }
            }
            not_found += u64::from(!found);
        }
        let mut files: Vec<(usize, TracedFile)> = Vec::new();
        let mut seen = HashSet::new();
        each_file(&root, &mut |path, node| {
            let Some(place) = root.content_place(node) else { return };
            let (Some(of_layer), Some(ztoc)) = (spans.get(&place.layer), tables[place.layer].ztoc)
            else {
                return;
            };
            if let Some((order, parts)) = parts(of_layer, ztoc, place.start, place.end)
                && let Ok(path) = std::str::from_utf8(path)
                && seen.insert((place.layer, place.start))
            {
                files.push((order, TracedFile { path: path.to_owned(), parts }));
            }
        });
        files.sort_by_key(|(order, _)| *order);
        Ok(Recorded { files: files.into_iter().map(|(_, file)| file).collect(), not_found })
    }
}

/// The parts of a file's content, from `start` to `end`, that lie in these spans, and when the first of them was asked
/// for. No parts when all of it does; nothing at all when none of it does.
fn parts(spans: &Spans, ztoc: &Ztoc, start: u64, end: u64) -> Option<(usize, Vec<(u64, u64)>)> {
    let (first, last) = (ztoc.zinfo.span_at(start)?, ztoc.zinfo.span_at(end.checked_sub(1)?)?);
    let content = |span| ztoc.zinfo.span(span, ztoc.compressed_archive_size).content;
    let (mut order, mut parts) = (usize::MAX, Vec::<(u64, u64)>::new());
    if start >= end || first > last {
        return None;
    }
    for (span, asked) in spans.range(first..=last) {
        order = order.min(*asked);
        let from = content(*span).max(start) - start;
        let to = if *span == last { end } else { content(span + 1).min(end) };
        let to = to.saturating_sub(start + 1);
        match parts.last_mut() {
            Some(before) if before.1 + 1 >= from => before.1 = before.1.max(to),
            _ if from <= to => parts.push((from, to)),
            _ => {}
        }
    }
    if parts == [(0, end - start - 1)] {
        parts.clear();
        return Some((order, parts));
    }
    (!parts.is_empty()).then_some((order, parts))
}

/// Gives all names below the root but directories, in the order of their bytes in each directory.
fn each_file(root: &Root<'_>, visit: &mut dyn FnMut(&[u8], NodeId)) {
    let mut todo = vec![(Vec::new(), root.top())];
    while let Some((path, node)) = todo.pop() {
        let Some(names) = root.names(node) else {
            visit(&path, node);
            continue;
        };
        let from = todo.len();
        for (name, child) in names {
            let separator: &[u8] = if path.is_empty() { b"" } else { b"/" };
            todo.push(([&path, separator, name].concat(), child));
        }
        todo[from..].reverse();
    }
}
