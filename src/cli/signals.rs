//! SIGINT and SIGTERM end a run in order: what was begun is dropped, temporary files with it.
//!
//! The first signal leaves a note that the run looks at, and wakes a thread. Wherever the run is (opening a pipe
//! without a writer, writing to one without a reader, in a long loop), the thread gives it a moment and then
//! ends the process, when no commit is under way and the temporary files are gone. A second signal ends the process
//! at once. Always `index.json` is the old one, or the new one if its rename was already done.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

use super::exit::Exit;

static CAUGHT: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// The moment that a run has to end by itself.
const GRACE: Duration = Duration::from_millis(200);

/// Begins to listen. Without handlers (which only a broken system refuses) a signal ends the process
/// as it always did.
pub(crate) fn install() {
    let caught = CAUGHT.get_or_init(Arc::default);
    // Where no thread can be had that sees to the rest, already the first signal ends the process at once.
    let watched = watch();
    let again = Arc::new(AtomicBool::new(watched.is_none()));
    for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
        let code = i32::from(exit.code());
        // In this order: the second signal finds what the first one set, and the thread what was caught.
        let _ = flag::register_conditional_shutdown(signal, code, Arc::clone(&again));
        let _ = flag::register(signal, Arc::clone(&again));
        let _ = flag::register_usize(signal, Arc::clone(caught), signal.unsigned_abs() as usize);
        if let Some(waker) = watched.as_ref().and_then(|waker| waker.try_clone().ok()) {
            let _ = low_level::pipe::register(signal, waker);
        }
    }
}

/// Starts the thread; what is written to the stream wakes it.
fn watch() -> Option<UnixStream> {
    let (waker, mut woken) = UnixStream::pair().ok()?;
    let watch = move || {
        // Ends only with a signal, as the other end stays open.
        let _ = woken.read_exact(&mut [0]);
        if let Some(exit) = caught() {
            std::thread::sleep(GRACE);
            soci_layout::abandon(GRACE);
            // Nothing is flushed: that could wait for ever.
            low_level::exit(i32::from(exit.code()));
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(watch).ok()?;
    Some(waker)
}

/// How the program ends because of a signal, if there was one.
pub(crate) fn caught() -> Option<Exit> {
    match CAUGHT.get()?.load(Ordering::Relaxed) as i32 {
        SIGINT => Some(Exit::Interrupted),
        SIGTERM => Some(Exit::Terminated),
        _ => None,
    }
}
