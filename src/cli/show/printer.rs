//! The one door to standard output and standard error.
//!
//! Data goes to standard output, everything else to standard error. anstream takes styles out where
//! they are not wanted: not a terminal, `NO_COLOR`, `CLICOLOR=0`, `TERM=dumb`; `CLICOLOR_FORCE` keeps
//! them. Nothing here is buffered over a call, so the two streams keep their order.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};

use crate::cli::stdout::Stdout;

/// The streams of the process, and what was found out about them at the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    stdout: ColorChoice,
    stderr: ColorChoice,
    drawable: bool,
}

impl Printer {
    /// A printer that looks at streams and environment once.
    pub(crate) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        Self {
            stdout: AutoStream::choice(&io::stdout()),
            stderr: AutoStream::choice(&io::stderr()),
            drawable: io::stderr().is_terminal() && !dumb,
        }
    }

    /// Writes data to standard output. A reader that went away (`| head`) has what it wanted: success.
    ///
    /// # Errors
    /// When not all of it could be written for another reason.
    pub(crate) fn out(self, text: &str) -> io::Result<()> {
        let written = if self.stdout == ColorChoice::Never {
            Stdout.write_all(strip_str(text).to_string().as_bytes())
        } else {
            Stdout.write_all(text.as_bytes())
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Standard output for the content of files: every byte goes through as it is.
    pub(crate) fn raw() -> Stdout {
        Stdout
    }

    /// Standard output for bytes, which are written as they are; `None` when it is a terminal, which would take
    /// them for commands.
    ///
    /// # Errors
    /// When it is closed.
    pub(crate) fn out_bytes() -> io::Result<Option<File>> {
        if io::stdout().is_terminal() {
            return Ok(None);
        }
        Stdout::file()?.try_clone_to_owned().map(|file| Some(File::from(file)))
    }

    /// Writes text for people to standard error. A failure cannot be reported, and it
    /// is no reason to stop the work.
    pub(crate) fn err(self, text: &str) {
        if !text.is_empty() {
            let mut stream = AutoStream::new(io::stderr().lock(), self.stderr);
            let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
        }
    }

    /// Whether text on standard error keeps its styles.
    pub(crate) fn stderr_colour(self) -> bool {
        self.stderr != ColorChoice::Never
    }

    /// Whether standard error can be drawn on: a terminal that understands cursor movements.
    pub(crate) fn stderr_drawable(self) -> bool {
        self.drawable
    }

    /// Whether somebody types what comes through standard input.
    pub(crate) fn stdin_typed() -> bool {
        io::stdin().is_terminal()
    }

    /// Columns and rows of the terminal behind standard error, now.
    pub(crate) fn stderr_size(self) -> (usize, usize) {
        let size =
            self.drawable.then(|| rustix::termios::tcgetwinsize(io::stderr()).ok()).flatten();
        match size {
            Some(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (usize::from(size.ws_col), usize::from(size.ws_row))
            }
            // A serial line does not know its size.
            _ => (80, 24),
        }
    }
}
