//! `--min-lazy` and `--max-eager`: what a pipeline insists on, of each image.

use clap::Args;
use soci_layout::inspect::Share;

use super::RUN;
use crate::cli::show::size::{self, Bytes};
use crate::cli::show::{self, escape};

/// What is said when less is lazy than was asked for.
pub(crate) const HINT: &str = "`soci-layout doctor LAYOUT` says what changes it";

/// The gates.
#[derive(Args, Debug)]
pub(crate) struct Gates {
    /// Exit with code 3 when of an image less than this share is lazy, in percent of its bytes
    #[arg(long, value_name = "PERCENT", help_heading = RUN, value_parser = percent)]
    pub(crate) min_lazy: Option<u8>,

    /// Exit with code 3 when of an image more than this is pulled whole before it starts
    #[arg(long, value_name = "SIZE", help_heading = RUN, value_parser = size::parse)]
    pub(crate) max_eager: Option<u64>,
}

impl Gates {
    /// Why this image does not pass.
    pub(crate) fn stop(&self, platform: &str, names: &[String], share: Share) -> Option<String> {
        let (lazy, all) = (Bytes(share.bytes), Bytes(share.of_bytes));
        let problem = match (self.min_lazy, self.max_eager) {
            (Some(least), _) if !share.is_at_least(least) => {
                format!("{lazy} of {all} are lazy, less than --min-lazy {least}%")
            }
            (_, Some(most)) if share.eager_bytes() > most => {
                let (eager, most) = (Bytes(share.eager_bytes()), Bytes(most));
                format!("{eager} are pulled before it starts, more than --max-eager {most}")
            }
            _ => return None,
        };
        let names = show::names(names);
        Some(format!("{} of {}: {problem}", escape::label(platform), escape::label(&names)))
    }
}

/// `80` or `80%`.
fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    match number.parse::<u8>() {
        Ok(percent) if percent <= 100 => Ok(percent),
        _ => Err("expected a number of percent from 0 to 100, as in 80%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_with_and_without_its_sign() {
        for (text, value) in [
            ("80%", Some(80)),
            ("80", Some(80)),
            ("80 %", Some(80)),
            ("0", Some(0)),
            ("100%", Some(100)),
        ] {
            assert_eq!(percent(text).ok(), value, "{text}");
        }
        for text in ["101", "-1", "", "%", "0.8", "80%%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn gates_on_either_side_of_their_limits() {
        let share = Share { layers: 1, of_layers: 2, bytes: 80 << 20, of_bytes: 100 << 20 };
        for (min_lazy, max_eager, stops) in [
            (None, None, None),
            (Some(80), Some(20 << 20), None),
            (Some(81), None, Some("less than --min-lazy 81%")),
            (None, Some((20 << 20) - 1), Some("more than --max-eager")),
        ] {
            let stop = Gates { min_lazy, max_eager }.stop("linux/amd64", &["v1".to_owned()], share);
            assert_eq!(stop.is_some(), stops.is_some(), "{stop:?}");
            let told = stop.unwrap_or_default();
            assert!(told.contains(stops.unwrap_or_default()), "{told}");
        }
    }
}
