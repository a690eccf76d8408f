//! Signals that ask the program to end: SIGTERM, SIGINT and SIGHUP. The phone then leaves in order.
//!
//! A thread of its own waits for them, as it must: nearly nothing may be done where a signal is handled.

use mio::Waker;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a signal came.
pub(super) struct Signals(Arc<AtomicBool>);

impl Signals {
    /// From now on signals do not kill, but wake the phone.
    #[expect(clippy::disallowed_methods, reason = "the edge of the program: signals are waited for")]
    pub(super) fn watch(waker: Arc<Waker>) -> io::Result<Signals> {
        let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let came = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&came);
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if flag.swap(true, Ordering::Relaxed) {
                    // Whoever asks twice does not want to wait for the answers of a server.
                    let _never_returns = signal_hook::low_level::emulate_default_handler(signal);
                }
                let _woken = waker.wake();
            }
        });
        Ok(Signals(came))
    }

    /// Whether the program is asked to end.
    pub(super) fn are_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
