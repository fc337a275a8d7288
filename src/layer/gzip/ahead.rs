//! Reads on from a place ahead of the walker: from where a member seems to begin, or a block inside of one.
//!
//! A member's first block has no history, so all of it can be inflated without knowing what stands before. A later
//! block has one that is not known yet: its output is *wide* at first, bytes and references to that history
//! ([`crate::layer::inflate`]), until 32 KiB without a reference came; from there on it is bytes. With a history that a
//! zTOC claims, all is bytes. Nothing that is found here counts until the walker comes to the same place by itself, and
//! with that history: only then it is a start and not bytes that look like one.

use super::member::{Event, Members};
use crate::layer::inflate::{
    Resolver, Start, behind_references, reaches_too_far, resolve_window, unknown,
};
use crate::layer::window::OutputWindow;
use crate::ztoc::zinfo::WINDOW_SIZE;

/// Most candidates kept, so that blocks of a single byte do not fill the memory. The field's writers give one for
/// each 10 KiB of output or more, and one for each member.
const MAX_CANDIDATES: usize = 1 << 14;
/// Wide symbols between two looks at whether there are references among the last.
const WIDE_PIECE: u64 = 32 << 10;

/// Where to read ahead from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The first byte of a member.
    Member(u64),
    /// A block inside of one.
    Block(Start),
}

impl Origin {
    /// Where the first byte stands that the walker has not read when it is here.
    pub(crate) fn byte(self) -> u64 {
        match self {
            Self::Member(byte) => byte,
            Self::Block(start) => start.byte,
        }
    }
}

/// A candidate for a checkpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) compressed_offset: u64,
    pub(super) bits: u8,
    /// Bytes of output in front of it.
    pub(super) output: usize,
}

/// Output with references to an unknown history.
#[derive(Debug)]
struct Wide {
    symbols: OutputWindow<u16>,
    /// How many symbols behind the last reference.
    clean: usize,
    resolver: Resolver,
}

/// What was read ahead.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Ahead {
    pub(super) members: Members,
    pub(super) window: OutputWindow,
    pub(super) candidates: Vec<Candidate>,
    /// There once a block was begun in.
    wide: Option<Box<Wide>>,
    /// Symbols of `wide` that count, and whether more come.
    wide_len: usize,
    is_wide: bool,
    /// Whether they were made bytes, and the checksum of these.
    resolved: bool,
    pub(super) wide_crc: crc32fast::Hasher,
    /// Whether a history was given, so that nothing is wide.
    is_given: bool,
    /// Whether it began inside of a member, and ends with it.
    pub(super) is_part: bool,
    /// With a block's end as the last thing found, its bits.
    pub(super) edge: Option<u8>,
    size: usize,
    failed: bool,
}

