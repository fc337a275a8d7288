//! The exit codes, in one table that code and documentation (`docs/cli.md`) share.
//!
//! 2 is clap's (and the shells') code for wrong usage, 70 is `EX_SOFTWARE` of `sysexits.h`, 130 and 143
//! are what a shell reports for a program that SIGINT or SIGTERM ended.

/// The table as `--help` shows it.
pub(crate) const HELP: &str = "\
Exit codes:
   0  done, or nothing to do
   1  error, and the layout is as before; or a finding of verify or check, a difference with diff --exit-code
   2  wrong usage
   3  nothing was indexed, and --require-index was given; a layer is not lazy, and verify --require-lazy was;
      an image does not pass --min-lazy or --max-eager
   4  some images of --from-file failed; the others are done
  70  a bug in soci-layout
 130  interrupted (Ctrl-C); the layout is as before
 143  terminated; the layout is as before";

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The work is done, or there was nothing to do.
    Done = 0,
    /// An error, and the layout is as before; or a finding of `verify` or `check`, or a difference with
    /// `diff --exit-code`.
    Error = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Nothing was indexed, and `--require-index` was given; a layer is not lazy, and `verify --require-lazy`
    /// was; or an image does not pass `--min-lazy` or `--max-eager`.
    NotLazy = 3,
    /// Some images of `index --from-file` failed.
    #[cfg(feature = "registry")]
    SomeFailed = 4,
    /// A bug in this program.
    Bug = 70,
    /// Ended by SIGINT.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, HELP};

    #[test]
    fn every_code_is_documented() {
        for exit in [
            Exit::Done,
            Exit::Error,
            Exit::Usage,
            Exit::NotLazy,
            #[cfg(feature = "registry")]
            Exit::SomeFailed,
            Exit::Bug,
            Exit::Interrupted,
            Exit::Terminated,
        ] {
            let code = exit.code();
            assert!(HELP.contains(&format!("\n{code:>4}  ")), "{exit:?}");
            let row = format!("\n| {code} | ");
            assert!(include_str!("../../docs/cli.md").contains(&row), "{exit:?}");
        }
    }
}
