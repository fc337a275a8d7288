//! PAX extended header records (`soci-formats` 2.3, 2.5; Go `archive/tar` `reader.go` `parsePAX`, `mergePAX`,
//! `strconv.go`).

use std::ops::Range;

use super::error::TarErrorKind;
use crate::ztoc::toc::ModTime;

/// Key of the sparse map in format 0.1, and of what format 0.0 is turned into.
pub(super) const SPARSE_MAP: &[u8] = b"GNU.sparse.map";
pub(super) const SPARSE_NAME: &[u8] = b"GNU.sparse.name";
const SPARSE_OFFSET: &[u8] = b"GNU.sparse.offset";
const SPARSE_NUMBYTES: &[u8] = b"GNU.sparse.numbytes";

/// Place of a text within [`PaxRecords::text`].
type Span = Range<usize>;

/// The records of one `x` entry, sorted by key, keys unique. Reusable, to save allocations per entry.
#[derive(Debug, Default)]
pub(super) struct PaxRecords {
    text: Vec<u8>,
    spans: Vec<(Span, Span)>,
}

impl PaxRecords {
    /// The buffer to clear and fill with the next payload before [`Self::parse`].
    pub(super) fn payload(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Parses the payload, forgetting the records of the one before.
    ///
    /// # Errors
    /// When the payload is not a sequence of valid records, or the pairs of sparse format 0.0 are out of order.
    pub(super) fn parse(&mut self) -> Result<(), TarErrorKind> {
        self.spans.clear();
        let text = &self.text[..];
        let mut sparse_map: Option<Vec<u8>> = None;
        let mut sparse_values = 0usize;
        let mut at = 0;
        while at < text.len() {
            let (key, value, next) = record(text, at).ok_or(TarErrorKind::PaxRecord)?;
            at = next;
            let (name, number) = (&text[key.clone()], &text[value.clone()]);
            if name != SPARSE_OFFSET && name != SPARSE_NUMBYTES {
                self.spans.push((key, value));
                continue;
            }
            // Format 0.0 repeats its keys, which records may not do; Go turns it into format 0.1.
            let expected =
                if sparse_values.is_multiple_of(2) { SPARSE_OFFSET } else { SPARSE_NUMBYTES };
            if name != expected || number.contains(&b',') {
                return Err(TarErrorKind::PaxRecord);
            }
            let map = sparse_map.get_or_insert_default();
            if sparse_values > 0 {
                map.push(b',');
            }
            map.extend_from_slice(number);
            sparse_values += 1;
        }
        if let Some(map) = sparse_map {
            let key = self.append(SPARSE_MAP);
            let value = self.append(&map);
            self.spans.push((key, value));
        }
        let text = &self.text[..];
        // The sort keeps the order of equal keys, of which the last one counts.
        let key = |span: &(Span, Span)| &text[span.0.clone()];
        self.spans.sort_by(|a, b| key(a).cmp(key(b)));
        self.spans.dedup_by(|later, kept| {
            let equal = key(later) == key(kept);
            if equal {
                kept.1 = later.1.clone();
            }
            equal
        });
        Ok(())
    }

    /// All records in key order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let texts =
            |(key, value): &(Span, Span)| (&self.text[key.clone()], &self.text[value.clone()]);
        self.spans.iter().map(texts)
    }

    /// The value of `key`; empty when there is no such record.
    pub(super) fn get(&self, key: &[u8]) -> &[u8] {
        let found = self.spans.binary_search_by(|span| self.text[span.0.clone()].cmp(key));
        found.map_or(&[], |at| &self.text[self.spans[at].1.clone()])
    }

    fn append(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        start..self.text.len()
    }
}

/// The record `LEN SP KEY = VALUE LF` at `start`: places of key and value, and the start of the next record.
fn record(text: &[u8], start: usize) -> Option<(Span, Span, usize)> {
    let rest = &text[start..];
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let len = usize::try_from(decimal(&rest[..space])?).ok()?;
    // Go's lower limit, which all but the shortest possible record `5 k=LF` exceed.
    if len < 5 || len > rest.len() || len <= space + 1 || rest[len - 1] != b'\n' {
        return None;
    }
    let (key_start, value_end) = (space + 1, len - 1);
    let equals = key_start + rest[key_start..value_end].iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&rest[key_start..equals], &rest[equals + 1..value_end]);
    let must_have_no_nul = match key {
        b"path" | b"linkpath" | b"uname" | b"gname" => value,
        _ => key,
    };
    if key.is_empty() || must_have_no_nul.contains(&0) {
        return None;
    }
    let key = start + key_start..start + equals;
    let value = start + equals + 1..start + value_end;
    Some((key, value, start + len))
}

