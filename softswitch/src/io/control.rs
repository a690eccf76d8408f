//! What the operator says while the switch runs: stop (SIGTERM, SIGINT, Ctrl-C), reload (SIGHUP). And what takes long that commands
//! ask for: reading the configuration, and keeping what it is not in.
//!
//! Signals and errands have threads of their own; what they find crosses to the loop over a bounded channel. Errands are done one
//! after the other, so that a reload finds what was set before it; [`ERRANDS`] may wait, more are refused. Elsewhere than on Unix
//! there is Ctrl-C alone.

use super::run::KeepMailbox;
use crate::config::Config;
use crate::store::StoredMailbox;
use mio::Waker;
use sip_stack::io::Tls;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tracing::error;

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
    /// The configuration is of no use.
    NotConfigured(String),
}

/// Words that may wait. Whoever says more waits too, and not the loop.
const WAITING: usize = 8;
/// Errands that may wait.
const ERRANDS: usize = 8;

/// What takes long.
#[derive(Debug)]
enum Errand {
    Reload,
    Keep(StoredMailbox),
}

/// Has errands done.
#[derive(Clone)]
pub(super) struct Errands(SyncSender<Errand>);

impl Errands {
    /// Has the configuration read; `false` when too much waits.
    pub(super) fn reload(&self) -> bool {
        self.0.try_send(Errand::Reload).is_ok()
    }

    /// Has a mailbox kept; `false` when too much waits.
    pub(super) fn keep(&self, mailbox: StoredMailbox) -> bool {
        self.0.try_send(Errand::Keep(mailbox)).is_ok()
    }
}

/// Starts to listen.
pub(super) fn listen(
    reload: Arc<Reload>,
    keep: Arc<KeepMailbox>,
    waker: Arc<Waker>,
) -> io::Result<(Receiver<Control>, Errands)> {
    let (said, heard) = sync_channel(WAITING);
    let voice = Voice { said, waker };
    let errands = run_errands(reload, keep, voice.clone())?;
    system::listen(errands.clone(), voice)?;
    Ok((heard, errands))
}

fn run_errands(reload: Arc<Reload>, keep: Arc<KeepMailbox>, voice: Voice) -> io::Result<Errands> {
    let (sent, errands) = sync_channel(ERRANDS);
    let run = move || {
        for errand in errands {
            let going_on = match errand {
                Errand::Reload => voice.say(match reload() {
                    Ok(loaded) => Control::Configure(Box::new(loaded)),
                    Err(reason) => Control::NotConfigured(reason),
                }),
                Errand::Keep(mailbox) => {
                    if let Err(reason) = keep(&mailbox) {
                        error!("what is in a mailbox is not kept: {reason}");
                    }
                    true
                }
            };
            if !going_on {
                break;
            }
        }
    };
    std::thread::Builder::new().name("errands".to_owned()).spawn(run)?;
    Ok(Errands(sent))
}

/// Speaks to the loop.
#[derive(Clone)]
struct Voice {
    said: SyncSender<Control>,
    waker: Arc<Waker>,
}

impl Voice {
    /// Whether the loop goes on.
    fn is_heard(&self) -> bool {
        self.waker.wake().is_ok()
    }

    /// `false` when the loop has ended.
    fn say(&self, control: Control) -> bool {
        self.said.send(control).is_ok() && self.waker.wake().is_ok()
    }
}

#[cfg(unix)]
mod system {
    use super::{Control, Errands, Voice, io};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    pub(super) fn listen(errands: Errands, voice: Voice) -> io::Result<()> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let run = move || {
            for signal in signals.forever() {
                let going_on = match signal {
                    // One that does not fit comes after others that wait.
                    SIGHUP => errands.reload() || voice.is_heard(),
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
    use super::{Control, Errands, Voice, io};
    use core::time::Duration;
    use signal_hook::consts::SIGINT;
    use signal_hook::flag;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// How long Ctrl-C may wait to be seen: a handler can set a flag and nothing else.
    const LOOK: Duration = Duration::from_millis(100);

    pub(super) fn listen(_errands: Errands, voice: Voice) -> io::Result<()> {
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
