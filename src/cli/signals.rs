//! SIGINT and SIGTERM end a run in order: what was begun is dropped, temporary files with it.
//!
//! The first signal only leaves a note that the run looks at; a second one ends the process at once,
//! for those who cannot wait. Either way `index.json` is the old one, or the new one if its rename was
//! already done.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::exit::Exit;

static CAUGHT: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Begins to listen. Without handlers (which only a broken system refuses) a signal ends the process
/// as it always did.
pub(crate) fn install() {
    let caught = CAUGHT.get_or_init(Arc::default);
    let again = Arc::new(AtomicBool::new(false));
    for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
        let code = i32::from(exit.code());
        // In this order: the second signal finds what the first one set.
        let _ = flag::register_conditional_shutdown(signal, code, Arc::clone(&again));
        let _ = flag::register(signal, Arc::clone(&again));
        let _ = flag::register_usize(signal, Arc::clone(caught), signal.unsigned_abs() as usize);
    }
}

/// How the program ends because of a signal, if there was one.
pub(crate) fn caught() -> Option<Exit> {
    match CAUGHT.get()?.load(Ordering::Relaxed) as i32 {
        SIGINT => Some(Exit::Interrupted),
        SIGTERM => Some(Exit::Terminated),
        _ => None,
    }
}
