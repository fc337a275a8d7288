//! The archive's bytes: read on a thread of its own, handed to the async side in large pieces.
//!
//! A read from a pipe can block for as long as a build takes, so it must not stand in the way of
//! Ctrl-C: the async side looks for it ten times a second, whether bytes come or not. A thread that is
//! still in a read when the run is over ends with the process, or when the other end closes.

use std::io::{self, ErrorKind, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

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
    /// More than [`super::bounded::MAX_HEADERS`] bytes without a member.
    #[error("more than {0} bytes of headers for one member")]
    HeadersTooLong(u64),
}

impl From<Stop> for io::Error {
    fn from(stop: Stop) -> Self {
        Self::other(stop)
    }
}

/// What the feed tells and asks.
pub(super) trait Watch {
    /// Bytes read from the source so far.
    fn progress(&self, bytes: u64);
    /// Whether to give up.
    fn cancelled(&self) -> bool;
}

/// The source as the async side sees it.
pub(super) struct Feed<'a> {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
    read: u64,
    look: Interval,
    watch: &'a dyn Watch,
}

impl<'a> Feed<'a> {
    /// Starts reading. Needs a runtime with time.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(super) fn start(source: Box<dyn Read + Send>, watch: &'a dyn Watch) -> io::Result<Self> {
        let (to_async, pieces) = mpsc::channel(AHEAD);
        std::thread::Builder::new()
            .name("read".to_owned())
            .spawn(move || read(source, &to_async))?;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { pieces, piece: Vec::new(), at: 0, read: 0, look, watch })
    }
}

fn read(mut source: Box<dyn Read + Send>, to_async: &mpsc::Sender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let result = source.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        let ended = result.as_ref().is_ok_and(|_| piece.len() < PIECE);
        // What came before an error is worth nothing without the rest.
        if to_async.blocking_send(result.map(|_| piece)).is_err() || ended {
            return;
        }
    }
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
                    this.read += piece.len() as u64;
                    this.watch.progress(this.read);
                    (this.piece, this.at) = (piece, 0);
                }
                Poll::Ready(Some(Err(error))) if error.kind() == ErrorKind::Interrupted => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Stop::Read(error).into())),
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
