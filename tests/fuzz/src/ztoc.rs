//! zTOC decoding: what is decoded is encoded to bytes that decode to the same, which encode the same.
//!
//! The input is compressed in the simplest way, as checkpoints carry windows of 32 KiB: `fe LO HI`
//! stands for that many zeros, `fe 00 00` for the byte `fe`.

use soci_layout::ztoc::{Zinfo, Ztoc};

use crate::tables::assert_same;

/// Most bytes that are decoded.
const MOST: usize = 256 << 10;

/// See the module.
pub fn check(data: &[u8]) {
    let bytes = expand(data);
    let Ok(first) = Ztoc::decode(&bytes) else { return };
    assert_eq!(first.span_digests.len() as u64, first.zinfo.span_count());
    if let Zinfo::Gzip(gzip) = &first.zinfo {
        assert_eq!(gzip.checkpoints().len(), gzip.len());
        assert!(!gzip.is_empty());
    }
    // Tables may share texts, so that a small zTOC stands for a large one; that costs time only.
    if first.toc.len() > 4096 {
        return;
    }
    let once = first.encode().expect("small");
    let second = Ztoc::decode(&once).unwrap_or_else(|error| panic!("own bytes: {error}"));
    assert_same(&first.toc, &second.toc, "decoded again");
    assert!(first.zinfo == second.zinfo);
    assert_eq!(first.span_digests, second.span_digests);
    assert_eq!(first.build_tool_identifier, second.build_tool_identifier);
    assert_eq!(first.compressed_archive_size, second.compressed_archive_size);
    assert_eq!(first.uncompressed_archive_size, second.uncompressed_archive_size);
    assert_eq!(first.can_disable_xattrs(), second.can_disable_xattrs());
    let twice = second.encode().expect("small");
    assert!(*once == *twice, "encoding is not stable");
}

/// See the module.
#[must_use]
pub fn expand(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = data;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (0xfe, [0, 0, tail @ ..]) => {
                out.push(0xfe);
                tail
            }
            (0xfe, [low, high, tail @ ..]) => {
                let zeros = usize::from(u16::from_le_bytes([*low, *high]));
                out.resize((out.len() + zeros).min(MOST), 0);
                tail
            }
            _ => {
                out.push(*first);
                tail
            }
        };
        if out.len() >= MOST {
            break;
        }
    }
    out
}

/// The inverse of [`expand`], for making seeds.
#[must_use]
pub fn shrink(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        let zeros = rest.iter().take(0xffff).take_while(|byte| **byte == 0).count();
        if zeros > 3 {
            out.push(0xfe);
            out.extend_from_slice(&(zeros as u16).to_le_bytes());
            rest = &rest[zeros..];
            continue;
        }
        out.push(*first);
        if *first == 0xfe {
            out.extend_from_slice(&[0, 0]);
        }
        rest = &rest[1..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{expand, shrink};

    #[test]
    fn shrinks_without_loss() {
        let mut bytes = b"a\xfeb\0\0\0".to_vec();
        bytes.resize(100_000, 0);
        bytes.extend_from_slice(&[1, 0, 0, 0xfe]);
        assert!(shrink(&bytes).len() < 24);
        assert!(expand(&shrink(&bytes)) == bytes);
    }
}