/// A decimal number as Go's `strconv.ParseInt` takes it: one sign, then digits only, within 64 bits.
pub(super) fn decimal(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A PAX time `[-]S[.F]`. Digits after the ninth are checked but not used.
pub(super) fn time(text: &[u8]) -> Option<ModTime> {
    let dot = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match dot {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &[][..]),
    };
    let seconds = decimal(whole)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nanoseconds = 0u32;
    for place in 0..9 {
        let digit = fraction.get(place).map_or(0, |byte| byte - b'0');
        nanoseconds = nanoseconds * 10 + u32::from(digit);
    }
    if nanoseconds != 0 && whole.starts_with(b"-") {
        // The fraction counts backwards: -1.5 is half a second after -2. At the lowest second Go wraps around;
        // either way the year is out of range.
        return Some(ModTime {
            seconds: seconds.saturating_sub(1),
            nanoseconds: 1_000_000_000 - nanoseconds,
        });
    }
    Some(ModTime { seconds, nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = Option<&'a [(&'a [u8], &'a [u8])]>;

    #[test]
    fn records() {
        let long = format!("{}17 k=v\n", "0".repeat(10));
        let cases: &[(&[u8], Pairs<'_>)] = &[
            (b"", Some(&[])),
            (b"6 k=v\n", Some(&[(b"k", b"v")])),
            (b"5 k=\n", Some(&[(b"k", b"")])),
            (b"+6 k=\n", Some(&[(b"k", b"")])),
            (b"7 k=\0=\n", Some(&[(b"k", b"\0=")])),
            (b"6 b=1\n6 a=2\n6 b=3\n5 b=\n", Some(&[(b"a", b"2"), (b"b", b"")])),
            (b"4 =\n", None),
            (b"5 =v\n", None),
            (b"5 kv\n", None),
            (b"6 k=v ", None),
            (b"7 k=v\n", None),
            (b"5 k=v\n", None),
            (b"6  k=v\n", None),
            (b"-6 k=v\n", None),
            (b"06", None),
            (b"6 \0=v\n", None),
            (b"9 path=\0\n", None),
            (b"14 gname=a\0b\n\n", None),
            (b"99999999999999999999 k=v\n", None),
            (b"22 GNU.sparse.offset=1\n24 GNU.sparse.numbytes=2\n", None),
            (
                b"23 GNU.sparse.offset=1\n25 GNU.sparse.numbytes=2\n6 Z=z\n20 GNU.sparse.map=9\n",
                Some(&[(b"GNU.sparse.map", b"1,2"), (b"Z", b"z")]),
            ),
            (b"23 GNU.sparse.offset=1\n", Some(&[(b"GNU.sparse.map", b"1")])),
            (b"25 GNU.sparse.numbytes=2\n", None),
            (b"23 GNU.sparse.offset=,\n", None),
        ];
        for (payload, expected) in cases {
            let mut records = PaxRecords::default();
            records.payload().extend_from_slice(payload);
            let good = records.parse().is_ok();
            let shown = payload.escape_ascii().to_string();
            assert_eq!(good, expected.is_some(), "{shown}");
            if let Some(expected) = expected {
                assert_eq!(records.iter().collect::<Vec<_>>(), *expected, "{shown}");
            }
        }
        let mut records = PaxRecords::default();
        records.payload().extend_from_slice(long.as_bytes());
        assert!(records.parse().is_ok());
        assert_eq!((records.get(b"k"), records.get(b"x")), (&b"v"[..], &b""[..]));
    }

    #[test]
    fn times() {
        let at = |seconds, nanoseconds| Some(ModTime { seconds, nanoseconds });
        for (text, expected) in [
            ("0", at(0, 0)),
            ("1700000000.5", at(1_700_000_000, 500_000_000)),
            ("+1.", at(1, 0)),
            ("1.1234567899", at(1, 123_456_789)),
            ("-1.5", at(-2, 500_000_000)),
            ("-0.25", at(-1, 750_000_000)),
            ("-1.0", at(-1, 0)),
            ("-1.0000000009", at(-1, 0)),
            ("", None),
            (".5", None),
            ("-", None),
            ("1.5.5", None),
            ("1.-5", None),
            ("1.123456789x", None),
            ("1e3", None),
            (" 1", None),
            ("9223372036854775808", None),
            ("-9223372036854775808.5", at(i64::MIN, 500_000_000)),
        ] {
            assert_eq!(time(text.as_bytes()), expected, "{text:?}");
        }
    }
}
