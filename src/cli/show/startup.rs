//! How soon an image would be started and ready, for people.

use soci_layout::startup::{Moments, Startup};

/// What is said of each way to start, and of all of them.
pub(crate) fn lines(startup: &Startup) -> Vec<String> {
    let way = |name: &str, at: &Moments| {
        format!(
            "{name}: started after {:.1} s, ready after {:.1} s and its own work",
            at.started, at.ready
        )
    };
    let list = if startup.listed { "list" } else { "a list (60 % of each layer taken to be read)" };
    vec![
        way("unpacked", &startup.unpacked),
        way("lazily", &startup.lazy),
        way(&format!("lazily, {list} fetched ahead"), &startup.prefetched),
        startup.verdict.text().to_owned(),
    ]
}
