//! Output of `strace`: the files that were opened or executed with success.
//!
//! A line is a process number (`-f` with `-o`, or `[pid N]`), times (`-t`, `-r`), and a call with its result. A call that
//! another process interrupted stands on two lines. With `-y`, results have the path behind them, which is then
//! taken; else names that do not begin at the root are put behind the process's directory, when that is known.

use std::collections::HashMap;

use super::paths::cleaned;

/// Calls that are read: those that open, and those that change where relative names begin.
const CALLS: [&str; 10] = [
    "open", "openat", "openat2", "execve", "execveat", "chdir", "fork", "vfork", "clone", "clone3",
];

/// Whether a line has a system call.
pub(super) fn is_call(line: &str) -> bool {
    let (_, rest) = process(line);
    let Some((name, rest)) = rest.split_once('(') else { return false };
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let ends = rest.contains(") = ") || rest.contains(")  ") || rest.ends_with("<unfinished ...>");
    !name.is_empty() && name.chars().all(word) && ends
}

/// The paths of all files, in the order in which they were opened.
pub(super) fn paths<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut reader = Reader::default();
    for line in lines {
        let (process, rest) = process(line);
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let begun = reader.unfinished.remove(process);
            if let (Some(begun), Some((_, end))) = (begun, resumed.split_once(" resumed>")) {
                reader.call(process, &(begun + end));
            }
        } else if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            reader.begins(process, begun);
            reader.unfinished.insert(process.to_owned(), begun.trim_end().to_owned());
        } else {
            reader.call(process, rest);
        }
    }
    reader.found
}

/// The process of a line, empty when the line has none, and the rest behind the times.
fn process(line: &str) -> (&str, &str) {
    let line = line.trim();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (process, mut rest) = match line.strip_prefix("[pid ").and_then(|line| line.split_once(']'))
    {
        Some((process, rest)) => (process.trim(), rest.trim_start()),
        None => match line.split_once(' ') {
            Some((process, rest)) if number(process) => (process, rest.trim_start()),
            _ => ("", line),
        },
    };
    while let Some((word, behind)) = rest.split_once(' ')
        && word.bytes().all(|byte| byte.is_ascii_digit() || b".:+".contains(&byte))
    {
        rest = behind.trim_start();
    }
    (process, rest)
}

#[derive(Default)]
struct Reader {
    found: Vec<String>,
    /// First halves of calls, by process.
    unfinished: HashMap<String, String>,
    /// Where relative names begin, by process; the empty text where it is unknown.
    directories: HashMap<String, String>,
    /// Where the process that made another one last is.
    forked_in: String,
}

impl Reader {
    /// A process not seen before is a child of the one that made another one last.
    fn directory(&self, process: &str) -> &str {
        self.directories.get(process).unwrap_or(&self.forked_in)
    }

    /// The first half of a call: a new process may be at work before it is known who made it.
    fn begins(&mut self, process: &str, call: &str) {
        if ["fork(", "vfork(", "clone(", "clone3("].iter().any(|name| call.starts_with(name)) {
            self.forked_in = self.directory(process).to_owned();
        }
    }

    fn call(&mut self, process: &str, text: &str) {
        let Some((name, rest)) = text.split_once('(') else { return };
        if !CALLS.contains(&name) {
            return;
        }
        // Names may hold anything, results do not.
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { return };
        let end = result.find(|c: char| !c.is_ascii_digit()).unwrap_or(result.len());
        let (number, behind) = result.split_at(end);
        if number.is_empty() {
            return;
        }
        let directory = self.directory(process).to_owned();
        match name {
            "fork" | "vfork" | "clone" | "clone3" => {
                self.directories.entry(number.to_owned()).or_insert_with(|| directory.clone());
                self.forked_in = directory;
            }
            "chdir" => {
                let Some((path, _)) = quoted(arguments) else { return };
                let path = joined(&directory, &path).unwrap_or_default();
                self.directories.insert(process.to_owned(), path);
            }
            _ => {
                let Some((path, flags)) = quoted(arguments) else { return };
                // What is emptied is not read.
                if flags.contains("O_TRUNC") || flags.contains("O_DIRECTORY") {
                    return;
                }
                let told = behind.strip_prefix('<').and_then(|path| path.split_once('>'));
                let told =
                    told.map(|(path, _)| unescaped(path)).filter(|path| path.starts_with('/'));
                // A descriptor of a directory says where it is only with -y.
                let base = match arguments.split_once('"').map(|(before, _)| before.trim()) {
                    Some(at) if at.starts_with("AT_FDCWD") || at.is_empty() => Some(directory),
                    _ => None,
                };
                let path = told.or_else(|| joined(base.as_deref().unwrap_or(""), &path));
                self.found.extend(path);
            }
        }
    }
}

