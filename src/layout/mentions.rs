//! Finds the names of blobs in any bytes, however they are written.
//!
//! What a document refers to is asked when blobs are removed, so a mention that is overlooked is a loss, while one
//! too many only keeps a blob. So this is no parser: whatever stands between, every run of hexadecimal digits as
//! long as a digest counts when a blob has that name. It is looked for in the bytes as they stand, behind JSON
//! escapes however deep (`\u0061`, `\\u0061`, `\/`), and in base64 (inline `data`, signed payloads), nested up
//! to [`MAX_BASE64`] times. Bytes that are no UTF-8, halves of surrogate pairs, byte-order marks and syntax
//! errors do not matter; NUL bytes are passed over, which makes UTF-16 readable.

/// How often base64 in base64 is looked into.
const MAX_BASE64: usize = 2;

/// Digits of the longest digest that is looked for: sha512.
const LONGEST: usize = 128;
/// Lengths of digests, in digits: sha256 and blake3, sha384, sha512.
pub(crate) const LENGTHS: [usize; 3] = [64, 96, LONGEST];

/// The last digits of a run, at most [`LONGEST`].
#[derive(Clone, Debug, Default)]
struct Run {
    /// The newest four bits are the lowest of the first word.
    words: [u64; LONGEST / 16],
    length: usize,
    /// Whether digits that follow a quotation mark are passed over.
    of_statement: bool,
    quoted: bool,
}

impl Run {
    fn push(&mut self, digit: u8) {
        let mut carry = u64::from(digit);
        for word in &mut self.words {
            let out = *word >> 60;
            *word = *word << 4 | carry;
            carry = out;
        }
        self.length += 1;
    }

    fn take(&mut self, byte: u8, found: &mut dyn FnMut(&[u8])) {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => {
                self.length = 0;
                self.quoted = byte == b'"';
                return;
            }
        };
        self.push(digit);
        if self.length < LENGTHS[0] || (self.of_statement && self.quoted) {
            return;
        }
        let mut bytes = [0; LONGEST / 2];
        for (part, word) in bytes.rchunks_exact_mut(8).zip(self.words) {
            part.copy_from_slice(&word.to_be_bytes());
        }
        for digits in LENGTHS.into_iter().filter(|digits| self.length >= *digits) {
            found(&bytes[bytes.len() - digits / 2..]);
        }
    }
}

/// What was read of an escape.
#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    None,
    /// One backslash or more.
    Backslash,
    /// `\u` and this many digits with this value.
    Unicode(u8, u32),
}

/// Takes bytes in parts of any size and tells every candidate: the bytes of a digest.
#[derive(Debug)]
pub(crate) struct Mentions {
    plain: Run,
    unescaped: Run,
    escape: Escape,
    base64: Option<Box<Base64>>,
}

/// The base64 digits of a run, decoded as they come.
#[derive(Debug)]
struct Base64 {
    bits: u32,
    count: u32,
    inner: Mentions,
}

impl Mentions {
    pub(crate) fn new() -> Self {
        Self::nested(MAX_BASE64, false)
    }

    /// For an in-toto statement. It says what it is about by the digits alone (`{"sha256":"<hex>"}`), which is no
    /// reference: where its subject is, says the manifest that carries the statement.
    pub(crate) fn of_statement() -> Self {
        Self::nested(MAX_BASE64, true)
    }

    fn nested(depth: usize, of_statement: bool) -> Self {
        let base64 = depth.checked_sub(1).map(|depth| {
            Box::new(Base64 { bits: 0, count: 0, inner: Self::nested(depth, of_statement) })
        });
        let run = Run { of_statement, ..Run::default() };
        Self { plain: run.clone(), unescaped: run, escape: Escape::None, base64 }
    }

    /// Takes the next bytes. `found` gets the bytes of each run of digits that is long enough.
    pub(crate) fn read(&mut self, bytes: &[u8], found: &mut dyn FnMut(&[u8])) {
        for byte in bytes {
            if *byte != 0 {
                self.byte(*byte, found);
            }
        }
    }

