//! A bounds-checked reader of flatbuffers, without `unsafe` and without generated code: of those in memory, and of
//! those that are read where they are.
//!
//! The official crate's verifier refuses names that are not UTF-8 and large tables by default, and its
//! readers are unsafe without it. A zTOC needs five kinds of access, each a few lines.

use crate::ztoc::DecodeError;

/// The bytes of a flatbuffer.
pub(in crate::ztoc) trait Bytes: Copy {
    /// Why they cannot be had.
    type Error: From<DecodeError>;

    /// How many there are.
    fn size(self) -> u64;

    /// Fills a buffer from `position` on, which was checked to lie inside.
    fn fill(self, position: u64, buffer: &mut [u8]) -> Result<(), Self::Error>;
}

impl Bytes for &[u8] {
    type Error = DecodeError;

    #[inline]
    fn size(self) -> u64 {
        self.len() as u64
    }

    #[inline]
    fn fill(self, position: u64, buffer: &mut [u8]) -> Result<(), DecodeError> {
        buffer.copy_from_slice(&self[position as usize..][..buffer.len()]);
        Ok(())
    }
}

/// A whole flatbuffer.
#[derive(Clone, Copy)]
pub(in crate::ztoc) struct Flat<B>(pub(in crate::ztoc) B);

/// A table inside it.
#[derive(Clone, Copy)]
pub(in crate::ztoc) struct Table<B> {
    flat: Flat<B>,
    position: u64,
    vtable: u64,
    vtable_size: u64,
}

/// A vector of offsets inside it.
#[derive(Clone, Copy)]
pub(in crate::ztoc) struct Offsets<B> {
    flat: Flat<B>,
    start: u64,
    len: u64,
}

impl<B: Bytes> Flat<B> {
    fn outside(position: u64) -> B::Error {
        DecodeError::OutOfBounds { position: position as usize }.into()
    }

    /// The bytes from `position` on.
    pub(in crate::ztoc) fn array<const N: usize>(self, position: u64) -> Result<[u8; N], B::Error> {
        let mut bytes = [0; N];
        self.fill(position, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills a buffer with the bytes from `position` on.
    pub(in crate::ztoc) fn fill(self, position: u64, buffer: &mut [u8]) -> Result<(), B::Error> {
        let end = position.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.0.size()) {
            return Err(Self::outside(position));
        }
        self.0.fill(position, buffer)
    }

    fn u16(self, position: u64) -> Result<u64, B::Error> {
        Ok(u64::from(u16::from_le_bytes(self.array(position)?)))
    }

    fn u32(self, position: u64) -> Result<u64, B::Error> {
        Ok(u64::from(u32::from_le_bytes(self.array(position)?)))
    }

    /// Follows the unsigned offset at `position`.
    fn follow(self, position: u64) -> Result<u64, B::Error> {
        let target = position + self.u32(position)?;
        if target < self.0.size() { Ok(target) } else { Err(Self::outside(position)) }
    }

    /// The root table.
    pub(in crate::ztoc) fn root(self) -> Result<Table<B>, B::Error> {
        self.table(self.follow(0)?)
    }

    fn table(self, position: u64) -> Result<Table<B>, B::Error> {
        let back = i64::from(i32::from_le_bytes(self.array(position)?));
        let vtable = position.checked_add_signed(-back).ok_or_else(|| Self::outside(position))?;
        let vtable_size = self.u16(vtable)?;
        Ok(Table { flat: self, position, vtable, vtable_size })
    }

    /// Where a vector's elements of `element` bytes begin, and how many there are. An absurd length costs nothing.
    fn vector(self, position: u64, element: u64) -> Result<(u64, u64), B::Error> {
        let (start, len) = (position + 4, self.u32(position)?);
        if len > (self.0.size() - start) / element {
            return Err(Self::outside(position));
        }
        Ok((start, len))
    }
}

impl<B: Bytes> Table<B> {
    /// Position of the field in the buffer; `None` when it is absent and so has its default.
    fn field(self, slot: u64) -> Result<Option<u64>, B::Error> {
        let entry = 4 + 2 * slot;
        if entry + 2 > self.vtable_size {
            return Ok(None);
        }
        let offset = self.flat.u16(self.vtable + entry)?;
        Ok((offset != 0).then_some(self.position + offset))
    }

    fn value<const N: usize>(self, slot: u64) -> Result<Option<[u8; N]>, B::Error> {
        self.field(slot)?.map(|at| self.flat.array(at)).transpose()
    }

    pub(in crate::ztoc) fn i64(self, slot: u64) -> Result<i64, B::Error> {
        Ok(self.value(slot)?.map_or(0, i64::from_le_bytes))
    }

    pub(in crate::ztoc) fn u32(self, slot: u64) -> Result<u32, B::Error> {
        Ok(self.value(slot)?.map_or(0, u32::from_le_bytes))
    }

    pub(in crate::ztoc) fn i32(self, slot: u64) -> Result<i32, B::Error> {
        Ok(self.u32(slot)?.cast_signed())
    }

    pub(in crate::ztoc) fn i8(self, slot: u64, default: i8) -> Result<i8, B::Error> {
        Ok(self.value(slot)?.map_or(default, i8::from_le_bytes))
    }

    pub(in crate::ztoc) fn table(self, slot: u64) -> Result<Option<Self>, B::Error> {
        self.field(slot)?.map(|at| self.flat.table(self.flat.follow(at)?)).transpose()
    }

    /// Where a vector's elements of `element` bytes begin, and how many there are; none when it is absent.
    pub(in crate::ztoc) fn vector(self, slot: u64, element: u64) -> Result<(u64, u64), B::Error> {
        let Some(at) = self.field(slot)? else { return Ok((0, 0)) };
        self.flat.vector(self.flat.follow(at)?, element)
    }

    /// A vector of strings or tables; empty when absent.
    pub(in crate::ztoc) fn offsets(self, slot: u64) -> Result<Offsets<B>, B::Error> {
        let (start, len) = self.vector(slot, 4)?;
        Ok(Offsets { flat: self.flat, start, len })
    }
}

impl<'a> Table<&'a [u8]> {
    /// A string or byte vector; empty when absent.
    pub(in crate::ztoc) fn bytes(self, slot: u64) -> Result<&'a [u8], DecodeError> {
        let (start, len) = self.vector(slot, 1)?;
        Ok(&self.flat.0[start as usize..][..len as usize])
    }
}

impl<B: Bytes> Offsets<B> {
    pub(in crate::ztoc) fn len(self) -> u64 {
        self.len
    }

    fn targets(self) -> impl Iterator<Item = Result<u64, B::Error>> {
        (0..self.len).map(move |index| self.flat.follow(self.start + 4 * index))
    }

    pub(in crate::ztoc) fn tables(self) -> impl Iterator<Item = Result<Table<B>, B::Error>> {
        self.targets().map(move |target| self.flat.table(target?))
    }
}

impl<'a> Offsets<&'a [u8]> {
    pub(in crate::ztoc) fn byte_vectors(
        self,
    ) -> impl Iterator<Item = Result<&'a [u8], DecodeError>> {
        self.targets().map(move |target| {
            let (start, len) = self.flat.vector(target?, 1)?;
            Ok(&self.flat.0[start as usize..][..len as usize])
        })
    }
}
