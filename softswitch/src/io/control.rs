//! What the operator says while the switch runs: stop (SIGTERM, SIGINT, Ctrl-C), reload (SIGHUP).
//!
//! Signals and the reading of the configuration have threads of their own; what they find crosses to the loop over a
//! bounded channel. Elsewhere than on Unix there is Ctrl-C alone.

use crate::config::Config;
use mio::Waker;
use sip_stack::io::Tls;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// A configuration, and the certificates that it names.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, users made by command included.
    pub config: Config,
    /// The certificates.
    pub tls: Option<Tls>,
}

/// Reads the configuration and the users made by command; the error is for the operator.
pub(super) type Reload = dyn Fn() -> Result<Loaded, String> + Send + Sync;

/// What was said.
#[derive(Debug)]
pub(super) enum Control {
    /// Stop in order; said again: at once.
    Stop,
    /// Here is another configuration.
    Configure(Box<Loaded>),
}

/// Words that may wait. Whoever says more waits too, and not the loop.
const WAITING: usize = 8;

/// Starts to listen.
pub(super) fn listen(reload: Arc<Reload>, waker: Arc<Waker>) -> io::Result<Receiver<Control>> {
    let (said, heard) = sync_channel(WAITING);
    system::listen(reload, Voice { said, waker })?;
    Ok(heard)
}

/// Speaks to the loop.
struct Voice {
    said: SyncSender<Control>,
    waker: Arc<Waker>,
}

impl Voice {
    /// `false` when the loop has ended.
    fn say(&self, control: Control) -> bool {
        self.said.send(control).is_ok() && self.waker.wake().is_ok()
    }
}

#[cfg(unix)]
mod system {
    use super::{Arc, Control, Reload, Voice, io};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use tracing::error;

    pub(super) fn listen(reload: Arc<Reload>, voice: Voice) -> io::Result<()> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let run = move || {
            for signal in signals.forever() {
                let going_on = match signal {
                    SIGHUP => match reload() {
                        Ok(loaded) => voice.say(Control::Configure(Box::new(loaded))),
                        Err(reason) => {
                            error!("the configuration stays as it is:\n{reason}");
                            true
                        }
                    },
                    _ => voice.say(Control::Stop),
                };
                if !going_on {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("control".to_owned()).spawn(run)?;
        Ok(())
    }
}

#[cfg(not(unix))]
mod system {
    use super::{Arc, Control, Reload, Voice, io};
    use core::time::Duration;
    use signal_hook::consts::SIGINT;
    use signal_hook::flag;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// How long Ctrl-C may wait to be seen: a handler can set a flag and nothing else.
    const LOOK: Duration = Duration::from_millis(100);

    pub(super) fn listen(_reload: Arc<Reload>, voice: Voice) -> io::Result<()> {
        let pressed = Arc::new(AtomicBool::new(false));
        flag::register(SIGINT, Arc::clone(&pressed))?;
        let run = move || {
            loop {
                std::thread::park_timeout(LOOK);
                if pressed.swap(false, Ordering::SeqCst) && !voice.say(Control::Stop) {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("control".to_owned()).spawn(run)?;
        Ok(())
    }
}
