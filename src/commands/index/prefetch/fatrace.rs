//! Output of `fatrace`: the files that were opened or read.
//!
//! A line is a time (`-t`), a process's name and number, its owner (`--user`), what was done, and the file:
//! `17:27:38.915511 sh(7088): RO  /usr/bin/perl`. A name that is gone is told as device and inode.

/// What was done and with which file; nothing for a line of another kind.
fn event(line: &str) -> Option<(&str, &str)> {
    // A process may be named anything.
    let behind = line.match_indices(": ").find_map(|(at, colon)| {
        let process = &line[..at];
        let owner = process.strip_suffix(']').and_then(|process| process.rsplit_once(" ["));
        let (_, number) = owner.map_or(process, |(process, _)| process).rsplit_once('(')?;
        let number = number.strip_suffix(')')?;
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        digits.then_some(&line[at + colon.len()..])
    })?;
    let (done, file) = behind.split_once(' ')?;
    let known = !done.is_empty() && done.chars().all(|sign| "ROCWD+<>".contains(sign));
    known.then_some((done, file.trim_start()))
}

/// Whether a line is one of fatrace's.
pub(super) fn is_event(line: &str) -> bool {
    event(line).is_some()
}

/// The paths of all files that were opened or read and not written, in that order.
pub(super) fn paths<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let used = |(done, file): &(&str, &str)| {
        done.contains(['R', 'O']) && !done.contains('W') && file.starts_with('/')
    };
    lines.filter_map(event).filter(used).map(|(_, file)| file.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded by `fatrace -t -c` 0.17 of a shell and its children; most libraries and locales left out.
    const RECORDED: &str = "\
17:27:38.874554 cat(7085): RO  /usr/bin/cat
17:27:38.874554 cat(7085): CO  /etc/ld.so.cache
17:27:38.874554 cat(7085): RCO /tmp/ft/app/a file
17:27:38.874554 cat(7085): O   /etc/hostname
17:27:38.915511 unknown(7085): RC  /etc/hostname
17:27:38.915511 sh(7088): O   /usr/bin/perl5.36.0
17:27:38.922232 perl(7088): R   /usr/bin/perl5.36.0
17:27:38.922232 perl(7088): RO  /usr/lib/x86_64-linux-gnu/libm.so.6
17:27:38.935725 unknown(7088): C   /usr/bin/perl5.36.0
17:27:38.935725 sh(7084): CWO /tmp/ft/app/new
";

    #[test]
    fn a_recorded_run() {
        assert_eq!(
            paths(RECORDED.lines()),
            [
                "/usr/bin/cat",
                "/etc/ld.so.cache",
                "/tmp/ft/app/a file",
                "/etc/hostname",
                "/etc/hostname",
                "/usr/bin/perl5.36.0",
                "/usr/bin/perl5.36.0",
                "/usr/lib/x86_64-linux-gnu/libm.so.6",
            ]
        );
        assert!(RECORDED.lines().all(is_event));
        for (at, _) in RECORDED.char_indices() {
            paths(RECORDED[..at].lines());
        }
    }

    #[test]
    fn other_lines() {
        for (line, expected) in [
            ("1724.5 a (b): c(12) [0:1000]: RO  /x: y", Some("/x: y")),
            ("kworker/u8:1 x(3): R /a", Some("/a")),
            // The kernel knows no name; directories; no line of fatrace.
            ("compiz(1971): O device 8:2 inode 658203", None),
            ("sh(7): D   /tmp", None),
            ("sh(7): <>  /tmp", None),
            ("sh(x): R /a", None),
            ("sh(7): read /a", None),
            ("/opt/a(1): b", None),
            ("7 openat(AT_FDCWD, \"a\", O_RDONLY) = 3", None),
        ] {
            assert_eq!(paths([line].into_iter()), Vec::from_iter(expected), "{line}");
        }
    }
}
