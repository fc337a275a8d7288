//! Layers for tests: tars in gzip members of all kinds, small, but with what large ones hold.

use zlib_rs::{Deflate, DeflateFlush};

/// How one member is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Style {
    /// Ten bytes, as Go writes them.
    Plain,
    /// With the extra field of bgzip, which holds the member's size.
    Bgzip,
    /// With name, comment, extra field and header checksum, and a time.
    Full,
}

pub(super) fn member(out: &mut Vec<u8>, style: Style, level: i32, content: &[u8]) {
    let mut deflate = Deflate::new(level, false, 15);
    let mut body = vec![0; content.len() + content.len() / 8 + 1000];
    deflate.compress(content, &mut body, DeflateFlush::Finish).expect("room enough");
    body.truncate(deflate.total_out() as usize);
    let header = match style {
        Style::Plain => b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec(),
        Style::Bgzip => {
            let size = (18 + body.len() + 8 - 1) as u16;
            let header = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0";
            [&header[..], &size.to_le_bytes()].concat()
        }
        Style::Full => {
            let mut header =
                b"\x1f\x8b\x08\x1eTIME\x02\x03\x05\0extraname\0a \x1f\x8b\x08\x1ecomment\0"
                    .to_vec();
            let checksum = crc32fast::hash(&header) as u16;
            header.extend(checksum.to_le_bytes());
            header
        }
    };
    out.extend(header);
    out.extend(body);
    out.extend(crc32fast::hash(content).to_le_bytes());
    out.extend((content.len() as u32).to_le_bytes());
}

/// Bytes that look random and cannot be compressed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| byte()).collect()
}

pub(super) fn text(seed: u64, length: usize) -> Vec<u8> {
    noise(seed, length).iter().map(|byte| b"etaoin shrdlu\n"[usize::from(byte % 14)]).collect()
}

pub(super) fn entry(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    let size = format!("{:011o}", content.len());
    let fields: [(usize, &[u8]); 5] = [
        (0, name.as_bytes()),
        (124, size.as_bytes()),
        (156, b"0"),
        (257, b"ustar\x0000"),
        (148, b"        "),
    ];
    for (offset, bytes) in fields {
        header[offset..][..bytes.len()].copy_from_slice(bytes);
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..][..8].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend(content);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

/// Entries of a tar; its end is the last of them. Some of the content looks like members.
pub(super) fn entries() -> Vec<Vec<u8>> {
    let mut false_members = noise(5, 3000);
    for at in (100..2900).step_by(97) {
        false_members[at..at + 10].copy_from_slice(b"\x1f\x8b\x08\0\0\0\0\0\0\xff");
    }
    let mut archive = Vec::new();
    for number in 0..30 {
        member(&mut archive, Style::Plain, 6, &text(number, 400));
    }
    vec![
        entry("text", &text(1, 9000)),
        entry("empty", b""),
        entry("noise", &noise(2, 5000)),
        entry("false", &false_members),
        entry("zeros", &vec![0; 60_000]),
        entry("archive.gz", &archive),
        entry("small", b"some"),
        entry("more", &[text(3, 3000), noise(4, 3000), text(6, 9000)].concat()),
        vec![0; 1024],
    ]
}

/// Blobs of many members, as the field writes them.
pub(super) fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let entries = entries();
    let tar = entries.concat();
    let pieces = |style, level, size| {
        let mut blob = Vec::new();
        tar.chunks(size).for_each(|piece| member(&mut blob, style, level, piece));
        blob
    };
    let mut estargz = Vec::new();
    for entry in &entries {
        member(&mut estargz, Style::Plain, 9, entry);
    }
    member(&mut estargz, Style::Full, 0, b"");
    let mut bgzip = pieces(Style::Bgzip, 6, 4000);
    member(&mut bgzip, Style::Bgzip, 6, b"");
    let mut mixed = Vec::new();
    for (number, piece) in tar.chunks(1500).enumerate() {
        let style = [Style::Plain, Style::Full, Style::Bgzip][number / 7 % 3];
        member(&mut mixed, style, [0, 1, 6][number % 3], piece);
        if number % 5 == 0 {
            member(&mut mixed, style, 6, b"");
        }
    }
    vec![
        ("estargz", estargz),
        ("bgzip", bgzip),
        ("mixed", mixed),
        ("tiny", pieces(Style::Plain, 6, 37)),
        ("stored", pieces(Style::Plain, 0, 2000)),
        ("few", pieces(Style::Plain, 6, 30_000)),
        ("one", pieces(Style::Plain, 6, usize::MAX)),
    ]
}

/// One member with blocks of all kinds: with codes of their own, stored, fixed, empty.
pub(super) fn long_member() -> Vec<u8> {
    let mut archive = Vec::new();
    for number in 0..40 {
        member(&mut archive, Style::Plain, 6, &text(number, 3000));
    }
    let entries = [
        entry("text", &text(1, 150_000)),
        entry("noise", &noise(2, 90_000)),
        entry("zeros", &vec![0; 300_000]),
        entry("archive.gz", &archive),
        entry("more", &text(9, 250_000)),
        vec![0; 1024],
    ];
    flushed(&entries.concat(), |number| match number % 9 {
        1 => DeflateFlush::SyncFlush,
        2 => DeflateFlush::FullFlush,
        3 | 5 => DeflateFlush::Block,
        4 => DeflateFlush::PartialFlush,
        _ => DeflateFlush::NoFlush,
    })
}

/// A member that is flushed every 7000 bytes.
fn flushed(content: &[u8], flush: impl Fn(usize) -> DeflateFlush) -> Vec<u8> {
    let mut deflate = Deflate::new(6, false, 15);
    let mut body = vec![0; content.len() + 100_000];
    let mut pieces = content.chunks(7000).enumerate().peekable();
    while let Some((number, piece)) = pieces.next() {
        let last = pieces.peek().is_none();
        let flush = if last { DeflateFlush::Finish } else { flush(number) };
        let done = deflate.total_out() as usize;
        deflate.compress(piece, &mut body[done..], flush).expect("room enough");
    }
    body.truncate(deflate.total_out() as usize);
    let mut blob = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    blob.extend(body);
    blob.extend(crc32fast::hash(content).to_le_bytes());
    blob.extend((content.len() as u32).to_le_bytes());
    blob
}

/// A member in which hardly any bytes are free of references to what is far in front.
pub(super) fn far_references() -> Vec<u8> {
    let (base, mut content) = (noise(7, 20_000), Vec::new());
    for turn in 0..40 {
        content.extend(base.iter().enumerate().map(|(at, byte)| match (at + turn * 3) % 11 {
            0 => b'a' + (at * 7 % 26) as u8,
            _ => *byte,
        }));
    }
    flushed(&[entry("far", &content), vec![0; 1024]].concat(), |_| DeflateFlush::Block)
}
