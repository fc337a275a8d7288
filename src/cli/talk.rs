//! What is said on standard error besides progress: summaries, warnings, errors.

use soci_layout::Error;

use super::printer::Printer;
use super::progress::{Mode, rawjson};
use super::render;

/// Standard error, in the words of the display: with `rawjson` every line is JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    pub(crate) mode: Mode,
    pub(crate) quiet: bool,
    pub(crate) printer: Printer,
}

impl Talk {
    pub(crate) fn summary(self, text: &str) {
        if !self.quiet && self.mode != Mode::RawJson {
            self.printer.err(text);
        }
    }

    pub(crate) fn warning(self, message: &str) {
        self.printer.err(&match self.mode {
            Mode::RawJson => rawjson::warning(message),
            _ => render::warning(message),
        });
    }

    pub(crate) fn library_error(self, error: &Error) {
        self.error(&error.to_string(), &render::causes(error), error.hint().as_deref());
    }

    pub(crate) fn error(self, message: &str, causes: &[String], hint: Option<&str>) {
        self.printer.err(&match self.mode {
            Mode::RawJson => rawjson::failure(message, causes, hint),
            _ => render::error(message, causes, hint),
        });
    }
}