    fn byte(&mut self, byte: u8, found: &mut dyn FnMut(&[u8])) {
        self.plain.take(byte, found);
        match (self.escape, byte) {
            // However many: the text may be JSON in JSON.
            (Escape::None | Escape::Backslash, b'\\') => self.escape = Escape::Backslash,
            (Escape::None, byte) => self.unescaped(byte, found),
            (Escape::Backslash, b'u') => self.escape = Escape::Unicode(0, 0),
            (Escape::Backslash, byte) => {
                self.escape = Escape::None;
                // A line end in base64.
                self.unescaped(if matches!(byte, b'n' | b'r') { b'\n' } else { byte }, found);
            }
            (Escape::Unicode(read, value), byte) => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    self.unescaped(b'"', found);
                    // The byte ended the escape; its plain form is counted already.
                    if byte == b'\\' {
                        self.escape = Escape::Backslash;
                    } else {
                        self.escape = Escape::None;
                        self.unescaped(byte, found);
                    }
                    return;
                };
                let value = value << 4 | digit;
                self.escape = Escape::Unicode(read + 1, value);
                if read == 3 {
                    self.escape = Escape::None;
                    // No other character is a digit of anything.
                    self.unescaped(u8::try_from(value).unwrap_or(b'"'), found);
                }
            }
        }
    }

    fn unescaped(&mut self, byte: u8, found: &mut dyn FnMut(&[u8])) {
        self.unescaped.take(byte, found);
        if let Some(base64) = &mut self.base64 {
            base64.take(byte, found);
        }
    }
}

impl Base64 {
    fn take(&mut self, digit: u8, found: &mut dyn FnMut(&[u8])) {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\r' | b'\n' => return,
            _ => {
                (self.bits, self.count) = (0, 0);
                // The next run says something else.
                self.inner.byte(b'"', found);
                return;
            }
        };
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 6;
        if self.count >= 8 {
            self.count -= 8;
            let byte = (self.bits >> self.count) as u8;
            self.inner.read(&[byte], found);
        }
    }
}

/// Bytes by which [`is_document`] decides.
pub(crate) const BEGINNING: u64 = 4096;

