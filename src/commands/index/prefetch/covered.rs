//! The spans that cover files, within the time that fetching may take.

use std::collections::{BTreeMap, HashSet};

use crate::commands::files::{ContentPlace, LayerTable, NodeId, Root};
use crate::commands::index::options::PrefetchLimit;
use crate::commands::traced::BlobRange;
use crate::oci::digest::Digest;
use crate::soci::prefetch::{SpanSet, Spans};
use crate::ztoc::Ztoc;

/// The spans of an image's layers that cover what was added.
#[derive(Default)]
pub(super) struct Covered<'a> {
    tables: &'a [LayerTable<'a>],
    limit: Option<PrefetchLimit>,
    /// Layer and first byte of each file: a file may have several names.
    pub(super) seen: HashSet<(usize, u64)>,
    pub(super) spans: BTreeMap<Digest, SpanSet>,
    pub(super) requests: u64,
    pub(super) bytes: u64,
    /// Whether a file was left out. Those behind it are less important: they are taken where they need no more spans.
    full: bool,
    pub(super) left_out: u64,
    pub(super) left_out_ranges: u64,
}

impl<'a> Covered<'a> {
    pub(super) fn new(tables: &'a [LayerTable<'a>], limit: Option<PrefetchLimit>) -> Self {
        Self { tables, limit, ..Self::default() }
    }

    /// Adds files; tells how many are in layers without a zTOC. `path` is what was asked for.
    pub(super) fn add(&mut self, root: &Root<'_>, nodes: &[NodeId], path: &[u8]) -> u64 {
        let mut eager = 0;
        for place in nodes.iter().filter_map(|node| root.content_place(*node)) {
            let table = &self.tables[place.layer];
            let Some(ztoc) = table.ztoc else {
                eager += 1;
                continue;
            };
            if let Some(spans) = spans(&place, ztoc, path)
                && self.seen.insert((place.layer, place.start))
            {
                self.left_out += u64::from(!self.take(table.digest, ztoc, spans));
            }
        }
        eager
    }

    /// Adds parts of a file, first and last byte of each; tells whether it is in a layer without a zTOC.
    pub(super) fn add_parts(&mut self, root: &Root<'_>, node: NodeId, parts: &[(u64, u64)]) -> u64 {
        let Some(place) = root.content_place(node) else { return 0 };
        let table = &self.tables[place.layer];
        let Some(ztoc) = table.ztoc else { return 1 };
        let new = self.seen.insert((place.layer, place.start));
        let size = place.end - place.start;
        // The reader compares the header before it gives out anything.
        let mut wanted = vec![(place.header, place.header)];
        // The file may be shorter now; what goes to its end has the byte behind it, as the reader has.
        wanted.extend(parts.iter().filter(|(first, last)| *first < size && first <= last).map(
            |(first, last)| {
                let last = if last.saturating_add(1) >= size { size } else { *last };
                (place.start + first, place.start + last)
            },
        ));
        let mut complete = true;
        for (first, last) in wanted {
            let Some(first) = ztoc.zinfo.span_at(first) else { continue };
            let last = ztoc.zinfo.span_at(last).unwrap_or(ztoc.zinfo.span_count() - 1);
            complete &= self.take(table.digest, ztoc, (first, last.max(first)));
        }
        self.left_out += u64::from(new && !complete);
        0
    }

    /// Adds bytes of a layer; tells whether the image has the layer.
    pub(super) fn add_bytes(&mut self, range: &BlobRange) -> bool {
        let Some(table) = self.tables.iter().find(|table| table.digest == range.layer) else {
            return false;
        };
        if let Some(ztoc) = table.ztoc
            && let Some(spans) =
                ztoc.zinfo.spans_of_bytes((range.first, range.last), ztoc.compressed_archive_size)
        {
            self.left_out_ranges += u64::from(!self.take(range.layer, ztoc, spans));
        }
        true
    }

    /// Takes spans of a layer, unless that would take too long.
    fn take(&mut self, layer: Digest, ztoc: &Ztoc, spans: Spans) -> bool {
        let set = self.spans.entry(layer).or_default();
        let inserted = set.insert(spans);
        let (more, more_bytes) = cost(ztoc, inserted.now);
        let before = inserted.before.iter().map(|range| cost(ztoc, *range));
        let (less, less_bytes) = before.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let requests = (self.requests + more) - less;
        let bytes = (self.bytes + more_bytes).saturating_sub(less_bytes);
        let too_long = |limit: PrefetchLimit| limit.link.time(requests, bytes) > limit.time;
        if requests > self.requests && (self.full || self.limit.is_some_and(too_long)) {
            set.undo(inserted);
            self.full = true;
            return false;
        }
        (self.requests, self.bytes) = (requests, bytes);
        true
    }
}

/// Requests and compressed bytes of spans that follow each other.
pub(super) fn cost(ztoc: &Ztoc, (first, last): Spans) -> (u64, u64) {
    let span = |number| ztoc.zinfo.span(number, ztoc.compressed_archive_size);
    let (start, end) = (span(first).start(), span(last).end);
    (last - first + 1, end.saturating_sub(start))
}

/// The spans that a reader needs for a file.
///
/// The last is that of the byte behind the file: the reader asks for it, too. The first is that of the tar header,
/// which the reader compares before it gives out anything; but a file that the reference finds by the same path gets
/// the reference's range, which begins with the content. Nothing is read of an empty file.
fn spans(place: &ContentPlace<'_>, ztoc: &Ztoc, path: &[u8]) -> Option<Spans> {
    let as_the_reference = place.name == path;
    if place.start == place.end && !as_the_reference {
        return None;
    }
    let first = ztoc.zinfo.span_at(if as_the_reference { place.start } else { place.header })?;
    // The layer may end with the file.
    let last = ztoc.zinfo.span_at(place.end).unwrap_or(ztoc.zinfo.span_count() - 1);
    Some((first, last.max(first)))
}
