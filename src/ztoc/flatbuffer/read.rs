//! A bounds-checked reader of flatbuffers, without `unsafe` and without generated code.
//!
//! The official crate's verifier refuses names that are not UTF-8 and large tables by default, and its
//! readers are unsafe without it. A zTOC needs five kinds of access, each a few lines.

use crate::ztoc::DecodeError;

/// A whole flatbuffer.
#[derive(Clone, Copy)]
pub(in crate::ztoc) struct Flat<'a>(pub(in crate::ztoc) &'a [u8]);

/// A table inside it.
#[derive(Clone, Copy)]
pub(in crate::ztoc) struct Table<'a> {
    flat: Flat<'a>,
    position: usize,
    vtable: usize,
    vtable_size: usize,
}

/// A vector of offsets inside it.
#[derive(Clone, Copy)]
pub(in crate::ztoc) struct Offsets<'a> {
    flat: Flat<'a>,
    start: usize,
    len: usize,
}

type Result<T> = std::result::Result<T, DecodeError>;

impl<'a> Flat<'a> {
    fn bytes<const N: usize>(self, position: usize) -> Result<[u8; N]> {
        self.0
            .get(position..)
            .and_then(|rest| rest.first_chunk::<N>())
            .copied()
            .ok_or(DecodeError::OutOfBounds { position })
    }

    fn u16(self, position: usize) -> Result<usize> {
        Ok(usize::from(u16::from_le_bytes(self.bytes(position)?)))
    }

    fn u32(self, position: usize) -> Result<usize> {
        Ok(u32::from_le_bytes(self.bytes(position)?) as usize)
    }

    /// Follows the unsigned offset at `position`.
    fn follow(self, position: usize) -> Result<usize> {
        let target = position.checked_add(self.u32(position)?);
        target.filter(|t| *t < self.0.len()).ok_or(DecodeError::OutOfBounds { position })
    }

    /// The root table.
    pub(in crate::ztoc) fn root(self) -> Result<Table<'a>> {
        self.table(self.follow(0)?)
    }

    fn table(self, position: usize) -> Result<Table<'a>> {
        let back = i32::from_le_bytes(self.bytes(position)?) as isize;
        let vtable =
            position.checked_add_signed(-back).ok_or(DecodeError::OutOfBounds { position })?;
        let vtable_size = self.u16(vtable)?;
        Ok(Table { flat: self, position, vtable, vtable_size })
    }

    /// Content of a string or byte vector.
    fn vector(self, position: usize) -> Result<&'a [u8]> {
        let len = self.u32(position)?;
        let start = position + 4;
        start
            .checked_add(len)
            .and_then(|end| self.0.get(start..end))
            .ok_or(DecodeError::OutOfBounds { position })
    }
}

impl<'a> Table<'a> {
    /// Position of the field in the buffer; `None` when it is absent and so has its default.
    fn field(self, slot: usize) -> Result<Option<usize>> {
        let entry = 4 + 2 * slot;
        if entry + 2 > self.vtable_size {
            return Ok(None);
        }
        let offset = self.flat.u16(self.vtable + entry)?;
        Ok((offset != 0).then_some(self.position + offset))
    }

    pub(in crate::ztoc) fn i64(self, slot: usize) -> Result<i64> {
        self.field(slot)?.map_or(Ok(0), |at| Ok(i64::from_le_bytes(self.flat.bytes(at)?)))
    }

    pub(in crate::ztoc) fn u32(self, slot: usize) -> Result<u32> {
        self.field(slot)?.map_or(Ok(0), |at| Ok(u32::from_le_bytes(self.flat.bytes(at)?)))
    }

    pub(in crate::ztoc) fn i32(self, slot: usize) -> Result<i32> {
        Ok(self.u32(slot)?.cast_signed())
    }

    pub(in crate::ztoc) fn i8(self, slot: usize, default: i8) -> Result<i8> {
        self.field(slot)?.map_or(Ok(default), |at| Ok(i8::from_le_bytes(self.flat.bytes(at)?)))
    }

    /// A string or byte vector; empty when absent.
    pub(in crate::ztoc) fn bytes(self, slot: usize) -> Result<&'a [u8]> {
        match self.field(slot)? {
            Some(at) => self.flat.vector(self.flat.follow(at)?),
            None => Ok(&[]),
        }
    }

    pub(in crate::ztoc) fn table(self, slot: usize) -> Result<Option<Table<'a>>> {
        self.field(slot)?.map(|at| self.flat.table(self.flat.follow(at)?)).transpose()
    }

    /// A vector of strings or tables; empty when absent.
    pub(in crate::ztoc) fn offsets(self, slot: usize) -> Result<Offsets<'a>> {
        let Some(at) = self.field(slot)? else {
            return Ok(Offsets { flat: self.flat, start: 0, len: 0 });
        };
        let position = self.flat.follow(at)?;
        let len = self.flat.u32(position)?;
        // Checked whole, so that an absurd length costs nothing.
        if len > (self.flat.0.len() - position) / 4 {
            return Err(DecodeError::OutOfBounds { position });
        }
        Ok(Offsets { flat: self.flat, start: position + 4, len })
    }
}

impl<'a> Offsets<'a> {
    pub(in crate::ztoc) fn len(self) -> usize {
        self.len
    }

    pub(in crate::ztoc) fn tables(self) -> impl Iterator<Item = Result<Table<'a>>> {
        (0..self.len).map(move |index| self.flat.table(self.flat.follow(self.start + 4 * index)?))
    }

    pub(in crate::ztoc) fn byte_vectors(self) -> impl Iterator<Item = Result<&'a [u8]>> {
        (0..self.len).map(move |index| self.flat.vector(self.flat.follow(self.start + 4 * index)?))
    }
}
