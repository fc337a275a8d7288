//! Records of the files that a run of the image really opened, by whatever tool wrote them.
//!
//! | format | how it is told |
//! | --- | --- |
//! | log of `ctr-remote image optimize --record-out` (stargz): a JSON object with `path` on each line | the first line is an object |
//! | output of `strace -f` | one of the first lines is a system call |
//! | a list: one path on each line | everything else |

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use super::lists::read;
use super::strace;
use crate::error::Error;

/// Lines that are read to tell the format.
const LOOKED_AT: usize = 100;

/// The paths in a trace, each once, in the order of their first use.
///
/// # Errors
/// [`Error::Io`], [`Error::PrefetchList`].
pub fn read_trace(path: &Path) -> Result<Vec<String>, Error> {
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let wrong = |problem| Error::PrefetchList { path: path.to_owned(), problem };
    let mut paths = parse(&text).map_err(wrong)?;
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    if paths.is_empty() {
        return Err(wrong("there is no file in this trace".to_owned()));
    }
    Ok(paths)
}

fn parse(text: &str) -> Result<Vec<String>, String> {
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    if lines().next().is_some_and(|line| line.starts_with('{')) {
        return stargz(text);
    }
    if lines().take(LOOKED_AT).any(strace::is_call) {
        return Ok(strace::paths(lines()));
    }
    Ok(lines().map(str::to_owned).collect())
}

/// An entry of a stargz record (`recorder/recorder.go` there). Which layer it was does not matter: an image that was
/// built again has others.
#[derive(Deserialize)]
struct Recorded {
    path: String,
}

fn stargz(text: &str) -> Result<Vec<String>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| match serde_json::from_str::<Recorded>(line) {
            Ok(recorded) => Ok(recorded.path),
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
        assert_eq!(
            parse(stargz).as_deref(),
            Ok(&["usr/bin/bash".into(), "etc/nsswitch.conf".into()][..])
        );
        let strace =
            "7 execve(\"/bin/sh\", [\"sh\"], 0x7ffd /* 3 vars */) = 0\n7 +++ exited with 0 +++\n";
        assert_eq!(parse(strace).as_deref(), Ok(&["/bin/sh".into()][..]));
        let list = "/bin/sh\n\netc/a (old) = b\n  /with spaces \n";
        let expected = ["/bin/sh".into(), "etc/a (old) = b".into(), "  /with spaces ".into()];
        assert_eq!(parse(list).as_deref(), Ok(&expected[..]));
        assert_eq!(parse("").as_deref(), Ok(&[][..]));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = parse("{\"path\":\"a\"}\n\n{\"layerIndex\":0}\n").expect_err("no path");
        assert!(error.starts_with("line 3: ") && error.contains("path"), "{error}");
        assert!(parse("{\"path\":\"a\"}\nusr/bin/b\n").is_err());
    }
}
