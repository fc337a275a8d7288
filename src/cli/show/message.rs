//! Text for people: warnings, and errors with their causes and hints.

use std::error::Error as StdError;
use std::fmt::Write as _;

use super::escape;
use super::style::{ERROR, HINT, WARNING};

/// A warning, as a line.
pub(crate) fn warning(message: &str) -> String {
    format!("{WARNING}warning:{WARNING:#} {}\n", escape::message(message))
}

/// Something worth knowing, as a line.
pub(crate) fn note(message: &str) -> String {
    format!("{HINT}note:{HINT:#} {}\n", escape::message(message))
}

/// An error with its causes, and a hint apart from it.
pub(crate) fn error(message: &str, causes: &[String], hint: Option<&str>) -> String {
    let mut out = format!("{ERROR}error:{ERROR:#} {}\n", escape::message(message));
    for cause in causes {
        let _ = writeln!(out, "  caused by: {}", escape::message(cause));
    }
    if let Some(hint) = hint {
        let _ = writeln!(out, "{HINT}hint:{HINT:#} {}", escape::message(hint));
    }
    out
}

/// The causes of an error, outermost first, without those that the message before has in it.
pub(crate) fn causes(error: &dyn StdError) -> Vec<String> {
    let mut before = error.to_string();
    let mut causes = Vec::new();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        let text = cause.to_string();
        if !before.contains(&text) {
            causes.push(text.clone());
            before = text;
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_each_thing_once() {
        #[derive(Debug)]
        struct Layered(&'static str, Option<Box<Layered>>);
        impl std::fmt::Display for Layered {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        impl StdError for Layered {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                self.1.as_deref().map(|cause| cause as _)
            }
        }
        let root = Layered("no such file", None);
        let read = Layered("failed to read x: no such file", Some(Box::new(root)));
        let top = Layered("cannot open\x07", Some(Box::new(read)));
        let causes = causes(&top);
        assert_eq!(causes, ["failed to read x: no such file"]);
        let text = error(&top.to_string(), &causes, Some("look"));
        let expected =
            "error: cannot open\\u{7}\n  caused by: failed to read x: no such file\nhint: look\n";
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), expected);
    }
}