impl Ahead {
    /// Room for `size` (not zero) bytes of output.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            members: Members::new(),
            window: OutputWindow::new(size),
            candidates: Vec::new(),
            wide: None,
            wide_len: 0,
            is_wide: false,
            resolved: false,
            wide_crc: crc32fast::Hasher::new(),
            is_given: false,
            is_part: false,
            edge: None,
            size,
            failed: false,
        }
    }

    /// Goes to this place, inside of a member with this history if it is given; what was found is forgotten.
    pub(crate) fn restart(&mut self, place: Origin, history: Option<&[u8; WINDOW_SIZE]>) {
        self.window.restart();
        self.candidates.clear();
        self.wide_crc.reset();
        (self.failed, self.edge, self.wide_len) = (false, None, 0);
        self.is_part = matches!(place, Origin::Block(_));
        self.is_given = self.is_part && history.is_some();
        self.is_wide = self.is_part && !self.is_given;
        self.resolved = self.is_given;
        match place {
            Origin::Member(offset) => self.members.restart(offset),
            Origin::Block(start) => {
                self.members.start(start);
                if let Some(history) = history {
                    self.window.put_before(history);
                    return;
                }
                // Half of the room: what is never free of references is not worth more.
                let size = (self.size / 2).max(1);
                let wide = self.wide.get_or_insert_with(|| {
                    let mut symbols = OutputWindow::new(size);
                    let history: Box<[u16]> = unknown().collect();
                    symbols.put_before(history.first_chunk().expect("a reference to each byte"));
                    Box::new(Wide { symbols, clean: 0, resolver: Resolver::new() })
                });
                wide.symbols.restart();
                wide.clean = 0;
            }
        }
    }

    /// Room for output.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Offset in the blob of the next byte to be fed with.
    pub(crate) fn position(&self) -> u64 {
        self.members.total_in
    }

    /// Whether no members begin here, or bad ones.
    pub(crate) fn is_bad(&self) -> bool {
        self.failed
    }

    /// Bytes of the blob from `origin` that would fill three quarters of the room, by what was read; at least some.
    pub(crate) fn stride(&self, origin: Origin) -> u64 {
        let read = self.position() - origin.byte();
        let size = if self.is_wide { self.size / 2 } else { self.size };
        (read * 3 / 4 * size as u64 / self.members.total_out.max(1)).max(1)
    }

    /// Takes the next bytes of the blob. False when there is no more to be done, because as much is kept as may be,
    /// or here is `until`, or the member that was begun inside of has ended, or these are no members.
    pub(crate) fn feed(&mut self, bytes: &[u8], until: Option<Origin>) -> bool {
        let (mut rest, mut again) = (bytes, false);
        while again || !rest.is_empty() {
            let ended = self.is_part && !self.members.in_body();
            let full = match &self.wide {
                Some(wide) if self.is_wide => wide.symbols.is_full(),
                _ => self.window.is_full(),
            };
            if ended || full || self.candidates.len() == MAX_CANDIDATES {
                return false;
            }
            let step = match &mut self.wide {
                Some(wide) if self.is_wide => {
                    let step = self.members.body(rest, &mut wide.symbols, WIDE_PIECE, true);
                    self.wide_len += step.produced;
                    match behind_references(wide.symbols.last(step.produced)) {
                        0 => wide.clean += step.produced,
                        behind => wide.clean = step.produced - behind,
                    }
                    if wide.clean >= WINDOW_SIZE {
                        self.is_wide = false;
                        let clean = wide.symbols.history().map(|symbol| symbol as u8);
                        self.window.skip(self.wide_len, &clean);
                    }
                    step
                }
                _ => self.members.step(rest, &mut self.window, 0),
            };
            rest = &rest[step.taken..];
            if step.taken > 0 || step.produced > 0 {
                self.edge = None;
            }
            again = match step.event {
                Event::MemberEnd if until == Some(Origin::Member(self.members.total_in)) => {
                    return false;
                }
                Event::None | Event::MemberEnd => false,
                Event::Room => true,
                Event::Candidate { bits } => {
                    let compressed_offset = self.members.total_in;
                    let output = self.members.total_out as usize;
                    self.candidates.push(Candidate { compressed_offset, bits, output });
                    self.edge = Some(bits);
                    if let Some(Origin::Block(start)) = until
                        && start.is_at(compressed_offset, bits)
                    {
                        return false;
                    }
                    true
                }
                Event::Failed(_) => {
                    // The walker will tell what it is and where.
                    self.failed = true;
                    return false;
                }
            };
        }
        true
    }

    /// The history of what begins at `origin`, if this ended just there; it may take the one in front of this.
    pub(crate) fn history_of(
        &self,
        origin: Origin,
        before: Option<&[u8; WINDOW_SIZE]>,
    ) -> Option<Box<[u8; WINDOW_SIZE]>> {
        let (Origin::Block(start), Some(bits)) = (origin, self.edge) else { return None };
        if !self.is_part || !start.is_at(self.position(), bits) {
            return None;
        }
        match &self.wide {
            Some(wide) if self.is_wide && !self.resolved => {
                before.map(|before| resolve_window(wide.symbols.history(), before))
            }
            _ => Some(Box::new(*self.window.history())),
        }
    }

    /// Whether it has output that waits for its history.
    pub(crate) fn is_unresolved(&self) -> bool {
        self.is_part && !self.resolved && !self.failed
    }

    /// Puts the history in front and makes bytes of all output. False if it was read with another one.
    pub(crate) fn resolve(&mut self, history: &[u8; WINDOW_SIZE]) -> bool {
        if self.is_given {
            return self.window.history_at(0) == history;
        }
        self.window.put_before(history);
        let Some(wide) = &mut self.wide else { return true };
        if !self.is_part || self.resolved && wide.resolver.history() == history {
            return true;
        }
        let symbols = wide.symbols.output();
        let to = self.window.first_mut(symbols.len());
        wide.resolver.resolve(symbols, history, to);
        self.wide_crc.reset();
        self.wide_crc.update(to);
        self.resolved = true;
        true
    }

    /// Whether a distance reaches further back than so many bytes in front of the origin.
    pub(super) fn reaches_too_far(&self, own: usize) -> bool {
        if self.is_given {
            // Where its distances reach was not noted.
            return own < WINDOW_SIZE;
        }
        let symbols = self.wide.as_ref().filter(|_| self.is_part).map(|wide| wide.symbols.output());
        symbols.is_some_and(|symbols| reaches_too_far(symbols, own))
    }
}
