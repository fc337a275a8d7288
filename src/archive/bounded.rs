//! Where in the archive reading is, and how much may be read before the next member.
//!
//! The tar reader keeps long names and PAX records in memory, as long as their headers say they are. So
//! between two members only so many bytes are let through.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::feed::Stop;

/// Most bytes of headers (long names, PAX records) before a member. Real ones take 2 KiB.
const MAX_HEADERS: u64 = 1 << 20;

/// The state that reader and owner share; both are on one thread.
#[derive(Debug, Default)]
pub(super) struct Position {
    bytes: AtomicU64,
    limit: AtomicU64,
    ended: AtomicBool,
}

impl Position {
    /// Bytes of the archive read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the end of the input has been met.
    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// From here on headers are read.
    pub(super) fn expect_headers(&self) {
        self.limit.store(self.bytes().saturating_add(MAX_HEADERS), Ordering::Relaxed);
    }

    /// From here on content is read, which is not kept.
    pub(super) fn expect_content(&self) {
        self.limit.store(u64::MAX, Ordering::Relaxed);
    }
}

/// Counts, and stops where headers do not end.
pub(super) struct Bounded<R> {
    inner: R,
    position: Arc<Position>,
}

impl<R> Bounded<R> {
    pub(super) fn new(inner: R, position: Arc<Position>) -> Self {
        Self { inner, position }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.position.bytes() >= this.position.limit.load(Ordering::Relaxed) {
            return Poll::Ready(Err(Stop::HeadersTooLong(MAX_HEADERS).into()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, into))?;
        let count = (into.filled().len() - before) as u64;
        this.position.bytes.fetch_add(count, Ordering::Relaxed);
        if count == 0 {
            this.position.ended.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}
