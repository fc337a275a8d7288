//! The few colours. They only decorate: every text says the same without them.
//!
//! Text is always styled where it is made; [`super::printer`] takes the styles out again where colour
//! is not wanted.

use clap::builder::styling::{AnsiColor, Style, Styles};

/// The word `error:` and failed steps.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The word `warning:` and skipped steps.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// The word `hint:`.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Results taken from an earlier run.
pub(crate) const CACHED: Style = AnsiColor::Cyan.on_default();
/// What is over.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Headings.
pub(crate) const BOLD: Style = Style::new().bold();

/// The colours of clap's help.
pub(crate) const HELP: Styles = Styles::styled()
    .header(BOLD)
    .usage(BOLD)
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());
