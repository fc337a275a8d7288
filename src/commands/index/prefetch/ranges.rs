//! Access logs of a registry, or of a proxy before it: which bytes of which layers a run asked for.
//!
//! A line counts that has the digest of a blob, as in a request's path (`/v2/app/blobs/sha256:…`), and the value of a
//! `Range` header (`bytes=0-4095`). So it does not matter whether a line is JSON (Caddy's logs have both by themselves)
//! or text (nginx with `$request` and `$http_range` in its `log_format`).

use crate::commands::traced::BlobRange;
use crate::oci::digest::Digest;

/// The reader's first questions are this long at most: how large is the blob, does it begin as gzip does? They are
/// answered when a layer is mounted, whatever is fetched ahead.
const QUESTION: u64 = 10;

/// The ranges of a line; none where it is about something else.
pub(super) fn ranges(line: &str) -> Vec<BlobRange> {
    let Some(layer) = digest(line) else { return Vec::new() };
    let Some((_, value)) = line.split_once("bytes=") else { return Vec::new() };
    let value = value.replace(", ", ",");
    let part = |c: char| c.is_ascii_digit() || matches!(c, '-' | ',');
    let value = &value[..value.find(|c| !part(c)).unwrap_or(value.len())];
    let parts = value.split(',').filter_map(|part| {
        let (first, last) = part.split_once('-')?;
        let first = first.parse().ok()?;
        // Without an end it goes to the end of the blob.
        let last = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
        (last >= first && last - first >= QUESTION).then_some(BlobRange { layer, first, last })
    });
    parts.collect()
}

/// The digest in a request's path, else the first one.
fn digest(line: &str) -> Option<Digest> {
    const SEPARATORS: [&str; 3] = [":", "%3A", "%3a"];
    let line = line.split_once("/blobs/").map_or(line, |(_, behind)| behind);
    let mut found = line.match_indices("sha256").filter_map(|(at, name)| {
        let behind = &line[at + name.len()..];
        let hex =
            SEPARATORS.iter().find_map(|separator| behind.strip_prefix(separator))?.get(..64)?;
        format!("{name}:{hex}").parse().ok()
    });
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read(line: &str) -> Vec<(u64, u64)> {
        let found = ranges(&line.replace("HEX", HEX));
        assert!(found.iter().all(|range| range.layer == Digest::of(b"")));
        found.iter().map(|range| (range.first, range.last)).collect()
    }

    #[test]
    fn lines_of_many_servers() {
        // Caddy 2, shortened; nginx; a proxy with a request's line of its own.
        for line in [
            r#"{"level":"info","request":{"method":"GET","uri":"/v2/app/blobs/sha256:HEX","headers":{"Range":["bytes=0-4095"]}},"status":206}"#,
            r#"127.0.0.1 - - [27/Nov/2026:12:00:00 +0000] "GET /v2/app/blobs/sha256:HEX HTTP/1.1" 206 4096 "-" "-" "bytes=0-4095""#,
            "2026-11-27T12:00:00Z sha256:HEX bytes=0-4095 4096",
            "GET /v2/app/blobs/sha256%3AHEX?digest=sha256:0000 bytes=0-4095",
        ] {
            assert_eq!(read(line), [(0, 4095)], "{line}");
        }
    }

    #[test]
    fn ranges_of_all_kinds() {
        for (value, expected) in [
            ("bytes=5-99,200-299, 400-499;", &[(5, 99), (200, 299), (400, 499)][..]),
            ("bytes=7-", &[(7, u64::MAX)]),
            // What readers ask of a layer before they read anything.
            ("bytes=0-1", &[]),
            ("bytes=0-9", &[]),
            ("bytes=-500", &[]),
            ("bytes=9-5", &[]),
            ("bytes=99999999999999999999-99999999999999999999", &[]),
            ("", &[]),
        ] {
            assert_eq!(read(&format!("GET /v2/a/b/blobs/sha256:HEX {value}")), expected, "{value}");
        }
        assert_eq!(read("GET /v2/app/manifests/v1 bytes=0-4095"), []);
        assert_eq!(read("GET /v2/app/blobs/sha256:HE bytes=0-4095"), []);
        assert_eq!(read("GET /v2/app/blobs/sha256:\u{e9}\u{e9} bytes=0-4095"), []);
    }
}
