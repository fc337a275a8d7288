//! The options that say what is fetched before an image starts.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use soci_layout::{Error, Link, PrefetchFiles, PrefetchLimit, prefetch};

use super::{CONTENT, size};

/// What is fetched ahead.
#[derive(Args, Clone, Debug)]
pub(crate) struct PrefetchArgs {
    /// Let readers fetch this file before they start the image; may be repeated
    ///
    /// A file, a directory (all files below), or a glob: *, ?, […], {…}, and ** for any number of directories. A glob
    /// takes the files that match, not what is in matching directories. Links are followed. Readers fetch nothing
    /// ahead unless they are told to. What is in no image is a warning, with --strict an error.
    #[arg(long = "prefetch-file", value_name = "PATH", help_heading = CONTENT)]
    files: Vec<String>,

    /// The same for all paths in a file, a JSON array of strings
    ///
    /// They come behind those of --prefetch-file.
    #[arg(long, value_name = "FILE", help_heading = CONTENT)]
    prefetch_files_json: Option<PathBuf>,

    /// The same for the files that a recorded run opened; may be repeated
    ///
    /// The record is output of strace -f or of fatrace, the log of stargz's --record-out, that of the reference's snapshotter
    /// with `log_fuse_operations`, or a list with a path on each line; which of them is seen by its lines. Files are looked
    /// up by name, so a record serves for later builds too. Most important is what was opened first. How many files
    /// are not in the image is a warning.
    ///
    /// An access log of the registry, or of a proxy before it, has ranges of layers, which are spans: no file is fetched
    /// of which only a part was read. Each of its lines must have the blob's digest and the Range header
    /// (bytes=0-4095). It serves for the very layers that it was recorded of; what soci-layout trace makes of it serves
    /// for later builds.
    #[arg(long = "prefetch-trace", value_name = "FILE", help_heading = CONTENT)]
    traces: Vec<PathBuf>,

    /// Leave out files when fetching takes longer by --link, such as 2s or 500ms
    ///
    /// The first files count most. Files that need no span more are taken all the same.
    #[arg(long, value_name = "DURATION", help_heading = CONTENT, requires = "link",
          value_parser = humantime::parse_duration)]
    prefetch_max_time: Option<Duration>,

    /// The line to the registry: bytes per second, time of a request [, requests at a time] [, each], as 12.5MB,10ms
    ///
    /// Fetching takes the time of a request for each span, shared by the requests at a time (2 if not given), and the
    /// compressed bytes of the spans over the bandwidth. The bandwidth is that of all connections together, with
    /// `each` (12.5MB,10ms,each) that of each connection, as object stores give it.
    ///
    /// It is also estimated how soon the images are started and ready: unpacked, lazily, and with a list fetched ahead.
    #[arg(long, value_name = LINK, help_heading = CONTENT, value_parser = link)]
    pub(super) link: Option<Link>,
}

impl PrefetchArgs {
    /// The library's settings: what the command line names itself, then what stands in files.
    pub(super) fn files(&self) -> Result<PrefetchFiles, Error> {
        let limit = self.prefetch_max_time.zip(self.link);
        let limit = limit.map(|(time, link)| PrefetchLimit { time, link });
        let mut all =
            PrefetchFiles { files: trimmed(&self.files), limit, ..PrefetchFiles::default() };
        if let Some(path) = &self.prefetch_files_json {
            all.files.extend(trimmed(&prefetch::read_list(path)?));
        }
        for path in &self.traces {
            let trace = prefetch::read_trace(path)?;
            all.traced.extend(trace.files);
            all.ranges.extend(trace.ranges);
        }
        Ok(all)
    }
}

/// As the reference takes them: without spaces around, and none that is empty.
fn trimmed(paths: &[String]) -> Vec<String> {
    let paths = paths.iter().map(|path| path.trim());
    paths.filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

/// How values of `--link` are called.
pub(super) const LINK: &str = "BANDWIDTH,LATENCY";

pub(super) fn link(text: &str) -> Result<Link, String> {
    const EXPECTED: &str = "expected bytes per second, the time of a request and, if wanted, requests at a time, and `each` for the bandwidth of \
                            each connection: 12.5MB,10ms or 100MB,5ms,4,each";
    let mut parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let each = parts.len() > 2 && parts.last() == Some(&"each");
    parts.truncate(parts.len() - usize::from(each));
    let (bandwidth, latency, connections) = match parts[..] {
        [bandwidth, latency] => (bandwidth, latency, None),
        [bandwidth, latency, connections] => (bandwidth, latency, Some(connections)),
        _ => return Err(EXPECTED.to_owned()),
    };
    let bandwidth = size::parse_positive(bandwidth.trim_end_matches("/s"))?;
    let latency = humantime::parse_duration(latency).map_err(|error| error.to_string())?;
    let connections = match connections {
        None => Link::DEFAULT_CONNECTIONS,
        Some(text) => text.parse().map_err(|_| EXPECTED.to_owned())?,
    };
    Ok(Link { bandwidth, each, latency, connections })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        let read = |text| {
            let Link { bandwidth, each, latency, connections } = link(text)?;
            Ok::<_, String>((bandwidth, latency.as_millis(), connections.get(), each))
        };
        for (text, expected) in [
            ("12.5MB,10ms", Some((12_500_000, 10, 2, false))),
            ("100MB/s, 5ms, 4", Some((100_000_000, 5, 4, false))),
            ("1,0s", Some((1, 0, 2, false))),
            ("12.5MB, 10ms, each", Some((12_500_000, 10, 2, true))),
            ("1MB,10ms,4,each", Some((1_000_000, 10, 4, true))),
            ("1MB,each", None),
            ("1MB,10ms,each,4", None),
            ("12.5MB", None),
            ("0,10ms", None),
            ("1MB,10", None),
            ("1MB,10ms,0", None),
            ("1MB,10ms,1,1", None),
        ] {
            assert_eq!(read(text).ok(), expected, "{text}");
        }
    }
}
