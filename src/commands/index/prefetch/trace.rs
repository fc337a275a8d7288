//! Records of the files that a run of the image really opened, by whatever tool wrote them.
//!
//! | format | how it is told |
//! | --- | --- |
//! | access log of a registry or a proxy (`ranges.rs`) | a line has a blob's digest and a range of bytes |
//! | log of the reference's snapshotter with `log_fuse_operations`: JSON, with a path and what was done with it | a line has `operation` |
//! | log of `ctr-remote image optimize --record-out` (stargz), and what `soci-layout trace` writes: a JSON object with `path` on each line, and maybe `parts` | the first line is an object |
//! | output of `fatrace` | one of the first lines is an event |
//! | output of `strace -f` | one of the first lines is a system call |
//! | a list: one path on each line | everything else |

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use super::fatrace;
use super::lists::read;
use super::ranges::ranges;
use super::strace;
use crate::commands::traced::{BlobRange, TracedFile};
use crate::error::Error;

/// Lines that are read to tell the format.
const LOOKED_AT: usize = 100;

/// What a run used, each once, in the order of its first use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Files by their names.
    pub files: Vec<TracedFile>,
    /// Bytes of layers, where a record names those and no files.
    pub ranges: Vec<BlobRange>,
}

/// Reads a trace.
///
/// # Errors
/// [`Error::Io`], [`Error::PrefetchList`].
pub fn read_trace(path: &Path) -> Result<Trace, Error> {
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let wrong = |problem| Error::PrefetchList { path: path.to_owned(), problem };
    let mut trace = parse(&text).map_err(wrong)?;
    let mut seen = HashSet::new();
    trace.files.retain(|file| seen.insert(file.clone()));
    let mut seen = HashSet::new();
    trace.ranges.retain(|range| seen.insert(*range));
    if trace == Trace::default() {
        return Err(wrong("there is no file in this trace".to_owned()));
    }
    Ok(trace)
}

fn parse(text: &str) -> Result<Trace, String> {
    let of_files = |files| Trace { files, ranges: Vec::new() };
    let of_paths = |paths: Vec<String>| of_files(paths.into_iter().map(TracedFile::from).collect());
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let ranges: Vec<BlobRange> = lines().flat_map(ranges).collect();
    if !ranges.is_empty() {
        return Ok(Trace { files: Vec::new(), ranges });
    }
    let operations: Vec<String> = lines().filter_map(operation).collect();
    if !operations.is_empty() {
        return Ok(of_paths(operations));
    }
    if lines().next().is_some_and(|line| line.starts_with('{')) {
        return objects(text).map(of_files);
    }
    if lines().take(LOOKED_AT).any(fatrace::is_event) {
        return Ok(of_paths(fatrace::paths(lines())));
    }
    if lines().take(LOOKED_AT).any(strace::is_call) {
        return Ok(of_paths(strace::paths(lines())));
    }
    Ok(of_paths(lines().map(str::to_owned).collect()))
}

/// A line of the reference's snapshotter about a file that was read (`fs/layer/node.go` there). Its names are those of
/// one layer, without the slash in front.
#[derive(Deserialize)]
struct Operation {
    operation: String,
    path: String,
}

fn operation(line: &str) -> Option<String> {
    let Operation { operation, path } = serde_json::from_str(line).ok()?;
    (operation == "file.Read").then_some(path)
}

fn objects(text: &str) -> Result<Vec<TracedFile>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| match serde_json::from_str(line) {
            Ok(file) => Ok(file),
            Err(error) => Err(format!(
                "line {}: expected a JSON object with a path, as stargz records it: {error}",
                number + 1
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        // From stargz's own documentation, shortened.
        let stargz = "{\"path\":\"usr/bin/bash\",\"manifestDigest\":\"sha256:5d07\",\"layerIndex\":0}\n\
                      {\"path\":\"etc/nsswitch.conf\",\"manifestDigest\":\"sha256:5d07\",\"layerIndex\":0}\n";
        let paths = |text| {
            let trace = parse(text)?;
            Ok::<_, String>(trace.files.into_iter().map(|file| file.path).collect::<Vec<_>>())
        };
        let expected = ["usr/bin/bash".into(), "etc/nsswitch.conf".into()];
        assert_eq!(paths(stargz).as_deref(), Ok(&expected[..]));
        let strace =
            "7 execve(\"/bin/sh\", [\"sh\"], 0x7ffd /* 3 vars */) = 0\n7 +++ exited with 0 +++\n";
        assert_eq!(paths(strace).as_deref(), Ok(&["/bin/sh".into()][..]));
        let fatrace = "09:00:00.1 sh(7): RO  /bin/sh\n09:00:00.2 sh(7): CW  /tmp/x\n";
        assert_eq!(paths(fatrace).as_deref(), Ok(&["/bin/sh".into()][..]));
        let list = "/bin/sh\n\netc/a (old) = b\n  /with spaces \n";
        let expected = ["/bin/sh".into(), "etc/a (old) = b".into(), "  /with spaces ".into()];
        assert_eq!(paths(list).as_deref(), Ok(&expected[..]));
        assert_eq!(parse(""), Ok(Trace::default()));
    }

    /// Recorded by soci-snapshotter 0.16.1, some lines of a start.
    #[test]
    fn the_snapshotter_s_log() {
        let text = r#"
{"level":"info","msg":"Loading prefetch artifact sha256:0356d606","time":"2026-11-27T16:38:54.1Z"}
{"level":"debug","msg":"FUSE operation","operation":"node.Lookup","path":"opt/start","time":"2026-11-27T16:38:57.156Z"}
{"level":"debug","msg":"FUSE operation","operation":"node.Open","path":"opt/start/elasticsearch.sh","time":"2026-11-27T16:38:57.157Z"}
{"level":"debug","msg":"FUSE operation","operation":"file.Read","path":"opt/start/elasticsearch.sh","time":"2026-11-27T16:38:57.157039534Z"}
{"level":"debug","msg":"FUSE operation","operation":"file.Read","path":"usr/bin/bash","time":"2026-11-27T16:38:57.161237344Z"}
"#;
        let files = parse(text).expect("a trace").files;
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["opt/start/elasticsearch.sh", "usr/bin/bash"]);
    }

    #[test]
    fn parts_of_files() {
        let text = "{\"path\":\"a\",\"parts\":[[0,9],[20,29]]}\n{\"path\":\"b\"}\n";
        let trace = parse(text).expect("a trace");
        assert_eq!(trace.files[0].parts, [(0, 9), (20, 29)]);
        assert!(trace.files[1].parts.is_empty());
        let lines = trace.files.iter().map(|file| serde_json::to_string(file).expect("JSON"));
        assert_eq!(lines.map(|line| line + "\n").collect::<String>(), text);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = parse("{\"path\":\"a\"}\n\n{\"layerIndex\":0}\n").expect_err("no path");
        assert!(error.starts_with("line 3: ") && error.contains("path"), "{error}");
        assert!(parse("{\"path\":\"a\"}\nusr/bin/b\n").is_err());
    }
}
