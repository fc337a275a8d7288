//! What an archive on the command line means: where it comes from and where the result goes.

use std::path::{Path, PathBuf};

use super::args::IndexArgs;

/// The name of standard input and output.
const STREAM: &str = "-";
/// Endings of archives, longest first.
const ENDINGS: [&str; 6] = [".tar.gz", ".tar.zst", ".tar.zstd", ".tgz", ".tzst", ".tar"];

/// An archive that is to be indexed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Archive {
    /// `None` for standard input.
    pub(crate) source: Option<PathBuf>,
    pub(crate) target: Target,
}

/// Where the result goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Directory(PathBuf),
    Archive(PathBuf),
    Stdout,
}

/// Why a command line makes no sense, and what to do.
pub(crate) type Misuse = (String, &'static str);

impl Archive {
    /// Whether the command line means an archive, and which. A directory is indexed in place.
    pub(crate) fn of(args: &IndexArgs) -> Result<Option<Self>, Misuse> {
        let path = args.layout.as_path();
        let stdin = path == Path::new(STREAM);
        if !stdin && !std::fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
            let option = match (&args.output, args.force) {
                (Some(_), _) => "--output",
                (None, true) => "--force",
                (None, false) => return Ok(None),
            };
            let problem = format!("{option} is for archives, and {} is none", path.display());
            let hint = "a directory is indexed in place; copy it first to keep it as it is";
            return Err((problem, hint));
        }
        if args.dry_run {
            let hint = "unpack it first, or index it: nothing but --output is written";
            return Err(("--dry-run works on a directory, not on an archive".to_owned(), hint));
        }
        let target = match &args.output {
            Some(output) => Target::named(output, args.display.json)?,
            None => Target::Directory(default_name(path).ok_or_else(|| {
                let problem = "--output is required here".to_owned();
                (problem, "a new directory, an archive (x.tar), or - for standard output")
            })?),
        };
        Ok(Some(Self { source: (!stdin).then(|| path.to_owned()), target }))
    }
}

impl Target {
    fn named(output: &Path, json: bool) -> Result<Self, Misuse> {
        if output == Path::new(STREAM) {
            if json {
                let problem = "--json and --output - both write to standard output".to_owned();
                return Err((problem, "write the archive to a file: --output x.tar"));
            }
            return Ok(Self::Stdout);
        }
        let name = output.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if Path::new(&name).extension().is_some_and(|ending| ending == "tar") {
            return Ok(Self::Archive(output.to_owned()));
        }
        if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            let problem = format!("{}: compressed archives are not written", output.display());
            return Err((problem, "layers are compressed already; or pipe it: --output - | gzip"));
        }
        Ok(Self::Directory(output.to_owned()))
    }
}

/// The archive's path without its ending; `None` when it has none that is known.
fn default_name(archive: &Path) -> Option<PathBuf> {
    let name = archive.file_name()?.to_str()?;
    let lower = name.to_ascii_lowercase();
    let ending = ENDINGS.iter().find(|ending| lower.ends_with(*ending))?;
    let stem = &name[..name.len() - ending.len()];
    (!stem.is_empty()).then(|| archive.with_file_name(stem))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::{Cli, Command};
    use super::*;

    fn of(arguments: &str) -> Result<Option<Archive>, Misuse> {
        let arguments = ["soci-layout", "index"].into_iter().chain(arguments.split_whitespace());
        let command = Cli::try_parse_from(arguments).expect("valid").command;
        let Command::Index(args) = command else { unreachable!("it begins with index") };
        Archive::of(&args)
    }

    #[test]
    fn what_is_meant() {
        let temp = tempfile::TempDir::new().expect("temporary");
        for name in ["a.tar", "b.TAR.gz", "c.tgz", "d.tar.zst", "e", ".tar"] {
            std::fs::write(temp.path().join(name), "").expect("temporary");
        }
        let at = |name: &str| temp.path().join(name);
        let text = temp.path().display();
        for (name, stem) in [("a.tar", "a"), ("b.TAR.gz", "b"), ("c.tgz", "c"), ("d.tar.zst", "d")]
        {
            let expected = Archive { source: Some(at(name)), target: Target::Directory(at(stem)) };
            assert_eq!(of(&format!("{text}/{name}")), Ok(Some(expected)));
        }
        for (output, target) in [
            ("x", Target::Directory("x".into())),
            ("y/x.tar", Target::Archive("y/x.tar".into())),
            ("-", Target::Stdout),
        ] {
            assert_eq!(
                of(&format!("- --output {output}")),
                Ok(Some(Archive { source: None, target }))
            );
        }
        assert_eq!(of(&text.to_string()), Ok(None));
        assert_eq!(of("/nonexistent/x.tar"), Ok(None));
        for (arguments, part) in [
            (format!("{text} --output x"), "--output is for archives"),
            (format!("{text} --force"), "--force is for archives"),
            (format!("{text}/a.tar --dry-run"), "--dry-run"),
            (format!("{text}/e"), "is required"),
            (format!("{text}/.tar"), "is required"),
            ("-".to_owned(), "is required"),
            ("- --output - --json".to_owned(), "--json"),
            ("- --output x.tar.gz".to_owned(), "compressed"),
        ] {
            let (problem, _) = of(&arguments).expect_err(part);
            assert!(problem.contains(part), "{arguments}: {problem}");
        }
    }
}
