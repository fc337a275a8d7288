//! SOCI indexes: how the layout leads to them, what they list, and whether a reader would take them.

use std::collections::HashMap;

use super::blobs::{Broken, head, there};
use super::report::{Prefetch, Problem, Shape, SociIndex, SociVersion, Ztoc, ZtocHead};
use crate::layout::Layout;
use crate::layout::descriptor::{AnyDescriptor, Descriptor, Object};
use crate::layout::tree::{Content, Node, SociIndex as Found};
use crate::limits::{MAX_MANIFEST_SIZE, MAX_PREFETCH_SIZE};
use crate::oci::digest::Digest;
use crate::oci::json::canonical::{self, MANIFEST};
use crate::oci::media_type::SOCI_PREFETCH;
use crate::oci::soci_version::IndexVersion;
use crate::soci::BUILD_TOOL;
use crate::soci::find::{disables_xattrs, layer_of};
use crate::soci::prefetched::parse;

/// All SOCI indexes below `roots`, each once. Their images are not known yet.
pub(super) fn find(layout: &Layout, roots: &[&Node], broken: &mut Broken) -> Vec<SociIndex> {
    let mut look = IndexReader { layout, broken, heads: HashMap::new() };
    let mut list: Vec<SociIndex> = Vec::new();
    let mut places: HashMap<Digest, usize> = HashMap::new();
    for root in roots {
        let below = if matches!(root.content, Content::Referrers { .. }) {
            Shape::Tagged
        } else {
            Shape::Nested
        };
        for node in root.nodes() {
            let Some((descriptor, soci)) = node.soci() else { continue };
            let shape = if std::ptr::eq(node, *root) { Shape::Root } else { below };
            let place = *places.entry(descriptor.digest).or_insert_with(|| {
                list.push(look.index(descriptor, soci));
                list.len() - 1
            });
            let shapes = &mut list[place].shapes;
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
    }
    list
}

struct IndexReader<'a> {
    layout: &'a Layout,
    broken: &'a mut Broken,
    /// What was seen of each zTOC; several indexes may list the same.
    heads: HashMap<(Digest, u64), Result<ZtocHead, Problem>>,
}

