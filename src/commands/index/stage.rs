//! Writes a zTOC blob beside its place while it is encoded and hashed.
//!
//! A zTOC of a million files has 180 MB: encoding, writing and hashing it part by part needs none of
//! them in memory, and hashing can have a thread of its own.

use std::path::Path;
use std::sync::mpsc::sync_channel;

use crate::error::Error;
use crate::layout::commit::{BlobWriter, StagedBlob};
use crate::layout::lock::LockedLayout;
use crate::oci::digest::{Digest, Hasher};
use crate::threads::spawn;
use crate::ztoc::Encoding;

/// From this size in bytes a thread for hashing is worth its start.
const SECOND_THREAD: u64 = 1 << 20;
/// Parts that wait for being hashed.
const WAITING: usize = 8;

/// The zTOC's digest, and its blob unless the layout has it already. The blob gets the mode and owner of
/// `permissions_from`.
pub(super) fn ztoc(
    layout: &LockedLayout,
    encoding: &Encoding<'_>,
    permissions_from: &Path,
    second_thread: bool,
) -> Result<(Digest, Option<StagedBlob>), Error> {
    let mut writer = layout.stage_parts(permissions_from)?;
    let digest = if second_thread && encoding.size() >= SECOND_THREAD {
        together(encoding, &mut writer)?
    } else {
        alone(encoding, &mut writer)?
    };
    if layout.has_sound_file(&digest, encoding.size())? {
        return Ok((digest, None));
    }
    Ok((digest, Some(writer.finish(digest)?)))
}

fn alone(encoding: &Encoding<'_>, writer: &mut BlobWriter) -> Result<Digest, Error> {
    let mut hasher = Hasher::new();
    encoding.parts(|part| {
        hasher.update(part);
        writer.write(part)
    })?;
    Ok(hasher.finish())
}

/// Encodes and writes on this thread and hashes on another, if one can be had.
fn together(encoding: &Encoding<'_>, writer: &mut BlobWriter) -> Result<Digest, Error> {
    let done = std::thread::scope(|scope| {
        let (to_hasher, parts) = sync_channel::<Vec<u8>>(WAITING);
        let (give_back, free) = sync_channel::<Vec<u8>>(WAITING + 2);
        let hashing = spawn(scope, "hash", move || {
            let mut hasher = Hasher::new();
            for part in parts {
                hasher.update(&part);
                // When nobody wants it any more, it is freed.
                let _ = give_back.try_send(part);
            }
            hasher.finish()
        })
        .ok()?;
        let written = encoding.parts(|part| {
            let mut copy = free.try_recv().unwrap_or_default();
            copy.clear();
            copy.extend_from_slice(part);
            // Only a panic ends the other thread early, and joining tells it.
            let _ = to_hasher.send(copy);
            writer.write(part)
        });
        drop(to_hasher);
        Some(match hashing.join() {
            Ok(digest) => written.map(|()| digest),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    });
    done.unwrap_or_else(|| alone(encoding, writer))
}
