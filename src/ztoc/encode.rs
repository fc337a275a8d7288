//! zTOC values to bytes.
//!
//! A flatbuffer's bytes depend on the order in which its parts are created, so this follows the
//! reference's marshaller call by call (`ztoc/ztoc_marshaler.go`, `soci-formats` 1.3) with the
//! low-level calls of the official crate. Generated table builders push fields in another order and
//! give other bytes. Texts are created as bytes: names need not be UTF-8.

use flatbuffers::{FlatBufferBuilder, WIPOffset};

use super::toc::FileRef;
use super::{ZTOC_VERSION, Zinfo, Ztoc};

/// The reference's builder refuses to grow past this (`soci-formats` 1.3), so no reader of such a zTOC
/// exists.
const MAX_SIZE: usize = 1 << 30;

/// The zTOC would exceed 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the zTOC would exceed 1 GiB, the most that a reader takes")]
pub struct ZtocTooLarge;

/// The bytes of a zTOC blob: the end of the builder's buffer, which a copy would double.
#[derive(Clone, Debug)]
pub struct ZtocBytes {
    buffer: Vec<u8>,
    start: usize,
}

impl std::ops::Deref for ZtocBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

/// The value of a zTOC's `compression_algorithm` for plain tar; gzip (1) is the default and is omitted.
const ALGORITHM_GZIP: i8 = 1;
const ALGORITHM_TAR: i8 = 2;

/// The vtable offset of a table's field.
const fn slot(field: u16) -> u16 {
    4 + 2 * field
}

impl Ztoc {
    /// The zTOC blob.
    ///
    /// # Errors
    /// [`ZtocTooLarge`].
    pub fn encode(&self) -> Result<ZtocBytes, ZtocTooLarge> {
        let (checkpoints, algorithm, owned);
        match &self.zinfo {
            Zinfo::Gzip(gzip) => (checkpoints, algorithm) = (gzip.as_bytes(), ALGORITHM_GZIP),
            Zinfo::Tar(tar) => {
                owned = tar.encode();
                (checkpoints, algorithm) = (owned.as_slice(), ALGORITHM_TAR);
            }
        }
        let estimate = self.size_estimate(checkpoints.len());
        // The crate panics beyond 2 GiB; what is estimated far above the limit is above it.
        if estimate > MAX_SIZE + MAX_SIZE / 2 {
            return Err(ZtocTooLarge);
        }
        let mut builder = FlatBufferBuilder::with_capacity(estimate);
        let version = builder.create_byte_string(ZTOC_VERSION.as_bytes());
        let tool = builder.create_byte_string(self.build_tool_identifier.as_bytes());

        let mut encoder = FileEncoder::default();
        let mut files: Vec<_> =
            self.toc.iter().rev().map(|file| encoder.file(&mut builder, &file)).collect();
        files.reverse();
        let metadata = builder.create_vector(&files);
        let table = builder.start_table();
        builder.push_slot_always(slot(0), metadata);
        let toc = builder.end_table(table);

        let checkpoints = builder.create_vector(checkpoints);
        let digests: Vec<_> = self
            .span_digests
            .iter()
            .map(|digest| builder.create_byte_string(digest.to_string().as_bytes()))
            .collect();
        let digests = builder.create_vector(&digests);
        let table = builder.start_table();
        // An empty tar has no span, and the reference stores -1 for it.
        builder.push_slot(slot(1), self.span_digests.len() as i32 - 1, 0);
        builder.push_slot_always(slot(2), digests);
        builder.push_slot_always(slot(3), checkpoints);
        builder.push_slot(slot(0), algorithm, ALGORITHM_GZIP);
        let compression = builder.end_table(table);

        let table = builder.start_table();
        builder.push_slot_always(slot(0), version);
        builder.push_slot_always(slot(1), tool);
        builder.push_slot_always(slot(4), toc);
        builder.push_slot(slot(2), self.compressed_archive_size as i64, 0);
        builder.push_slot(slot(3), self.uncompressed_archive_size as i64, 0);
        builder.push_slot_always(slot(5), compression);
        let root = builder.end_table(table);
        builder.finish_minimal(root);
        if builder.finished_data().len() > MAX_SIZE {
            return Err(ZtocTooLarge);
        }
        let (buffer, start) = builder.collapse();
        Ok(ZtocBytes { buffer, start })
    }

    /// About how many bytes the blob takes, rather too many: saves the builder from growing.
    fn size_estimate(&self, checkpoints: usize) -> usize {
        let texts: usize = self
            .toc
            .iter()
            .map(|file| {
                let fixed = file.name().len()
                    + file.linkname().len()
                    + file.uname().len()
                    + file.gname().len();
                let pax: usize = file.pax().map(|(key, value)| key.len() + value.len() + 32).sum();
                fixed + pax + 216
            })
            .sum();
        texts + checkpoints + self.span_digests.len() * 80 + self.build_tool_identifier.len() + 256
    }
}

/// Buffers that are reused from file to file.
#[derive(Default)]
struct FileEncoder {
    time: Vec<u8>,
}

impl FileEncoder {
    fn file(
        &mut self,
        builder: &mut FlatBufferBuilder<'_>,
        file: &FileRef<'_>,
    ) -> WIPOffset<flatbuffers::TableFinishedWIPOffset> {
        self.time.clear();
        file.mod_time().write(&mut self.time);
        let name = builder.create_byte_string(file.name());
        let file_type = builder.create_byte_string(file.file_type().as_str().as_bytes());
        let linkname = builder.create_byte_string(file.linkname());
        let uname = builder.create_byte_string(file.uname());
        let gname = builder.create_byte_string(file.gname());
        let mod_time = builder.create_byte_string(&self.time);
        let mut pax = Vec::with_capacity(file.pax().len());
        for (key, value) in file.pax() {
            let key = builder.create_byte_string(key);
            let value = builder.create_byte_string(value);
            let table = builder.start_table();
            builder.push_slot_always(slot(0), key);
            builder.push_slot_always(slot(1), value);
            pax.push(builder.end_table(table));
        }
        let pax = builder.create_vector(&pax);
        let table = builder.start_table();
        builder.push_slot_always(slot(0), name);
        builder.push_slot_always(slot(1), file_type);
        builder.push_slot(slot(2), file.uncompressed_offset(), 0);
        builder.push_slot(slot(3), file.uncompressed_size(), 0);
        builder.push_slot_always(slot(4), linkname);
        builder.push_slot(slot(5), file.mode(), 0);
        builder.push_slot(slot(6), file.uid(), 0);
        builder.push_slot(slot(7), file.gid(), 0);
        builder.push_slot_always(slot(8), uname);
        builder.push_slot_always(slot(9), gname);
        builder.push_slot_always(slot(10), mod_time);
        builder.push_slot(slot(11), file.devmajor(), 0);
        builder.push_slot(slot(12), file.devminor(), 0);
        builder.push_slot_always(slot(13), pax);
        builder.end_table(table)
    }
}
