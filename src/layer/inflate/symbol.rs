//! What output is made of: bytes; or, where the history in front is not known, bytes and references to it.
//!
//! A reference (`0x8000` and a place in the 32 KiB of history) stands for the byte that is there, and is copied as a
//! byte would be. When the history is known, a [`Resolver`] makes bytes of all of them. A distance that reaches
//! in front of a member's first byte cannot be seen before that time, so the resolver must look for it.

/// How far back distances reach.
pub(super) const WINDOW: usize = 32 << 10;

/// The mark of a reference.
const REFERENCE: u16 = 1 << 15;

/// What output is made of.
pub(crate) trait Symbol: Copy + std::fmt::Debug + Default + 'static {
    /// The symbol of a known byte.
    fn of(byte: u8) -> Self;

    /// Symbols of known bytes, into `to` of the same length.
    fn copy(from: &[u8], to: &mut [Self]);

    /// The symbols as bytes, if that is what they are.
    fn bytes(symbols: &[Self]) -> Option<&[u8]>;
}

impl Symbol for u8 {
    #[inline]
    fn of(byte: u8) -> Self {
        byte
    }

    fn copy(from: &[u8], to: &mut [Self]) {
        to.copy_from_slice(from);
    }

    fn bytes(symbols: &[Self]) -> Option<&[u8]> {
        Some(symbols)
    }
}

impl Symbol for u16 {
    #[inline]
    fn of(byte: u8) -> Self {
        Self::from(byte)
    }

    fn copy(from: &[u8], to: &mut [Self]) {
        for (from, to) in from.iter().zip(to) {
            *to = Self::from(*from);
        }
    }

    fn bytes(_: &[Self]) -> Option<&[u8]> {
        None
    }
}

/// The history while it is not known: a reference to each of its bytes.
pub(crate) fn unknown() -> impl Iterator<Item = u16> {
    (0..WINDOW as u16).map(|place| REFERENCE | place)
}

/// Index behind the last reference.
pub(crate) fn behind_references(symbols: &[u16]) -> usize {
    let mut end = symbols.len();
    // Whole blocks at once, as there are few references at the end of what is searched.
    for block in symbols.rchunks(64) {
        if block.iter().fold(0, |all, symbol| all | symbol) & REFERENCE != 0 {
            let last = block.iter().rposition(|symbol| symbol & REFERENCE != 0);
            return end - block.len() + last.map_or(0, |last| last + 1);
        }
        end -= block.len();
    }
    0
}

/// The bytes of a window of symbols with this history in front, without a [`Resolver`].
pub(crate) fn resolve_window(symbols: &[u16; WINDOW], history: &[u8; WINDOW]) -> Box<[u8; WINDOW]> {
    let byte = |symbol: &u16| match symbol & REFERENCE {
        0 => *symbol as u8,
        _ => history[usize::from(symbol & !REFERENCE)],
    };
    let bytes: Vec<u8> = symbols.iter().map(byte).collect();
    bytes.try_into().expect("a byte for each symbol")
}

/// Whether any reference points in front of the last `history` bytes.
pub(crate) fn reaches_too_far(symbols: &[u16], history: usize) -> bool {
    let first = usize::from(REFERENCE) + WINDOW - history.min(WINDOW);
    let too_far = |symbol: &u16| symbol & REFERENCE != 0 && usize::from(*symbol) < first;
    history < WINDOW && symbols.iter().any(too_far)
}

/// Makes bytes of symbols.
pub(crate) struct Resolver {
    /// The byte of each symbol: those of bytes in the first 256 places, the history in the upper half.
    bytes: Box<[u8]>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    pub(crate) fn new() -> Self {
        let mut bytes = vec![0; 1 << 16].into_boxed_slice();
        for byte in 0..=u8::MAX {
            bytes[usize::from(byte)] = byte;
        }
        Self { bytes }
    }

    /// What the last symbols were resolved with.
    pub(crate) fn history(&self) -> &[u8] {
        &self.bytes[usize::from(REFERENCE)..]
    }

    /// Resolves `symbols` with this history into `to`, of the same length.
    pub(crate) fn resolve(&mut self, symbols: &[u16], history: &[u8; WINDOW], to: &mut [u8]) {
        self.bytes[usize::from(REFERENCE)..].copy_from_slice(history);
        let Some(table) = self.bytes.first_chunk::<{ 1 << 16 }>() else { return };
        for (symbols, to) in symbols.chunks(32).zip(to.chunks_mut(32)) {
            if symbols.iter().fold(0, |all, symbol| all | symbol) & REFERENCE == 0 {
                for (symbol, to) in symbols.iter().zip(to) {
                    *to = *symbol as u8;
                }
            } else {
                for (symbol, to) in symbols.iter().zip(to) {
                    *to = table[usize::from(*symbol)];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_at_every_place() {
        for length in [0, 1, 63, 64, 65, 200] {
            assert_eq!(behind_references(&vec![255; length]), 0);
            for at in 0..length {
                let mut symbols = vec![7; length];
                symbols[at] = REFERENCE;
                symbols[at / 2] = REFERENCE | 9;
                assert_eq!(behind_references(&symbols), at + 1);
            }
        }
    }

    #[test]
    fn what_is_too_far_back() {
        let at = |back: usize| [65, REFERENCE + (WINDOW - back) as u16, 255];
        for history in [1, 2, 1000, WINDOW] {
            assert!(!reaches_too_far(&at(history), history));
            assert!(history == WINDOW || reaches_too_far(&at(history + 1), history));
        }
        assert!(reaches_too_far(&at(1), 0) && !reaches_too_far(&[0, 255], 0));
    }

    #[test]
    fn every_reference_is_resolved() {
        let history: Vec<u8> = (0..WINDOW).map(|place| (place * 31 % 251) as u8).collect();
        let symbols: Vec<u16> = unknown().chain(0..256).chain([3; 100]).collect();
        let mut bytes = vec![0; symbols.len()];
        Resolver::new().resolve(&symbols, history.first_chunk().expect("a window"), &mut bytes);
        let known: Vec<u8> = (0..=255).chain([3; 100]).collect();
        assert!(bytes == [&history[..], &known].concat());
        let history = history.first_chunk().expect("a window");
        let last = resolve_window(symbols.last_chunk().expect("more than a window"), history);
        assert!(bytes.ends_with(&last[..]));
    }
}
