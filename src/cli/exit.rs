//! The exit codes, in one table that code and documentation (`docs/cli.md`) share.
//!
//! 2 is clap's (and the shells') code for wrong usage, 70 is `EX_SOFTWARE` of `sysexits.h`. The codes
//! 130 and 143 are reserved: they are what a shell reports when the program is ended by SIGINT or
//! SIGTERM. The program leaves these signals alone, because a layout is replaced by one rename at the
//! very end, so being killed never leaves one half written.

use std::process::ExitCode;

/// The table as `--help` shows it.
pub(crate) const HELP: &str = "\
Exit codes:
   0  done, or nothing to do
   1  error; the layout is as before
   2  wrong usage
   3  nothing was indexed, and --require-index was given
  70  a bug in soci-layout";

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The work is done, or there was nothing to do.
    Done,
    /// An error; the layout is as before.
    Error,
    /// The command line makes no sense.
    Usage,
    /// Nothing was indexed, and `--require-index` was given.
    NothingIndexed,
    /// A bug in this program.
    Bug,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::NothingIndexed => 3,
            Self::Bug => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, HELP};

    #[test]
    fn every_code_is_documented() {
        for exit in [Exit::Done, Exit::Error, Exit::Usage, Exit::NothingIndexed, Exit::Bug] {
            let code = exit.code();
            assert!(HELP.contains(&format!("\n{code:>4}  ")), "{exit:?}");
            let row = format!("\n| {code} | ");
            assert!(include_str!("../../docs/cli.md").contains(&row), "{exit:?}");
        }
    }
}
