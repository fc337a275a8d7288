//! gzip layers against zlib in C: same verdict, same block ends, same windows, same span digests.
//!
//! Byte 0 says how the rest is used:
//! - bit 0: as raw deflate streams, each of which gets a right header and trailer. Mutations would
//!   hardly ever hit a checksum otherwise;
//! - bit 1: behind a member that is an empty tar. Whatever follows the end of a tar is no concern of
//!   the tar walker, so all of zlib's verdict is seen; without it the bytes are a layer of their own;
//! - bit 2: with a second thread;
//! - bits 3 to 5: the span size.

use soci_layout::Digest;
use soci_layout::layer::{Scan, ScanError, ScanObserver, ScanRequest, scan};
use soci_layout::media_type::Compression;
use soci_layout::ztoc::zinfo::{Checkpoint, GzipZinfo, WINDOW_SIZE};
use soci_layout::ztoc::{Zinfo, Ztoc};

use crate::judge::{self, Verdict};

/// Most output that is judged: 4 KiB of input can give 4 MiB.
const MOST: usize = 24 << 20;
/// Raw deflate of 1024 zeros: a stored block.
const EMPTY_TAR: [u8; 1024] = [0; 1024];
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
const SPAN_SIZES: [u64; 8] = [1, 2, 100, 1024, 4096, 65536, 1 << 20, i64::MAX as u64];
/// Why a sound stream may be called unsupported: Go's reader refuses such a header, zlib does not.
const LONG_TEXT: &str = "longer than 511 bytes";
const TAR: &str = "header at byte ";

/// See the module.
pub fn check(data: &[u8]) {
    let Some((control, body)) = data.split_first() else { return };
    let mut blob = Vec::new();
    let prefixed = control & 2 != 0;
    if prefixed {
        // Stored block of 1024 bytes, final.
        member(&mut blob, &[&[1, 0, 4, 0xff, 0xfb][..], &EMPTY_TAR].concat(), &EMPTY_TAR);
    }
    if control & 1 != 0 {
        let mut rest = body;
        while let Some((output, taken)) = judge::raw(rest, MOST) {
            member(&mut blob, &rest[..taken], &output);
            rest = &rest[taken..];
        }
        // What is no whole stream is put behind: truncated or damaged, as it is.
        if !rest.is_empty() {
            blob.extend_from_slice(&HEADER);
            blob.extend_from_slice(rest);
        }
    } else {
        blob.extend_from_slice(body);
    }
    let verdict = judge::gzip(&blob, MOST);
    if verdict.too_long {
        return;
    }
    let span_size = SPAN_SIZES[usize::from(control >> 3 & 7)];
    let expected = expected(&verdict, span_size);
    if expected.len() > 4096 {
        return;
    }
    match run(&blob, span_size, control & 4 != 0) {
        Ok(Scan::Indexed(ztoc)) => {
            assert!(verdict.sound, "zlib refuses what was indexed");
            compare(&blob, &ztoc, &expected, &verdict, span_size);
            if prefixed {
                assert_eq!(ztoc.uncompressed_archive_size, 1024);
                assert!(ztoc.toc.is_empty());
            }
        }
        Ok(Scan::Eager(reason)) if reason.text.contains(LONG_TEXT) => {}
        // Of the tar inside, about which zlib says nothing.
        Ok(Scan::Eager(reason)) if reason.text.contains(TAR) => assert!(!prefixed, "{reason}"),
        Ok(Scan::Eager(reason)) => {
            assert!(!verdict.sound, "zlib takes what was refused: {reason}");
        }
        Err(error) => panic!("{error}"),
    }
}

struct Quiet;

impl ScanObserver for Quiet {
    fn progress(&self, _: u64) {}
    fn cancelled(&self) -> bool {
        false
    }
}

fn run(blob: &[u8], span_size: u64, second_thread: bool) -> Result<Scan, ScanError> {
    let request = ScanRequest {
        digest: Digest::of(blob),
        size: blob.len() as u64,
        compression: Compression::Gzip,
        span_size,
        build_tool_identifier: "fuzz",
        second_thread,
    };
    scan(&mut &*blob, &request, &Quiet)
}

/// A gzip member with a right trailer.
fn member(blob: &mut Vec<u8>, deflate: &[u8], output: &[u8]) {
    blob.extend_from_slice(&HEADER);
    blob.extend_from_slice(deflate);
    blob.extend_from_slice(&judge::crc32(output).to_le_bytes());
    blob.extend_from_slice(&(output.len() as u32).to_le_bytes());
}

/// The span rule, in its own words: the first candidate, then each that lies more than a span behind
/// the last one taken.
fn expected(verdict: &Verdict, span_size: u64) -> Vec<Checkpoint> {
    let mut taken: Vec<Checkpoint> = Vec::new();
    for stop in &verdict.stops {
        if taken.last().is_none_or(|last| stop.output - last.uncompressed_offset > span_size) {
            taken.push(Checkpoint {
                compressed_offset: stop.input,
                uncompressed_offset: stop.output,
                bits: stop.bits,
            });
        }
    }
    taken
}

fn compare(blob: &[u8], ztoc: &Ztoc, expected: &[Checkpoint], verdict: &Verdict, span_size: u64) {
    let Zinfo::Gzip(found) = &ztoc.zinfo else { panic!("a gzip layer") };
    assert_eq!(found.checkpoints().collect::<Vec<_>>(), expected);
    let mut zinfo = GzipZinfo::new(span_size);
    for checkpoint in expected {
        let mut window = vec![0; WINDOW_SIZE];
        let end = checkpoint.uncompressed_offset as usize;
        let history = &verdict.output[end.saturating_sub(WINDOW_SIZE)..end];
        window[WINDOW_SIZE - history.len()..].copy_from_slice(history);
        zinfo.push(checkpoint, window.first_chunk().expect("as long as that"));
    }
    assert!(zinfo == *found, "a window differs");
    let ends = expected.iter().skip(1).map(|next| next.compressed_offset as usize);
    let spans: Vec<Digest> = expected
        .iter()
        .zip(ends.chain([blob.len()]))
        .map(|(this, end)| Digest::of(&blob[this.span_start() as usize..end]))
        .collect();
    assert_eq!(ztoc.span_digests, spans);
    assert_eq!(ztoc.compressed_archive_size, blob.len() as u64);
    let bytes = ztoc.encode().expect("small");
    let again = Ztoc::decode(&bytes).unwrap_or_else(|error| panic!("own zTOC: {error}"));
    assert!(again.zinfo == ztoc.zinfo);
}
