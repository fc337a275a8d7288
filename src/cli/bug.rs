//! A panic is a bug of ours: one short message what to report, instead of Rust's own text.
//!
//! The hook stays silent and keeps place and message, because it runs while progress bars may still be
//! on the screen; [`message`] is printed after they are gone. The first panic is kept: later ones (a
//! lock held by the thread that panicked) are its consequences.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

use crate::cli::show::escape;
use crate::cli::show::style::{ERROR, HINT};

static FIRST: Mutex<Option<String>> = Mutex::new(None);

/// Replaces the standard panic hook.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| {
        let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| describe(info));
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let mut text = escape::text(text.unwrap_or("unknown cause")).into_owned();
    if let Some(place) = info.location() {
        let _ = write!(text, "\n  at {place}");
    }
    // Captured only when RUST_BACKTRACE asks for it.
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        let _ = write!(text, "\n{trace}");
    }
    text
}

/// What to tell people after a panic.
pub(crate) fn message() -> String {
    let first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    let what = first.as_deref().unwrap_or("unknown cause");
    format!(
        "{ERROR}error:{ERROR:#} a bug in soci-layout {}: {what}\n\
         {HINT}hint:{HINT:#} please report these lines with the command line; index.json is replaced in one \
         step at the very end, so the layout is either as before or complete\n",
        env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn message_says_what_to_report() {
        let text = super::message();
        assert!(text.contains("a bug in soci-layout") && text.contains("please report"), "{text}");
    }
}