impl IndexReader<'_> {
    fn index(&mut self, descriptor: &Descriptor, soci: &Found) -> SociIndex {
        let Descriptor { digest, size, .. } = *descriptor;
        let blob = self.layout.read_blob(&digest, size, MAX_MANIFEST_SIZE).ok().flatten();
        let text = String::from_utf8(blob.unwrap_or_default()).unwrap_or_default();
        let document = Object::read(&text, "a SOCI index").ok();
        let document = document.as_ref();
        let annotations = document.and_then(|index| index.strings("annotations").ok());
        let ztocs: Vec<Ztoc> = soci.ztocs.iter().map(|ztoc| self.ztoc(ztoc, digest)).collect();
        let layers = document.and_then(|index| index.value("layers")).unwrap_or("null");
        let prefetch = self.prefetch(layers, digest);
        SociIndex {
            digest,
            size,
            soci_version: match soci.version {
                IndexVersion::V1 => SociVersion::V1,
                IndexVersion::V2 | IndexVersion::Both => SociVersion::V2,
            },
            shapes: Vec::new(),
            images: Vec::new(),
            build_tool: annotations.and_then(|mut annotations| annotations.remove(BUILD_TOOL)),
            rejected: rejected(&text, &ztocs, &prefetch),
            ztocs,
            prefetch,
        }
    }

    fn ztoc(&mut self, entry: &Descriptor, index: Digest) -> Ztoc {
        let key = (entry.digest, entry.size);
        let seen = self.heads.entry(key).or_insert_with(|| {
            let head = head(self.layout, entry)?;
            Ok(ZtocHead {
                build_tool: head.build_tool_identifier,
                spans: head.spans,
                span_size: head.span_size,
                files: head.files,
                compressed_size: head.compressed_archive_size,
                uncompressed_size: head.uncompressed_archive_size,
                largest_span: head.largest_span,
            })
        });
        let (head, problem) = match seen.clone() {
            Ok(head) => (Some(head), None),
            Err(problem) => (None, Some(problem)),
        };
        if let Some(problem) = &problem {
            self.broken.add(entry, "zTOC", Some(index), problem.clone());
        }
        Ztoc {
            layer: layer_of(entry),
            digest: entry.digest,
            size: entry.size,
            disable_xattrs: disables_xattrs(entry) == Some(true),
            head,
            problem,
        }
    }

    /// The prefetch artifacts among the `layers` of the index.
    fn prefetch(&mut self, layers: &str, index: Digest) -> Vec<Prefetch> {
        let list = AnyDescriptor::read_list(layers, "a SOCI index").unwrap_or_default();
        let known = list.into_iter().filter_map(AnyDescriptor::into_known);
        let artifacts = known.filter(|entry| entry.media_type == SOCI_PREFETCH);
        artifacts
            .map(|entry| {
                let (spans, problem) = match self.ranges(&entry) {
                    Ok(spans) => (spans, None),
                    Err(problem) => {
                        let role = "prefetch artifact";
                        self.broken.add(&entry, role, Some(index), problem.clone());
                        (Vec::new(), Some(problem))
                    }
                };
                let Descriptor { digest, size, .. } = entry;
                Prefetch { layer: layer_of(&entry), digest, size, spans, problem }
            })
            .collect()
    }

    fn ranges(&self, entry: &Descriptor) -> Result<Vec<(u64, u64)>, Problem> {
        let bytes = there(self.layout.read_blob(&entry.digest, entry.size, MAX_PREFETCH_SIZE))?;
        let ranges = parse(&String::from_utf8_lossy(&bytes)).map_err(Problem::unusable)?;
        let ranges = ranges.map_err(Problem::unusable)?;
        let span = |(start, end): (i64, i64)| Some((start.try_into().ok()?, end.try_into().ok()?));
        let spans: Option<Vec<(u64, u64)>> = ranges.into_iter().map(span).collect();
        spans.ok_or_else(|| Problem::unusable("prefetch_spans: a span below 0"))
    }
}

/// Why the reference's reader refuses the whole index (`soci-formats` 7.2): its text is not what the
/// reader would write itself, or something that it lists cannot be fetched.
fn rejected(text: &str, ztocs: &[Ztoc], prefetch: &[Prefetch]) -> Option<String> {
    if text.is_empty() {
        return Some("its manifest cannot be read".to_owned());
    }
    if canonical::encode(text, &MANIFEST).ok().as_deref() != Some(text) {
        return Some("its JSON text is not in the form that its reader demands".to_owned());
    }
    let missing = |problem: Option<&Problem>| match problem {
        Some(Problem::Missing) => Some("is missing"),
        Some(Problem::Size { .. }) => Some("has the wrong size"),
        _ => None,
    };
    let ztocs = ztocs.iter().map(|ztoc| ("zTOC", ztoc.digest, ztoc.problem.as_ref()));
    let prefetch = prefetch.iter().map(|p| ("prefetch artifact", p.digest, p.problem.as_ref()));
    ztocs
        .chain(prefetch)
        .find_map(|(what, digest, problem)| Some(format!("{what} {digest} {}", missing(problem)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reader_s_own_form_is_taken() {
        let text = "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"d\",\"size\":2},\"layers\":[]}";
        assert_eq!(rejected(text, &[], &[]), None);
        assert!(rejected(&format!("{text}\n"), &[], &[]).is_some());
        assert!(rejected("", &[], &[]).is_some());
        let ztoc = Ztoc {
            layer: None,
            digest: Digest::of(b"z"),
            size: 1,
            disable_xattrs: false,
            head: None,
            problem: Some(Problem::Missing),
        };
        assert!(rejected(text, &[ztoc], &[]).is_some_and(|why| why.contains("is missing")));
    }
}