/// The first quoted text and what stands behind it.
fn quoted(arguments: &str) -> Option<(String, &str)> {
    let rest = &arguments[arguments.find('"')? + 1..];
    let mut escaped = false;
    let end = rest.char_indices().find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let (end, _) = end?;
    Some((unescaped(&rest[..end]), &rest[end + 1..]))
}

/// A name as it was: `strace` writes it as C does, other bytes in octal, or as `\x`.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let Some((kind, behind)) = rest.split_first() else { break };
        let digits = |from: &[u8], radix: u32, most: usize| {
            from.iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix)).count()
        };
        let (from, radix, count) = match kind {
            b'x' => (behind, 16, digits(behind, 16, 2)),
            b'0'..=b'7' => (rest, 8, digits(rest, 8, 3)),
            _ => (behind, 0, 0),
        };
        if count > 0 {
            let number = std::str::from_utf8(&from[..count]).unwrap_or_default();
            bytes.push(u32::from_str_radix(number, radix).unwrap_or_default() as u8);
            rest = &from[count..];
            continue;
        }
        rest = behind;
        bytes.push(match kind {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'v' => 0x0b,
            b'f' => 0x0c,
            other => *other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A name behind a directory; nothing for a relative one when the directory is not known.
fn joined(directory: &str, path: &str) -> Option<String> {
    let whole = match path.starts_with('/') {
        true => path.to_owned(),
        false if directory.is_empty() || path.is_empty() => return None,
        false => format!("{directory}/{path}"),
    };
    Some(format!("/{}", String::from_utf8_lossy(&cleaned(whole.as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded by strace 6.13 of a shell and its children, lines about locales left out.
    const WITH_OUTPUT_FILE: &str = r#"
29789 execve("/usr/bin/sh", ["sh", "-c", "cat /etc/hostname; cd /tmp/st/ap"...], 0x7ffdc1cf9648 /* 35 vars */) = 0
29789 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3
29789 vfork( <unfinished ...>
29790 execve("/usr/bin/cat", ["cat", "/etc/hostname"], 0x55acf8f0e138 /* 35 vars */ <unfinished ...>
29789 <... vfork resumed>)              = 29790
29790 <... execve resumed>)             = 0
29790 openat(AT_FDCWD, "/usr/lib/locale/locale-archive", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)
29790 openat(AT_FDCWD, "/etc/hostname", O_RDONLY) = 3
29790 +++ exited with 0 +++
29789 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=29790, si_uid=0, si_status=0, si_utime=0, si_stime=0} ---
29789 chdir("/tmp/st/app")              = 0
29789 vfork( <unfinished ...>
29791 execve("/usr/bin/cat", ["cat", "data.txt", "odd name \"q\".txt"], 0x55acf8f0e138 /* 35 vars */ <unfinished ...>
29789 <... vfork resumed>)              = 29791
29791 <... execve resumed>)             = 0
29791 openat(AT_FDCWD, "data.txt", O_RDONLY) = 3
29791 openat(AT_FDCWD, "odd name \"q\".txt", O_RDONLY) = 3
29789 openat(AT_FDCWD, "/dev/null", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3
"#;

    /// With `-y -tt`.
    const WITH_PATHS: &str = r#"
29798 09:20:04.830000 chdir("app") = 0
29799 09:20:04.842452 openat(AT_FDCWD</tmp/st/app>, "/usr/lib/locale/C.UTF-8/LC_CTYPE", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)
29799 09:20:04.842653 openat(AT_FDCWD</tmp/st/app>, "data.txt", O_RDONLY) = 3</tmp/st/app/data.txt>
"#;

    /// Without `-o`.
    const WITH_PID: &str = r#"
execve("/usr/bin/head", ["head", "-1"], 0x5570 /* 35 vars */) = 0
[pid 29804] openat(AT_FDCWD, "/usr/lib/locale/C.UTF-8/LC_COLLATE", O_RDONLY|O_CLOEXEC <unfinished ...>
[pid 29805] openat(AT_FDCWD, "/usr/lib/locale/C.utf8/LC_TIME", O_RDONLY|O_CLOEXEC) = 3
[pid 29804] <... openat resumed>)       = -1 ENOENT (No such file or directory)
[pid 29804] openat(AT_FDCWD, "/etc/hostname", O_RDONLY <unfinished ...>
[pid 29805] +++ exited with 0 +++
[pid 29804] <... openat resumed>)       = 3
"#;

    fn found(text: &str) -> Vec<String> {
        paths(text.lines())
    }

    #[test]
    fn recorded_runs() {
        assert_eq!(
            found(WITH_OUTPUT_FILE),
            [
                "/usr/bin/sh",
                "/etc/ld.so.cache",
                "/usr/bin/cat",
                "/etc/hostname",
                "/usr/bin/cat",
                "/tmp/st/app/data.txt",
                "/tmp/st/app/odd name \"q\".txt",
            ]
        );
        assert_eq!(found(WITH_PATHS), ["/tmp/st/app/data.txt"]);
        let expected = ["/usr/bin/head", "/usr/lib/locale/C.utf8/LC_TIME", "/etc/hostname"];
        assert_eq!(found(WITH_PID), expected);
        for (text, call) in [
            (WITH_OUTPUT_FILE, true),
            (WITH_PATHS, true),
            (WITH_PID, true),
            ("/a (b) c\n/etc/x", false),
        ] {
            assert_eq!(text.lines().any(is_call), call, "{text}");
        }
    }

    /// A record may be cut anywhere, and hold anything.
    #[test]
    fn cut_and_changed_records_are_read() {
        for text in [WITH_OUTPUT_FILE, WITH_PATHS, WITH_PID] {
            for (at, _) in text.char_indices() {
                let cut = found(&text[..at]);
                assert!(found(text).len() >= cut.len());
                for sign in ['"', '\\', '(', '<', '=', '\n', 'é'] {
                    found(&format!("{}{sign}{}", &text[..at], &text[at + 1..]));
                }
            }
        }
    }

    #[test]
    fn odd_lines() {
        for (line, expected) in [
            // A relative name when the directory is unknown; a descriptor of a directory.
            (r#"1 openat(AT_FDCWD, "data.txt", O_RDONLY) = 3"#, None),
            (r#"1 openat(5, "data.txt", O_RDONLY) = 3"#, None),
            (
                r#"1 openat(5</srv>, "data.txt", O_RDONLY) = 3</srv/data.txt>"#,
                Some("/srv/data.txt"),
            ),
            (r#"1 open("/a\\b\303\274\x41\n) = 7", O_RDONLY) = 3"#, Some("/a\\bü\u{41}\n) = 7")),
            (r#"1 execveat(3, "", ["x"], NULL, AT_EMPTY_PATH) = 0"#, None),
            (r#"1 openat(AT_FDCWD, "/etc", O_RDONLY|O_DIRECTORY) = 3"#, None),
            (r#"1 openat(AT_FDCWD, "/../x/./y", O_RDONLY) = 3"#, Some("/x/y")),
            (r#"1 openat(AT_FDCWD, "/cut"#, None),
            (r#"1 openat(AT_FDCWD, "/a", O_RDONLY) = ?"#, None),
            (r#"1 read(3, "x", 1) = 1"#, None),
            ("1 <... openat resumed>) = 3", None),
        ] {
            let expected: Vec<&str> = expected.into_iter().collect();
            assert_eq!(found(line), expected, "{line}");
        }
    }
}
