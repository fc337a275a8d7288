//! Fuzz targets as plain functions: each takes bytes and panics on a finding.
//!
//! libFuzzer drives them with coverage (nightly, `fuzz_targets/`), the binary `replay` drives them with
//! the committed seeds and random mutations (stable, CI). `docs/fuzzing.md` tells what each one checks.

pub mod gzip;
pub mod json;
mod judge;
pub mod layout;
mod random;
mod tables;
pub mod tar;
pub mod wide;
pub mod ztoc;

use std::path::PathBuf;

pub use random::Random;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of the libFuzzer binary and of the directory of seeds.
    pub name: &'static str,
    /// The check.
    pub check: fn(&[u8]),
    /// Texts that mutations put in.
    pub dictionary: &'static str,
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "gzip",
        check: gzip::check,
        dictionary: include_str!("../dictionaries/gzip.dict"),
    },
    Target {
        name: "wide",
        check: wide::check,
        dictionary: include_str!("../dictionaries/wide.dict"),
    },
    Target { name: "tar", check: tar::check, dictionary: include_str!("../dictionaries/tar.dict") },
    Target {
        name: "ztoc",
        check: ztoc::check,
        dictionary: include_str!("../dictionaries/ztoc.dict"),
    },
    Target {
        name: "json",
        check: json::check,
        dictionary: include_str!("../dictionaries/json.dict"),
    },
    Target {
        name: "layout",
        check: layout::check,
        dictionary: include_str!("../dictionaries/layout.dict"),
    },
];

impl Target {
    /// The committed seeds with their names, in the order of the names.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn seeds(&self) -> std::io::Result<Vec<(String, Vec<u8>)>> {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds").join(self.name);
        let mut seeds = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            seeds.push((name, std::fs::read(entry.path())?));
        }
        seeds.sort();
        Ok(seeds)
    }

    /// The dictionary's texts.
    #[must_use]
    pub fn words(&self) -> Vec<Vec<u8>> {
        self.dictionary.lines().filter_map(word).collect()
    }
}

/// The text of a line in libFuzzer's dictionary format: `"…"` with `\\`, `\"` and `\xNN`.
fn word(line: &str) -> Option<Vec<u8>> {
    let body = line.trim().strip_prefix('"')?.strip_suffix('"')?;
    let mut out = Vec::new();
    let mut bytes = body.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next()? {
                b'x' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                other => other,
            },
            other => other,
        });
    }
    Some(out)
}
