//! One JSON object per line, with the members of `BuildKit`'s `SolveStatus`, so that what reads
//! `docker buildx build --progress=rawjson` can read this; `docs/progress.md` has the schema.
//!
//! Additions of our own, which Go's decoder passes over: `version` in each line, `skipped` in a vertex,
//! `error` in the last line. Go writes byte strings as base64, so `data` and `short` are base64 here.
//! All texts are for people and end up on terminals, so they are escaped like everywhere else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use soci_layout::Digest;
use soci_layout::event::{Outcome, StepId};

use super::Display;
use super::state::{Changes, StepState};
use crate::cli::show::escape;

/// Version of the lines; members are only ever added under the same one.
const VERSION: u32 = 1;

/// Id of a step's only status: bytes of the layer read.
const READING: &str = "reading";

#[derive(Debug, Default, Serialize)]
struct Line<'a> {
    version: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vertexes: Vec<Vertex<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statuses: Vec<Status>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<Log>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure<'a>>,
}

#[derive(Debug, Serialize)]
struct Vertex<'a> {
    digest: Digest,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    inputs: &'a [Digest],
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    skipped: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
struct Status {
    id: &'static str,
    vertex: Digest,
    name: &'static str,
    total: u64,
    current: u64,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<String>,
}

#[derive(Debug, Serialize)]
struct Log {
    vertex: Digest,
    stream: u32,
    data: String,
    timestamp: String,
}

#[derive(Debug, Serialize)]
struct Warning {
    #[serde(skip_serializing_if = "Option::is_none")]
    vertex: Option<Digest>,
    level: u32,
    short: String,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<Cow<'a, str>>,
}

/// A line for the error that ended a run.
pub(crate) fn failure(message: &str, causes: &[String], hint: Option<&str>) -> String {
    let failure = Failure {
        message: escape::message(message),
        causes: causes.iter().map(|cause| escape::message(cause)).collect(),
        hint: hint.map(escape::text),
    };
    write(&Line { version: VERSION, error: Some(failure), ..Line::default() })
}

/// A line for a warning that belongs to no step.
pub(crate) fn warning(message: &str) -> String {
    write(&Line {
        version: VERSION,
        warnings: vec![Warning::new(None, message)],
        ..Line::default()
    })
}

impl Warning {
    fn new(vertex: Option<Digest>, message: &str) -> Self {
        Self { vertex, level: 1, short: STANDARD.encode(escape::message(message).as_bytes()) }
    }
}

fn write(line: &Line<'_>) -> String {
    // Strings, numbers and arrays can always be written.
    serde_json::to_string(line).map_or_else(|_| String::new(), |json| json + "\n")
}

/// RFC 3339 in UTC with nanoseconds, of the nearest time that it can say: from 1970 to 9999.
fn rfc3339(time: SystemTime) -> String {
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_nanos(time.clamp(SystemTime::UNIX_EPOCH, last)).to_string()
}

/// The display for programs.
#[derive(Debug)]
pub(super) struct RawJson {
    start: SystemTime,
    digests: BTreeMap<StepId, Digest>,
}

impl RawJson {
    /// `start` is the wall clock's time at the start of the run; the rest is counted from it, so that
    /// no step ends before it began when the clock is set.
    pub(super) fn new(start: SystemTime) -> Self {
        Self { start, digests: BTreeMap::new() }
    }

    fn time(&self, at: Duration) -> String {
        rfc3339(self.start + at)
    }

    fn vertex<'a>(&self, state: &'a StepState) -> Vertex<'a> {
        let (error, skipped) = match state.outcome() {
            Some(Outcome::Failed { error }) => (error.as_str(), ""),
            // The words by which BuildKit's displays tell a cancelled step from a failed one.
            Some(Outcome::Cancelled) => ("context canceled", ""),
            Some(Outcome::Skipped { reason }) => ("", reason.as_str()),
            _ => ("", ""),
        };
        Vertex {
            digest: state.step.digest,
            inputs: &state.step.inputs,
            name: escape::text(&state.step.name),
            started: state.started.map(|at| self.time(at)),
            completed: state.finished.as_ref().map(|(at, _)| self.time(*at)),
            cached: state.outcome() == Some(&Outcome::Cached),
            error: escape::text(error),
            skipped: escape::text(skipped),
        }
    }

    fn status(&self, state: &StepState) -> Option<Status> {
        let bytes = state.bytes?;
        Some(Status {
            id: READING,
            vertex: state.step.digest,
            name: READING,
            total: bytes.total,
            current: bytes.current,
            timestamp: self.time(bytes.at),
            started: state.started.map(|at| self.time(at)),
            completed: state.finished.as_ref().map(|(at, _)| self.time(*at)),
        })
    }
}

