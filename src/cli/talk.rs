//! What is said on standard error besides progress: summaries, warnings, errors.

use serde::Serialize;
use soci_layout::Error;

use super::exit::Exit;
use super::progress::{self, Mode, Progress, rawjson};
use super::show::printer::Printer;
use super::show::{json, message};
use super::{args, hints, signals};

/// The hint where a layout was changed and only the report of it could not be written.
pub(crate) const LAYOUT_DONE: &str = "the layout itself is done; only the output is missing";

/// Standard error, in the words of the display: with `rawjson` every line is JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    pub(crate) mode: Mode,
    pub(crate) quiet: bool,
    pub(crate) printer: Printer,
    /// Whether the command writes, for hints.
    pub(crate) writes: bool,
}

impl Talk {
    /// Chooses the display that was asked for; without a wish, quiet is no progress.
    ///
    /// # Errors
    /// The exit, when that display cannot be had; what is wrong has been said.
    pub(crate) fn start(
        asked: Option<args::Progress>,
        quiet: bool,
        printer: Printer,
    ) -> Result<Self, Exit> {
        let default = if quiet { args::Progress::Quiet } else { args::Progress::Auto };
        let asked = asked.unwrap_or(default);
        match Mode::choose(asked, printer.stderr_drawable(), progress::in_ci()) {
            Ok(mode) => Ok(Self { mode, quiet, printer, writes: false }),
            Err(problem) => {
                printer.err(&message::error(&format!("--progress tty: {problem}"), &[], None));
                Err(Exit::Usage)
            }
        }
    }

    /// Of a command that shows no progress.
    pub(crate) const fn silent(quiet: bool, printer: Printer) -> Self {
        Self { mode: Mode::Quiet, quiet, printer, writes: false }
    }

    /// Runs what the library does for a command under the display of progress, and says why it failed.
    ///
    /// # Errors
    /// The exit for the library's error.
    pub(crate) fn watch<R>(
        self,
        verb: impl FnOnce(&Progress) -> Result<R, Error>,
    ) -> Result<R, Exit> {
        self.watch_closely(false, |_| &[], verb)
    }

    /// As [`Self::watch`], where a report has warnings, which are said unless the display has said them, and
    /// details may be asked for.
    ///
    /// # Errors
    /// The exit for the library's error.
    pub(crate) fn watch_closely<R>(
        self,
        verbose: bool,
        warnings: fn(&R) -> &[String],
        verb: impl FnOnce(&Progress) -> Result<R, Error>,
    ) -> Result<R, Exit> {
        let progress = Progress::start(self.mode, verbose, self.printer);
        let result = verb(&progress);
        let shown = progress.finish();
        let report = result.map_err(|error| self.failed(&error))?;
        for warning in warnings(&report).iter().filter(|warning| !shown.contains(warning)) {
            self.warning(warning);
        }
        Ok(report)
    }

    /// Says why the library failed, and gives the exit for it.
    pub(crate) fn failed(self, error: &Error) -> Exit {
        self.about(&error.to_string(), error);
        match error {
            Error::Cancelled => signals::caught().unwrap_or(Exit::Error),
            _ => Exit::Error,
        }
    }

    /// Tells an error of the library in these words, with its causes and what to do about it.
    pub(crate) fn about(self, text: &str, error: &Error) {
        let hint = hints::hint(error, self.writes);
        self.error(text, &message::causes(error), hint.as_deref());
    }

    /// Says why the command line makes no sense, and gives the exit for it.
    pub(crate) fn misuse(self, problem: &str, hint: &str) -> Exit {
        self.error(problem, &[], Some(hint));
        Exit::Usage
    }

    /// Writes a report to standard output, as JSON or in the words of `text`.
    ///
    /// # Errors
    /// The exit; that it failed has been said, with this hint.
    pub(crate) fn report<R: Serialize>(
        self,
        report: &R,
        json: bool,
        hint: Option<&str>,
        text: impl FnOnce(&R) -> String,
    ) -> Result<Exit, Exit> {
        let data = if json { json::document(report) } else { text(report) };
        self.data(&data, hint)
    }

    /// Writes data to standard output.
    ///
    /// # Errors
    /// The exit; that it failed has been said, with this hint.
    pub(crate) fn data(self, data: &str, hint: Option<&str>) -> Result<Exit, Exit> {
        self.printer.out(data).map_err(|error| self.unwritten(&error, hint))?;
        Ok(Exit::Done)
    }

    /// Says that standard output could not be written, and gives the exit for it.
    pub(crate) fn unwritten(self, error: &std::io::Error, hint: Option<&str>) -> Exit {
        self.error("failed to write to standard output", &[error.to_string()], hint);
        Exit::Error
    }

    /// What was done; not when `quiet`, and where every line is JSON there is no line for it.
    pub(crate) fn summary(self, text: &str) {
        if !self.quiet && self.mode != Mode::RawJson {
            self.printer.err(text);
        }
    }

    /// Something worth knowing, where a summary would be said.
    pub(crate) fn note(self, message: &str) {
        self.summary(&message::note(message));
    }

    pub(crate) fn warning(self, message: &str) {
        self.printer.err(&match self.mode {
            Mode::RawJson => rawjson::warning(message),
            _ => message::warning(message),
        });
    }

    pub(crate) fn error(self, message: &str, causes: &[String], hint: Option<&str>) {
        self.printer.err(&match self.mode {
            Mode::RawJson => rawjson::failure(message, causes, hint),
            _ => message::error(message, causes, hint),
        });
    }
}