/// Whether a blob with these first bytes, [`BEGINNING`] of them or all, is a text or something that may be one. What is
/// certainly binary (as a compressed file) would neither be read by a JSON decoder nor by a search for names.
pub(crate) fn is_document(start: &[u8]) -> bool {
    let mark = |byte: &u8| matches!(byte, 0xef | 0xbb | 0xbf | 0xfe | 0xff);
    let marks = start.iter().take(3).take_while(|byte| mark(byte)).count();
    let mut visible = start[marks..].iter().filter(|b| **b != 0 && !b.is_ascii_whitespace());
    // Nothing but blanks or NULs (a hole, as a crash leaves it) says nothing.
    if matches!(visible.next(), None | Some(b'{' | b'[')) {
        return true;
    }
    let wide = start.len() >= 2 && (start[0] == 0) != (start[1] == 0);
    let acts = |byte: &u8| match byte {
        0 => !(wide || marks == 2),
        0x07..=0x0d | 0x1b => false,
        byte => *byte < 0x20 || *byte == 0x7f,
    };
    let tar = start.get(257..262) == Some(b"ustar");
    !(tar || start.iter().any(acts))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::oci::digest::{Digest, hex};

    /// What is found in `bytes`, whatever the parts they come in.
    fn in_parts(bytes: &[u8], size: usize) -> Vec<String> {
        let mut list = Vec::new();
        let mut mentions = Mentions::new();
        for part in bytes.chunks(size) {
            mentions.read(part, &mut |digest| {
                list.push(hex(digest));
            });
        }
        list
    }

    fn mentions(bytes: impl AsRef<[u8]>, hex: &str) -> bool {
        let whole = in_parts(bytes.as_ref(), 1 << 20);
        assert_eq!(whole, in_parts(bytes.as_ref(), 1));
        whole.iter().any(|found| found == hex)
    }

    fn base64(text: &str) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digit = |bits: usize, at: u32| char::from(DIGITS[bits >> at & 63]);
        let triple = |part: &[u8]| {
            let byte = |at: usize| part.get(at).map_or(0, |byte| usize::from(*byte));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            let digits = [18, 12, 6, 0].map(|at| digit(bits, at));
            let text: String = digits[..=part.len()].iter().collect();
            format!("{text:=<4}")
        };
        text.as_bytes().chunks(3).map(triple).collect()
    }

    #[test]
    fn a_digest_is_found_however_it_is_written() {
        let hex = Digest::of(b"blob").hex();
        let mut escaped = String::new();
        for digit in hex.bytes() {
            write!(escaped, "\\u{digit:04X}").expect("text");
        }
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let manifest = format!("{{\"digest\":\"sha256:{hex}\"}}");
        for text in [
            hex.clone(),
            format!("sha256:{hex}"),
            format!("SHA256-{}", hex.to_uppercase()),
            format!("{{\"d\":\"sha256\\u003a{hex}\"}}"),
            format!("blobs\\/sha256\\/{hex}"),
            format!("https://x/sha256%3A{hex}?"),
            format!("sha256:{escaped}"),
            format!("sh\\u0061256:{}\\u00{:x}{}", &hex[..9], hex.as_bytes()[9], &hex[10..]),
            format!("\\\\\\u00{:x}{}", hex.as_bytes()[0], &hex[1..]),
            format!("\"\\ud800\" \u{feff} [[\"{hex}"),
            format!("00{hex}00"),
            base64(&manifest),
            base64(&manifest).replace('/', "\\/"),
            format!("{{\"payload\":\"{}\"}}", base64(&format!("[\"{}\"]", base64(&manifest)))),
        ] {
            assert!(mentions(&text, &hex), "{text}");
        }
        for bytes in [
            [b"{\"caf\xe9\":\"".as_slice(), hex.as_bytes()].concat(),
            wide(&manifest),
            [&[0xff, 0xfe], wide(&manifest).as_slice()].concat(),
        ] {
            assert!(mentions(&bytes, &hex), "{bytes:?}");
        }
        for text in [hex[1..].to_owned(), format!("{}-{}", &hex[..9], &hex[9..])] {
            assert_eq!(in_parts(text.as_bytes(), 7), Vec::<String>::new());
        }
        let long = hex.repeat(2);
        assert!(mentions(format!("sha512:{long}"), &long));
    }

    #[test]
    fn a_statement_refers_to_what_it_calls_a_digest_not_to_its_subject() {
        let hex = Digest::of(b"blob").hex();
        let found = |text: &str| {
            let mut any = false;
            Mentions::of_statement().read(text.as_bytes(), &mut |_| any = true);
            any
        };
        for (text, counts) in [
            (format!("{{\"subject\":[{{\"digest\":{{\"sha256\":\"{hex}\"}}}}]}}"), false),
            // Written in a way that leaves a doubt, it counts.
            (format!("{{\"sha256\":\"\\u00{:x}{}\"}}", hex.as_bytes()[0], &hex[1..]), true),
            (format!("{{\"uri\":\"pkg:docker/a?digest=sha256:{hex}\"}}"), true),
            (format!("{{\"x\":\"sha256\\u003a{hex}\"}}"), true),
            (format!("{{\"x\":\"blobs\\/sha256\\/{hex}\"}}"), true),
            (base64(&format!("{{\"digest\":\"sha256:{hex}\"}}")), true),
        ] {
            assert_eq!(found(&text), counts, "{text}");
        }
    }

    #[test]
    fn only_what_is_certainly_binary_is_passed_over() {
        let (document, binary) = (true, false);
        for (start, expected) in [
            (b"{}".as_slice(), document),
            (b"", document),
            (&[b' '; 100], document),
            (&[0; 100], document),
            (b"\xef\xbb\xbf \r\n[", document),
            (b"\xff\xfe{\0\"\0", document),
            (b"\0{\0\"", document),
            (b"k\0e\0y\0", document),
            (b"  {\x01", document),
            (b"layers:\n- sha256", document),
            (b"caf\xe9", document),
            (b"\x1f\x8b\x08\0", binary),
            (b"\x28\xb5\x2f\xfd\x04\0", binary),
            (b"\x18\0\0\0", binary),
            (b"name\0\0\0\0", binary),
        ] {
            assert_eq!(is_document(start), expected, "{start:?}");
        }
    }
}
