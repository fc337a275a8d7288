//! The archive's bytes: read on a thread of its own, handed to the async side in large pieces.
//!
//! A read from a pipe can block for as long as a build takes, so it must not stand in the way of
//! Ctrl-C: the async side looks for it ten times a second, whether bytes come or not. A thread that is
//! still in a read when the run is over ends with the process, or when the other end closes.

use std::io::{self, Cursor, ErrorKind, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::layer::zstd::{Damaged, Zstd, is_zstd};
use crate::layer::{Buffer, ScanObserver};

/// Bytes per piece: few hand-overs for a fast pipe, little to hold.
const PIECE: usize = 256 << 10;
/// Pieces read ahead.
const AHEAD: usize = 4;
/// How often cancellation is looked for while nothing comes.
const LOOK: Duration = Duration::from_millis(100);

/// Why reading stopped, carried through the layers above inside of [`io::Error`].
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("cancelled")]
    Cancelled,
    /// The operating system.
    #[error(transparent)]
    Read(io::Error),
    /// The outer compression.
    #[error("the {format} data is damaged or cut short: {problem}")]
    Decode { format: &'static str, problem: String },
    /// More than so many bytes without a member.
    #[error("more than {0} bytes of headers for one member")]
    HeadersTooLong(u64),
}

impl Stop {
    /// Whether an error carries one.
    pub(super) fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

impl From<Stop> for io::Error {
    fn from(stop: Stop) -> Self {
        Self::other(stop)
    }
}

/// The source as the async side sees it.
pub(super) struct Feed<'a> {
    pieces: mpsc::Receiver<io::Result<Buffer>>,
    piece: Buffer,
    at: usize,
    /// Bytes of the source, before zstd.
    read: Arc<AtomicU64>,
    look: Interval,
    watch: &'a dyn ScanObserver,
}

impl<'a> Feed<'a> {
    /// Starts reading. Needs a runtime with time. `watch` is told how many bytes of the source were read.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(super) fn start(
        source: Box<dyn Read + Send>,
        watch: &'a dyn ScanObserver,
    ) -> io::Result<Self> {
        let (to_async, pieces) = mpsc::channel(AHEAD);
        let read = Arc::<AtomicU64>::default();
        let source = Counted { source, read: Arc::clone(&read) };
        std::thread::Builder::new()
            .name("read".to_owned())
            .spawn(move || read_all(source, &to_async))?;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { pieces, piece: Buffer::new(0), at: 0, read, look, watch })
    }
}

/// The source, counting what was read of it.
struct Counted {
    source: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(into)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

fn read_all(mut source: Counted, to_async: &mpsc::Sender<io::Result<Buffer>>) {
    let mut head = vec![0; 4];
    match fill(&mut source, &mut head) {
        Ok(count) => head.truncate(count),
        Err(error) => {
            let _ = to_async.blocking_send(Err(error));
            return;
        }
    }
    let is_zstd = is_zstd(&head);
    let source = Cursor::new(head).chain(source);
    if is_zstd {
        hand_over(Zstd::new(source), to_async);
    } else {
        hand_over(source, to_async);
    }
}

fn hand_over(mut source: impl Read, to_async: &mpsc::Sender<io::Result<Buffer>>) {
    loop {
        let mut piece = Buffer::new(PIECE);
        let result = fill(&mut source, &mut piece);
        let ended = result.as_ref().map_or(true, |count| *count < PIECE);
        let piece = result.map(|count| {
            piece.truncate(count);
            piece
        });
        if to_async.blocking_send(piece).is_err() || ended {
            return;
        }
    }
}

/// Reads until the buffer is full or the source ends.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut full = 0;
    while full < buffer.len() {
        match source.read(&mut buffer[full..]) {
            Ok(0) => break,
            Ok(count) => full += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(full)
}

impl AsyncBufRead for Feed<'_> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.at == this.piece.len() {
            if this.watch.cancelled() {
                return Poll::Ready(Err(Stop::Cancelled.into()));
            }
            match this.pieces.poll_recv(cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    this.watch.progress(this.read.load(Ordering::Relaxed));
                    (this.piece, this.at) = (piece, 0);
                }
                Poll::Ready(Some(Err(error))) => {
                    let stop = match Damaged::of(&error) {
                        Some(Damaged { problem, .. }) => {
                            Stop::Decode { format: "zstd", problem: problem.clone() }
                        }
                        None => Stop::Read(error),
                    };
                    return Poll::Ready(Err(stop.into()));
                }
                Poll::Ready(None) => break,
                Poll::Pending => ready!(this.look.poll_tick(cx).map(|_| ())),
            }
        }
        Poll::Ready(Ok(&this.piece[this.at..]))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().at += amount;
    }
}

impl AsyncRead for Feed<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = ready!(self.as_mut().poll_fill_buf(cx))?;
        let count = bytes.len().min(into.remaining());
        into.put_slice(&bytes[..count]);
        self.consume(count);
        Poll::Ready(Ok(()))
    }
}
