//! Measures a scan on the first part of a layer: how fast it goes, and what comes out of it.
//!
//! The work is that of [`super::scan()`], on one thread so that its two sides can be told apart.

use std::io::Read;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::eager::EagerReason;
use super::source::{CHUNK, Chunk, Source};
use super::span::BlobHasher;
use super::walk::LayerWalker;
use super::{ScanError, ScanRequest};
use crate::ztoc::zinfo::TarZinfo;
use crate::ztoc::{Zinfo, Ztoc};

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// Bytes of the blob that were read.
    pub(crate) compressed: u64,
    /// Bytes of archive in them.
    pub(crate) uncompressed: u64,
    /// Spans that begin in them.
    pub(crate) spans: u64,
    /// Bytes that the entries found so far take in a zTOC.
    pub(crate) toc_bytes: u64,
    /// Processor time for finding block ends and headers.
    pub(crate) walk: Duration,
    /// Processor time for reading and hashing.
    pub(crate) hash: Duration,
    /// Time on the clock for all of it: more than the two when others work on the machine, or when the disk
    /// is slow.
    pub(crate) wall: Duration,
    /// Why no zTOC will come of it, where the first part shows that already.
    pub(crate) halt: Option<EagerReason>,
}

/// Scans the first `limit` bytes of a blob.
///
/// # Errors
/// For reading alone.
pub(crate) fn sample(
    blob: &mut (dyn Read + Send),
    request: &ScanRequest<'_>,
    limit: u64,
) -> Result<Sample, ScanError> {
    let mut source = Source::new(blob, request.size);
    let mut walker = LayerWalker::new(request);
    let mut hasher = BlobHasher::default();
    let (mut chunk, mut starts) = (Chunk::new(CHUNK), Vec::new());
    let (mut sample, mut goes_on) = (Sample::default(), true);
    while sample.compressed < limit.min(request.size) && goes_on {
        let (start, begin) = (Instant::now(), processor_time());
        source.read(&mut chunk)?;
        let read = processor_time();
        starts.clear();
        goes_on = walker.feed(chunk.bytes(), &mut starts);
        let walk = processor_time();
        hasher.feed(chunk.bytes(), &starts);
        let hash = processor_time();
        sample.hash += read.saturating_sub(begin) + hash.saturating_sub(walk);
        sample.walk += walk.saturating_sub(read);
        sample.wall += start.elapsed();
        sample.spans += starts.len() as u64;
        sample.compressed += chunk.bytes().len() as u64;
    }
    let tar = walker.tar();
    sample.uncompressed = tar.position();
    let ztoc = Ztoc {
        build_tool_identifier: String::new(),
        compressed_archive_size: 0,
        uncompressed_archive_size: 0,
        toc: tar.toc().clone(),
        zinfo: Zinfo::Tar(TarZinfo { span_size: 1, size: 0 }),
        span_digests: Vec::new(),
    };
    sample.toc_bytes = ztoc.encoding().map_or(0, |encoding| encoding.size());
    let whole = sample.compressed == request.size;
    sample.halt = if whole { walker.finish().err() } else { walker.failure() };
    Ok(sample)
}

/// Processor time of this thread so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
