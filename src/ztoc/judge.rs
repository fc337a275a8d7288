//! The official flatbuffers crate as the judge of [`super::encode`]: the same calls in the same order
//! must give the same bytes.

use flatbuffers::{FlatBufferBuilder, WIPOffset};

use super::encode::{ALGORITHM_GZIP, ALGORITHM_TAR};
use super::toc::{Entry, FileRef, FileType, ModTime, Toc};
use super::zinfo::TarZinfo;
use super::{ZTOC_VERSION, Zinfo, Ztoc};
use crate::oci::digest::Digest;

/// The vtable offset of a table's field.
const fn slot(field: u16) -> u16 {
    4 + 2 * field
}

fn judge(ztoc: &Ztoc) -> Vec<u8> {
    let (checkpoints, algorithm, owned);
    match &ztoc.zinfo {
        Zinfo::Gzip(gzip) => (checkpoints, algorithm) = (gzip.as_bytes(), ALGORITHM_GZIP),
        Zinfo::Tar(tar) => {
            owned = tar.encode();
            (checkpoints, algorithm) = (owned.as_slice(), ALGORITHM_TAR);
        }
    }
    let mut builder = FlatBufferBuilder::new();
    let version = builder.create_byte_string(ZTOC_VERSION.as_bytes());
    let tool = builder.create_byte_string(ztoc.build_tool_identifier.as_bytes());

    let mut encoder = FileEncoder::default();
    let mut files: Vec<_> =
        ztoc.toc.iter().rev().map(|file| encoder.file(&mut builder, &file)).collect();
    files.reverse();
    let metadata = builder.create_vector(&files);
    let table = builder.start_table();
    builder.push_slot_always(slot(0), metadata);
    let toc = builder.end_table(table);

    let checkpoints = builder.create_vector(checkpoints);
    let digests: Vec<_> = ztoc
        .span_digests
        .iter()
        .map(|digest| builder.create_byte_string(digest.to_string().as_bytes()))
        .collect();
    let digests = builder.create_vector(&digests);
    let table = builder.start_table();
    // An empty tar has no span, and the reference stores -1 for it.
    builder.push_slot(slot(1), ztoc.span_digests.len() as i32 - 1, 0);
    builder.push_slot_always(slot(2), digests);
    builder.push_slot_always(slot(3), checkpoints);
    builder.push_slot(slot(0), algorithm, ALGORITHM_GZIP);
    let compression = builder.end_table(table);

    let table = builder.start_table();
    builder.push_slot_always(slot(0), version);
    builder.push_slot_always(slot(1), tool);
    builder.push_slot_always(slot(4), toc);
    builder.push_slot(slot(2), ztoc.compressed_archive_size as i64, 0);
    builder.push_slot(slot(3), ztoc.uncompressed_archive_size as i64, 0);
    builder.push_slot_always(slot(5), compression);
    let root = builder.end_table(table);
    builder.finish_minimal(root);
    builder.finished_data().to_vec()
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

/// A random number generator that needs no crate (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn text(&mut self, limit: u64) -> Vec<u8> {
        let length = self.below(limit);
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    /// Often 0, which is not stored.
    fn number(&mut self) -> i64 {
        match self.below(3) {
            0 => 0,
            1 => self.below(1 << 20) as i64,
            _ => -(self.below(1 << 40) as i64),
        }
    }
}

fn random_ztoc(random: &mut Random, files: u64) -> Ztoc {
    let mut toc = Toc::new();
    for _ in 0..files {
        let texts: [Vec<u8>; 4] = std::array::from_fn(|_| random.text(14));
        let records = if random.below(4) == 0 { random.below(4) } else { 0 };
        let records: Vec<_> = (0..records).map(|_| (random.text(9), random.text(9))).collect();
        let pax: Vec<_> = records.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).collect();
        let nanoseconds = if random.below(2) == 0 { 0 } else { random.below(1_000_000_000) as u32 };
        let kinds = [FileType::Regular, FileType::Directory, FileType::HardLink, FileType::Fifo];
        toc.push(&Entry {
            name: &texts[0],
            file_type: kinds[random.below(4) as usize],
            uncompressed_offset: random.number(),
            uncompressed_size: random.number(),
            linkname: &texts[1],
            mode: random.number(),
            uid: random.below(3) as u32 * 1000,
            gid: random.below(1 << 32) as u32,
            uname: &texts[2],
            gname: &texts[3],
            mod_time: ModTime { seconds: random.number(), nanoseconds },
            devmajor: random.number(),
            devminor: random.number(),
            pax: &pax,
        })
        .expect("room");
    }
    let size = random.below(1 << 30);
    Ztoc {
        build_tool_identifier: String::from_utf8_lossy(&random.text(30)).into_owned(),
        compressed_archive_size: size * random.below(2),
        uncompressed_archive_size: size * random.below(2),
        toc,
        zinfo: Zinfo::Tar(TarZinfo { span_size: 1 + random.below(1 << 20), size }),
        span_digests: (0..random.below(5)).map(|n| Digest::of(&n.to_le_bytes())).collect(),
    }
}

#[test]
fn same_bytes_as_the_official_crate() {
    let mut random = Random(0x5DEE_CE66_D1CE_4E5B);
    for round in 0..600 {
        let files = if round % 100 == 99 { 2500 + random.below(700) } else { random.below(12) };
        let ztoc = random_ztoc(&mut random, files);
        let encoding = ztoc.encoding().expect("small");
        let ours = ztoc.encode().expect("small");
        assert_eq!(ours.len() as u64, encoding.size(), "round {round}");
        assert!(ours == judge(&ztoc), "round {round}: {files} files");
    }
}

#[test]
fn tar_zinfo_too() {
    for (span_size, size) in [(1, 0), (1, 1), (4 << 20, 1 << 40), (i64::MAX as u64, 7), (0, 0)] {
        let mut builder = FlatBufferBuilder::new();
        let table = builder.start_table();
        builder.push_slot(slot(0), 2, 0);
        builder.push_slot(slot(1), span_size as i64, 0);
        builder.push_slot(slot(2), size as i64, 0);
        let root = builder.end_table(table);
        builder.finish_minimal(root);
        assert_eq!(TarZinfo { span_size, size }.encode(), builder.finished_data());
    }
}

#[test]
fn parts_stay_small() {
    let ztoc = random_ztoc(&mut Random(7), 5000);
    let (mut largest, mut count) = (0, 0);
    let encoding = ztoc.encoding().expect("small");
    let stopped = encoding.parts(|part| {
        largest = largest.max(part.len());
        count += 1;
        if count == 5 { Err("stop") } else { Ok(()) }
    });
    assert_eq!(stopped, Err("stop"));
    assert!(largest < 400 << 10, "{largest}");
}
