//! The tar header in front of a file's content, held against the table of contents.
//!
//! The reference's reader does the same when a file is first read, and gives an I/O error when they differ
//! (`fs/reader/reader.go`; `soci-formats` 7.3). It finds a table that points at the wrong bytes.

use crate::error::Error;
use crate::layer::tar::TarWalker;
use crate::oci::digest::Digest;
use crate::ztoc::compare::{Field, differences};
use crate::ztoc::toc::{FileRef, Toc};

/// Most bytes between two entries' contents: three extended headers of 1 MiB and what belongs to them. More
/// is no header.
const MAX_HEADER: u64 = 4 << 20;

/// Where the header of the entry at `position` begins in the uncompressed archive, in bytes: behind the
/// content of the one before it.
pub(super) fn start(toc: &Toc, position: usize) -> u64 {
    let Some(before) = position.checked_sub(1).map(|before| toc.get(before)) else { return 0 };
    let end = before.uncompressed_offset() + before.uncompressed_size();
    end.cast_unsigned().next_multiple_of(512)
}

/// Takes the bytes of a header as they come.
#[derive(Debug)]
pub(super) struct HeaderCheck<'a> {
    walker: TarWalker,
    expected: FileRef<'a>,
    /// Bytes of it.
    length: u64,
    failed: Option<String>,
    ztoc: Digest,
    layer: Digest,
}

impl<'a> HeaderCheck<'a> {
    /// For the header of `expected`, an entry of the zTOC of a layer; it is `length` bytes long.
    ///
    /// # Errors
    /// [`Error::BadZtoc`] when there can be no header of that length.
    pub(super) fn new(
        expected: FileRef<'a>,
        (ztoc, layer): (Digest, Digest),
        length: u64,
    ) -> Result<Self, Error> {
        let check = Self { walker: TarWalker::new(), expected, length, failed: None, ztoc, layer };
        if (512..=MAX_HEADER).contains(&length) {
            Ok(check)
        } else {
            Err(check.bad(&format!("{length} bytes for its tar header cannot be")))
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.walker.feed(bytes).err().map(|error| error.to_string());
        }
    }

    /// The header's end was reached.
    ///
    /// # Errors
    /// [`Error::BadZtoc`] when it does not say what the table of contents says.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        if let Some(problem) = self.failed.take() {
            return Err(self.bad(&problem));
        }
        let toc = self.walker.toc();
        if toc.len() != 1 {
            let problem = format!("{} tar headers stand in front of its content", toc.len());
            return Err(self.bad(&problem));
        }
        if toc.get(0).uncompressed_offset().cast_unsigned() != self.length {
            return Err(self.bad("its content begins elsewhere, by the layer's tar header"));
        }
        match differences(&Field::READ, &self.expected, &toc.get(0)).next() {
            None => Ok(()),
            Some(field) => {
                // A tar header has one size only.
                let field = field.name().trim_start_matches("uncompressed_");
                Err(self.bad(&format!("the layer's tar header has another {field}")))
            }
        }
    }

    fn bad(&self, problem: &str) -> Error {
        Error::BadZtoc {
            ztoc: self.ztoc,
            layer: self.layer,
            offset: Some(self.expected.uncompressed_offset().cast_unsigned()),
            problem: format!("entry {}: {problem}", self.expected.name().escape_ascii()),
        }
    }
}
