//! The thread of the stream sockets as its owner sees it: its start and the handle to speak to it (`driver` is what it
//! does).
//!
//! Commands and reports cross by two rings with one producer and one consumer each, and no locks. A full command ring
//! gives the command back; while the report ring is full the thread reads nothing from the network and obeys no command,
//! so that nothing is lost and peers are slowed down by TCP itself.

use super::counters::{Counters, Counts};
use super::driver::Driver;
use super::listener::{ListenError, Listener};
use super::streams::{Command, Listening, Report, StreamsConfig};
use crate::Time;
use crate::transport::Transport;
use core::sync::atomic::{AtomicBool, Ordering, fence};
use mio::{Poll, Token, Waker};
use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use thiserror::Error;
use tracing::debug;

pub(super) const WAKER: Token = Token(usize::MAX);

/// Why there is no thread.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A listener for TLS or WSS without certificates.
    #[error("{} {}: no certificate for TLS", .0.transport.name(), .0.address)]
    NoCertificate(Listening),
    /// The system gives no poll, no waker or no thread.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// The command ring is full. The command comes back.
#[derive(Debug, Error)]
#[error("the command queue of the stream sockets is full")]
pub struct QueueFull(pub Box<Command>);

/// What both sides see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Whether the thread waits in the poll.
    pub(super) polling: AtomicBool,
    /// Whether the thread waits for room in the report ring.
    pub(super) blocked: AtomicBool,
    pub(super) stop: AtomicBool,
    pub(super) counts: Counts,
}

/// The owner's end: commands in, reports out. Dropping it closes all connections and stops the thread.
pub struct Streams {
    commands: HeapProd<Command>,
    reports: HeapCons<Report>,
    listening: Vec<Listening>,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// Binds the listeners and starts the thread, named `sip-streams`.
///
/// `seed` feeds what need not be secret: WebSocket masks, tags of refusals, intervals. `clock` is read on the thread.
/// `on_report` is called there at most once per turn, after reports were put into the ring: it should wake the owner
/// and return.
///
/// # Errors
/// [`StartError`]: an address that is taken, a TLS listener without a certificate, or what the system refuses.
pub fn start(
    config: StreamsConfig,
    seed: [u8; 32],
    clock: impl Fn() -> Time + Send + 'static,
    on_report: impl Fn() + Send + 'static,
) -> Result<Streams, StartError> {
    let listeners = bind(&config)?;
    let listening = listeners.iter().map(|listener| listener.listening).collect();
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    let (commands, command_ends) = HeapRb::new(config.bounds.commands.max(1)).split();
    let (report_starts, reports) = HeapRb::new(config.bounds.reports.max(1)).split();
    let shared = Arc::new(Shared::default());
    let ends = (command_ends, report_starts);
    let driver = Driver::new(poll, listeners, config, seed, ends, Arc::clone(&shared))?;
    let run = move || driver.run(&clock, &on_report);
    let thread = std::thread::Builder::new().name("sip-streams".to_owned()).spawn(run)?;
    Ok(Streams { commands, reports, listening, shared, waker, thread: Some(thread) })
}

fn bind(config: &StreamsConfig) -> Result<Vec<Listener>, StartError> {
    let has_certificate = config.tls.as_ref().is_some_and(|tls| tls.server.is_some());
    let bind = |listening: &Listening| match listening.transport {
        Transport::Tls | Transport::Wss if !has_certificate => Err(StartError::NoCertificate(*listening)),
        Transport::Udp | Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
            Ok(Listener::bind(*listening)?)
        }
    };
    config.listeners.iter().map(bind).collect()
}

impl Streams {
    /// Puts a command into the ring. Call [`Self::wake`] after the last one of a batch.
    ///
    /// # Errors
    /// [`QueueFull`] gives the command back.
    pub fn send(&mut self, command: Command) -> Result<(), QueueFull> {
        self.commands.try_push(command).map_err(|command| {
            self.shared.counts.commands_refused.add();
            QueueFull(Box::new(command))
        })
    }

    /// Lets the thread see the commands sent so far. A system call only when it sleeps.
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.shared.polling.swap(false, Ordering::SeqCst) {
            self.end_poll();
        }
    }

    /// The next report. Take them until there is none: that is when a thread that waits for room goes on.
    pub fn poll_report(&mut self) -> Option<Report> {
        let report = self.reports.try_pop();
        if report.is_none() {
            // Against the thread, which says that it is blocked and then looks at the ring once more.
            fence(Ordering::SeqCst);
            if self.shared.blocked.load(Ordering::Relaxed)
                && self.shared.blocked.swap(false, Ordering::SeqCst)
            {
                self.end_poll();
            }
        }
        report
    }

    /// What is listened on, with the ports that the system chose, in the order of the configuration.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.counts.read()
    }

    /// Whether the thread is alive. It ends when this is dropped, unless it panicked or lost its poll.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn end_poll(&self) {
        // It can fail only when the poll is gone, and then there is nobody to wake.
        if let Err(error) = self.waker.wake() {
            debug!(%error, "thread of the stream sockets not woken");
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.end_poll();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the stream sockets panicked");
        }
    }
}
