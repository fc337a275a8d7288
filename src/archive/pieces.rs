//! A blob's bytes on their way from the archive to a scan.
//!
//! Pieces are passed on in memory, a few at a time: a slow scan makes the archive wait, so every blob is
//! scanned when its last byte is there.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::disk::Piece;

/// Pieces that wait for a scan.
const WAITING: usize = 8;

/// Both ends of a new channel.
pub(super) fn channel() -> (PieceSender, PieceReader) {
    let (sender, pieces) = mpsc::channel(WAITING);
    (PieceSender(sender), PieceReader { pieces, piece: Piece::default(), at: 0, complete: false })
}

/// The archive's end.
pub(super) struct PieceSender(Sender<Option<Piece>>);

impl PieceSender {
    /// Passes a piece on; waits while the scan has enough. A scan that has ended early has an error to
    /// tell, or was cancelled, and takes all.
    pub(super) async fn pass(&self, piece: &Piece) {
        let _ = self.0.send(Some(Arc::clone(piece))).await;
    }

    /// That was the last piece. Without this word the blob is not complete.
    pub(super) async fn end(self) {
        let _ = self.0.send(None).await;
    }
}

/// The scan's end: the blob.
pub(super) struct PieceReader {
    pieces: Receiver<Option<Piece>>,
    piece: Piece,
    at: usize,
    complete: bool,
}

impl Read for PieceReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && !self.complete {
            match self.pieces.blocking_recv() {
                Some(Some(next)) => (self.piece, self.at) = (next, 0),
                Some(None) => self.complete = true,
                // Not the end, but no more: it must not be taken for a short blob.
                None => return Err(ErrorKind::ConnectionAborted.into()),
            }
        }
        let count = into.len().min(self.piece.len() - self.at);
        into[..count].copy_from_slice(&self.piece[self.at..][..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(pieces: usize, complete: bool) -> io::Result<Vec<u8>> {
        let (sender, mut reader) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut all = Vec::new();
                reader.read_to_end(&mut all).map(|_| all)
            });
            for number in 0..pieces {
                runtime.block_on(sender.pass(&Arc::new(vec![number as u8; 1000])));
            }
            if complete {
                runtime.block_on(sender.end());
            } else {
                drop(sender);
            }
            reading.join().expect("no panic")
        })
    }

    #[test]
    fn every_byte_arrives_and_a_lost_end_is_an_error() {
        for pieces in [0, 1, WAITING, WAITING + 1, 5 * WAITING] {
            let expected: Vec<u8> = (0..pieces).flat_map(|n| vec![n as u8; 1000]).collect();
            assert!(through(pieces, true).expect("complete") == expected, "{pieces}");
            through(pieces, false).expect_err("it was given up");
        }
    }
}
