//! Standard output, written to the byte and with every error told.
//!
//! Rust's own puts `/dev/null` in the place of a closed one before `main` begins, and takes one that is open for
//! reading alone for written. Both would lose what was asked for and end with exit code 0.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, fcntl_getfd};

/// Whether standard output was closed when the process began.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks before Rust's runtime does.
extern "C" fn look() {
    let closed = fcntl_getfd(rustix::stdio::stdout()).is_err();
    CLOSED.store(closed, Ordering::Relaxed);
}

// SAFETY: the loader calls what this section lists, once and before `main`; `look` needs nothing that is set up
// later, as it only makes one system call and sets an atomic.
#[expect(unsafe_code, reason = "nothing later than the loader can see it")]
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Standard output. Nothing is buffered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stdout;

impl Stdout {
    /// The file behind it.
    ///
    /// # Errors
    /// When it is closed.
    pub(crate) fn file() -> io::Result<BorrowedFd<'static>> {
        if CLOSED.load(Ordering::Relaxed) {
            return Err(Errno::BADF.into());
        }
        Ok(rustix::stdio::stdout())
    }
}

impl io::Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(Self::file()?, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