impl Display for RawJson {
    fn show(&mut self, changes: Changes, _now: Duration, _last: bool) -> String {
        let Changes { steps, notes } = changes;
        if steps.is_empty() && notes.is_empty() {
            return String::new();
        }
        self.digests.extend(steps.iter().map(|state| (state.step.id, state.step.digest)));
        let mut line = Line {
            version: VERSION,
            vertexes: steps.iter().map(|state| self.vertex(state)).collect(),
            statuses: steps.iter().filter_map(|state| self.status(state)).collect(),
            ..Line::default()
        };
        for state in &steps {
            // Those who do not know `skipped` shall not take it for an ordinary end.
            if let Some(Outcome::Skipped { reason }) = state.outcome() {
                let message = format!("skipped: {reason}");
                line.warnings.push(Warning::new(Some(state.step.digest), &message));
            }
        }
        for note in &notes {
            let vertex = self.digests.get(&note.step).copied();
            match (note.warning, vertex) {
                (true, vertex) => line.warnings.push(Warning::new(vertex, &note.message)),
                (false, Some(vertex)) => line.logs.push(Log {
                    vertex,
                    stream: 1,
                    data: STANDARD.encode(format!("{}\n", escape::text(&note.message)).as_bytes()),
                    timestamp: self.time(note.at),
                }),
                (false, None) => {}
            }
        }
        write(&line)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::testing::{show, story};
    use super::*;

    fn lines(text: &str) -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// What a consumer of `BuildKit`'s lines would know after all of them: the latest of each vertex.
    fn fold(lines: &[Value]) -> BTreeMap<String, Value> {
        let vertexes = lines.iter().filter_map(|line| line["vertexes"].as_array()).flatten();
        vertexes.map(|vertex| (vertex["name"].to_string(), vertex.clone())).collect()
    }

    #[test]
    fn story_folds_to_its_end() {
        let mut display = RawJson::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
        let lines = lines(&show(&mut display));
        assert_eq!(lines.len(), story().len());
        assert!(lines.iter().all(|line| line["version"] == 1));
        let vertexes = fold(&lines);
        let mut ends: Vec<_> = vertexes
            .values()
            .map(|v| {
                [&v["name"], &v["completed"], &v["cached"], &v["skipped"]]
                    .map(Value::to_string)
                    .join(" ")
            })
            .collect();
        ends.sort();
        assert_eq!(
            ends,
            [
                r#""[resolve] /tmp/oci" "2001-09-09T01:46:40.100000000Z" null null"#,
                r#""[scan 1/3] linux/amd64 sha256:aa" "2001-09-09T01:46:42.000000000Z" null null"#,
                r#""[scan 2/3] linux/amd64 sha256:bb" "2001-09-09T01:46:41.400000000Z" true null"#,
                r#""[scan 3/3] linux/arm64 sha256:cc" "2001-09-09T01:46:42.100000000Z" null "zstd\\u{1b} is not supported""#,
            ]
        );
        let status = &lines[1]["statuses"][0];
        assert_eq!(
            (&status["current"], &status["total"]),
            (&(10 << 20).into(), &(108 << 20).into())
        );
        assert_eq!(status["timestamp"], "2001-09-09T01:46:40.200000000Z");
        let digest = |name: &str| Value::from(Digest::of(name.as_bytes()).to_string());
        assert_eq!(status["vertex"], digest("[scan 1/3] linux/amd64 sha256:aa"));
        assert_eq!(lines[3]["logs"][0]["data"], STANDARD.encode(b"a detail\n"));
        assert_eq!(lines[3]["warnings"][0]["short"], STANDARD.encode(b"zTOC made anew"));
        assert_eq!(lines[3]["warnings"][0]["vertex"], digest("[scan 2/3] linux/amd64 sha256:bb"));
        assert_eq!(
            lines[6]["warnings"][0]["short"],
            STANDARD.encode(br"skipped: zstd\u{1b} is not supported")
        );
    }

    #[test]
    fn nothing_new_is_no_line_and_empty_members_are_left_out() {
        let mut display = RawJson::new(SystemTime::UNIX_EPOCH);
        assert_eq!(display.show(Changes::default(), Duration::ZERO, true), "");
        let text = failure("m\u{202e}", &[], Some("h"));
        assert_eq!(
            text,
            "{\"version\":1,\"error\":{\"message\":\"m\\\\u{202e}\",\"hint\":\"h\"}}\n"
        );
        assert_eq!(
            warning("w"),
            "{\"version\":1,\"warnings\":[{\"level\":1,\"short\":\"dw==\"}]}\n"
        );
    }

    #[test]
    fn times() {
        for (second, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_399, 999_999_999, "2000-02-28T23:59:59.999999999Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000000Z"),
            (1_709_251_199, 1, "2024-02-29T23:59:59.000000001Z"),
            (1_735_689_599, 0, "2024-12-31T23:59:59.000000000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000000Z"),
            (12_622_780_800, 0, "2370-01-01T00:00:00.000000000Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59.000000000Z"),
        ] {
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::new(second, nanos)), text);
        }
    }
}
