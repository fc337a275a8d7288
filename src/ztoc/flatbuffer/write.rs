//! The rules by which a flatbuffer grows: from its end towards its beginning.
//!
//! Positions count from the end of the buffer, so they are known before its size is. [`Back`] is
//! where the bytes go: [`Count`] only counts them, [`Fill`] writes them into a part of the buffer.
//! Running the same calls over both lays a blob out first and writes it, part by part and front to
//! back, later; the official crates hold all of it in memory instead, and a zTOC of a million files
//! has 180 MB.
//!
//! Source of the rules: the reference's builder (`github.com/google/flatbuffers/go` `builder.go`);
//! the official Rust crate is the judge in the tests of [`crate::ztoc::encode`].

use std::collections::HashMap;

/// Distance from the end of the buffer in bytes.
pub(in crate::ztoc) type Position = u64;

/// Bytes of an offset and of a length.
pub(in crate::ztoc) const OFFSET: u64 = 4;

/// A buffer that grows towards its beginning.
pub(in crate::ztoc) trait Back {
    /// Bytes so far.
    fn used(&self) -> Position;
    /// Puts `bytes` before everything so far.
    fn put(&mut self, bytes: &[u8]);
    /// Puts `count` zeros before everything so far.
    fn pad(&mut self, count: u64);

    /// Puts as many zeros that, after `bytes` more bytes, the position is a multiple of `alignment`.
    fn align(&mut self, bytes: u64, alignment: u64) {
        let over = (self.used() + bytes) % alignment;
        if over != 0 {
            self.pad(alignment - over);
        }
    }

    /// A text with its length and the NUL that ends it.
    fn string(&mut self, bytes: &[u8]) -> Position {
        self.align(bytes.len() as u64 + 1, OFFSET);
        self.pad(1);
        self.put(bytes);
        self.put(&(bytes.len() as u32).to_le_bytes());
        self.used()
    }

    /// An offset that leads from where it stands to `target`.
    fn offset(&mut self, target: Position) {
        let here = self.used() + OFFSET;
        self.put(&((here - target) as u32).to_le_bytes());
    }

    /// A vector of offsets.
    fn offsets(
        &mut self,
        targets: impl DoubleEndedIterator<Item = Position> + ExactSizeIterator,
    ) -> Position {
        let count = targets.len();
        self.align(count as u64 * OFFSET, OFFSET);
        for target in targets.rev() {
            self.offset(target);
        }
        self.put(&(count as u32).to_le_bytes());
        self.used()
    }
}

/// Counts only.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::ztoc) struct Count(pub(super) Position);

impl Back for Count {
    fn used(&self) -> Position {
        self.0
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }

    fn pad(&mut self, count: u64) {
        self.0 += count;
    }
}

/// Fills a part of the buffer from its end.
#[derive(Debug)]
pub(in crate::ztoc) struct Fill<'a> {
    part: &'a mut [u8],
    /// What is still free at the part's beginning.
    free: usize,
    /// Position of the part's end.
    end: Position,
}

impl<'a> Fill<'a> {
    /// `end` is the position at which the part ends.
    pub(in crate::ztoc) fn new(part: &'a mut [u8], end: Position) -> Self {
        let free = part.len();
        Self { part, free, end }
    }
}

impl Back for Fill<'_> {
    fn used(&self) -> Position {
        self.end + (self.part.len() - self.free) as u64
    }

    fn put(&mut self, bytes: &[u8]) {
        let start = self.free - bytes.len();
        self.part[start..self.free].copy_from_slice(bytes);
        self.free = start;
    }

    fn pad(&mut self, count: u64) {
        let start = self.free - count as usize;
        self.part[start..self.free].fill(0);
        self.free = start;
    }
}

/// Most fields of a table of a zTOC.
const MAX_FIELDS: usize = 14;

/// A vtable's bytes are its length, the table's and the offset of each field, 2 bytes each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Vtable {
    words: [u16; MAX_FIELDS + 2],
    len: usize,
}

/// The vtables so far: tables of one shape share one.
#[derive(Debug, Default)]
pub(in crate::ztoc) struct Vtables {
    positions: HashMap<Vtable, Position>,
    /// The last one, which most tables share with the one before.
    last: Option<(Vtable, Position)>,
}

impl Vtables {
    /// Where this vtable is; `here` when it is new.
    fn position(&mut self, vtable: &Vtable, here: Position) -> Position {
        if let Some((last, position)) = &self.last
            && last == vtable
        {
            return *position;
        }
        let position = *self.positions.entry(*vtable).or_insert(here);
        self.last = Some((*vtable, position));
        position
    }
}

/// A table whose fields are being put.
#[derive(Debug)]
pub(in crate::ztoc) struct Table {
    /// Position of each field; 0 for none.
    fields: [Position; MAX_FIELDS],
    start: Position,
    /// One more than the highest field's number.
    count: usize,
    /// Whether a field needs alignment to 8 bytes.
    pub(in crate::ztoc) has_long: bool,
}

impl Table {
    /// Begins a table.
    pub(in crate::ztoc) fn new(out: &impl Back) -> Self {
        Self { fields: [0; MAX_FIELDS], start: out.used(), count: 0, has_long: false }
    }

    fn mark(&mut self, field: usize, out: &impl Back) {
        self.fields[field] = out.used();
        self.count = self.count.max(field + 1);
    }

    /// Puts an offset.
    pub(in crate::ztoc) fn offset(&mut self, out: &mut impl Back, field: usize, target: Position) {
        out.align(OFFSET, OFFSET);
        out.offset(target);
        self.mark(field, out);
    }

    /// Puts a number of 8 bytes, unless it is 0.
    pub(in crate::ztoc) fn long(&mut self, out: &mut impl Back, field: usize, value: i64) {
        if value != 0 {
            out.align(8, 8);
            out.put(&value.to_le_bytes());
            self.mark(field, out);
            self.has_long = true;
        }
    }

    /// Puts a number of 4 bytes, unless it is 0.
    pub(in crate::ztoc) fn int(&mut self, out: &mut impl Back, field: usize, value: u32) {
        if value != 0 {
            out.align(4, 4);
            out.put(&value.to_le_bytes());
            self.mark(field, out);
        }
    }

    /// Puts a number of one byte, unless it is `default`.
    pub(in crate::ztoc) fn byte(
        &mut self,
        out: &mut impl Back,
        field: usize,
        value: i8,
        default: i8,
    ) {
        if value != default {
            out.put(&value.to_le_bytes());
            self.mark(field, out);
        }
    }

    /// Ends the table: its vtable's offset, and before it the vtable if there is none like it.
    pub(in crate::ztoc) fn end(self, out: &mut impl Back, vtables: &mut Vtables) -> Position {
        out.align(OFFSET, OFFSET);
        let table = out.used() + OFFSET;
        let mut vtable = Vtable { len: self.count + 2, ..Vtable::default() };
        vtable.words[0] = vtable.len as u16 * 2;
        vtable.words[1] = (table - self.start) as u16;
        for (word, field) in vtable.words[2..].iter_mut().zip(&self.fields[..self.count]) {
            *word = if *field == 0 { 0 } else { (table - field) as u16 };
        }
        let here = table + vtable.len as u64 * 2;
        let position = vtables.position(&vtable, here);
        out.put(&(position.wrapping_sub(table) as u32).to_le_bytes());
        // When the bytes are written, the layout has told where each vtable is.
        if position == here {
            for word in vtable.words[..vtable.len].iter().rev() {
                out.put(&word.to_le_bytes());
            }
        }
        table
    }
}
