//! The control socket: a thread of its own, between clients and the loop (`control` says what lines mean).
//!
//! The file `control.sock` in the data directory is its owner's alone from the first moment on. Bounds: [`CLIENTS`] at a time, one
//! more is closed at once; [`WAITING`] commands on their way to the loop, more are refused; events in [`Stream`]. A client that does
//! not read costs the loop nothing. The loop leaves events and answers under a lock that is held for a push, and wakes the thread once
//! per turn, when anybody listens.
//!
//! Elsewhere than on Unix there is no such socket.

use crate::control::Stream;
use crate::core::Told;
use crate::core::command::{Actor, Answer, Command, CommandId};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The socket's name in the data directory.
pub(crate) const SOCKET: &str = "control.sock";
/// Commands on their way to the loop.
const WAITING: usize = 64;

/// A command on its way.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) id: CommandId,
    pub(super) actor: Actor,
    pub(super) command: Command,
}

/// What loop and thread share.
#[derive(Default)]
struct Shared {
    mail: Mutex<Mail>,
    /// Somebody follows events.
    followed: AtomicBool,
}

#[derive(Default)]
struct Mail {
    stream: Stream,
    answers: Vec<Answer>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loop's end.
pub(super) struct ControlSocket {
    shared: Arc<Shared>,
    given: Receiver<Given>,
    giver: Option<SyncSender<Given>>,
    #[cfg(unix)]
    thread: Option<unix::Thread>,
    /// There is news since the thread was woken last.
    news: bool,
}

impl ControlSocket {
    /// Keeps events; nobody can come yet.
    pub(super) fn new() -> ControlSocket {
        let (giver, given) = sync_channel(WAITING);
        let (shared, giver) = (Arc::new(Shared::default()), Some(giver));
        ControlSocket {
            shared,
            given,
            giver,
            #[cfg(unix)]
            thread: None,
            news: false,
        }
    }

    /// Keeps an event for those who follow.
    pub(super) fn tell(&mut self, told: Told) {
        self.shared.lock().stream.push(told);
        self.news |= self.shared.followed.load(Ordering::Relaxed);
    }

    /// Hands an answer on.
    pub(super) fn answer(&mut self, answer: Answer) {
        self.shared.lock().answers.push(answer);
        self.news = true;
    }

    /// The next command.
    pub(super) fn poll_command(&self) -> Option<Given> {
        self.given.try_recv().ok()
    }

    /// Wakes the thread if there is news, once per turn.
    pub(super) fn wake(&mut self) {
        if core::mem::take(&mut self.news) {
            #[cfg(unix)]
            if let Some(thread) = &self.thread {
                thread.wake();
            }
        }
    }
}

#[cfg(unix)]
mod unix {
    use super::{ControlSocket, Given, SOCKET, Shared};
    use crate::control::Client;
    use crate::core::command::{CommandId, Run};
    use mio::net::{UnixListener, UnixStream};
    use mio::{Events, Interest, Poll, Token, Waker};
    use std::collections::BTreeMap;
    use std::io::{self, ErrorKind, Read, Write};
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::SyncSender;
    use std::thread::JoinHandle;
    use tracing::error;

    /// Clients at a time.
    const CLIENTS: usize = 32;
    const LISTENER: Token = Token(usize::MAX - 1);
    const WAKER: Token = Token(usize::MAX);

    /// The thread.
    pub(super) struct Thread {
        waker: Arc<Waker>,
        stop: Arc<std::sync::atomic::AtomicBool>,
        handle: Option<JoinHandle<()>>,
        path: PathBuf,
    }

    impl Thread {
        pub(super) fn wake(&self) {
            if let Err(error) = self.waker.wake() {
                error!(%error, "the control socket was not woken");
            }
        }
    }

    impl Drop for Thread {
        fn drop(&mut self) {
            self.stop.store(true, Ordering::Relaxed);
            self.wake();
            if let Some(handle) = self.handle.take() {
                // It panics only if writing to a client does.
                let _ = handle.join();
            }
            let _gone = std::fs::remove_file(&self.path);
        }
    }

    impl ControlSocket {
        /// Opens the socket in the data directory. `wake` wakes the loop.
        ///
        /// # Errors
        /// What the system says: the path is too long for a socket, or somebody else listens at it.
        pub(in super::super) fn open(
            &mut self,
            data: &Path,
            run: Run,
            wake: impl Fn() + Send + 'static,
        ) -> io::Result<()> {
            let path = data.join(SOCKET);
            let mut listener = bind(&path)?;
            let poll = Poll::new()?;
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
            let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
            let Some(giver) = self.giver.take() else { return Err(io::Error::other("it is open already")) };
            let server = Server {
                poll,
                listener,
                clients: BTreeMap::new(),
                last_client: 0,
                last_command: 0,
                run,
                shared: Arc::clone(&self.shared),
                giver,
            };
            let stopped = Arc::clone(&stop);
            let serve = move || server.run(&stopped, wake);
            let handle = std::thread::Builder::new().name("control-socket".to_owned()).spawn(serve)?;
            self.thread = Some(Thread { waker, stop, handle: Some(handle), path });
            Ok(())
        }
    }

    /// Binds the socket. One that nobody listens at any more is replaced; any other file is left alone, and is an error.
    fn bind(path: &Path) -> io::Result<UnixListener> {
        use std::os::unix::net;
        let is_socket = || std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        let refuses = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
        if net::UnixStream::connect(path).is_err_and(refuses) && is_socket() {
            std::fs::remove_file(path)?;
        }
        // Private from its first moment: a mode that is set later alone would leave one in which others can connect. What another
        // thread makes meanwhile is private, too, and no worse for it.
        let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
        let bound = net::UnixListener::bind(path);
        nix::sys::stat::umask(before);
        let listener = bound?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(UnixListener::from_std(listener))
    }

    struct Server {
        poll: Poll,
        listener: UnixListener,
        clients: BTreeMap<usize, (UnixStream, Client)>,
        last_client: usize,
        last_command: u64,
        run: Run,
        shared: Arc<Shared>,
        giver: SyncSender<Given>,
    }

    impl Server {
        fn run(mut self, stop: &std::sync::atomic::AtomicBool, wake: impl Fn()) {
            let mut events = Events::with_capacity(64);
            while !stop.load(Ordering::Relaxed) {
                match self.poll.poll(&mut events, None) {
                    Err(error) if error.kind() != ErrorKind::Interrupted => {
                        error!(%error, "the control socket has ended");
                        return;
                    }
                    Ok(()) | Err(_) => {}
                }
                let mut gave = false;
                for event in &events {
                    match event.token() {
                        LISTENER => self.accept(),
                        WAKER => {}
                        Token(client) => gave |= self.read(client),
                    }
                }
                if gave {
                    wake();
                }
                self.attend();
            }
            // The last news: answers to a command that ends the switch, and what became of its calls.
            self.attend();
        }

        fn accept(&mut self) {
            while let Ok((mut stream, _)) = self.listener.accept() {
                if self.clients.len() >= CLIENTS {
                    continue;
                }
                self.last_client += 1;
                let interest = Interest::READABLE | Interest::WRITABLE;
                if self.poll.registry().register(&mut stream, Token(self.last_client), interest).is_ok() {
                    let run = CommandId(self.run.id(0)).to_string();
                    let client = Client::new(&run, &self.shared.lock().stream);
                    self.clients.insert(self.last_client, (stream, client));
                }
            }
        }

        /// Reads what a client has sent; whether it has given commands.
        fn read(&mut self, number: usize) -> bool {
            let Some((stream, client)) = self.clients.get_mut(&number) else { return false };
            let (mut gave, mut buffer) = (false, [0; 4_096]);
            while !client.is_over() {
                let octets = match stream.read(&mut buffer) {
                    Ok(0) => {
                        self.clients.remove(&number);
                        return gave;
                    }
                    Ok(length) => buffer.get(..length).unwrap_or_default(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(_) => {
                        self.clients.remove(&number);
                        return gave;
                    }
                };
                let wishes = client.receive(octets, &self.shared.lock().stream);
                for wish in wishes {
                    self.last_command += 1;
                    let id = CommandId(self.run.id(self.last_command));
                    let given = Given { id, actor: wish.actor, command: wish.command };
                    if self.giver.try_send(given).is_ok() {
                        client.note(id, wish.request);
                        gave = true;
                    } else {
                        client.refuse(wish.request);
                    }
                }
            }
            gave
        }

        /// Tells clients what there is for them, as far as they read.
        fn attend(&mut self) {
            if self.clients.values().any(|(_, client)| client.following().is_some()) {
                // Before the stream is looked at: what comes after that look finds it so.
                self.shared.followed.store(true, Ordering::Relaxed);
            }
            let answers = core::mem::take(&mut self.shared.lock().answers);
            for answer in &answers {
                // One whose client is gone is nobody's.
                let _told = self.clients.values_mut().any(|(_, client)| client.answer(answer));
            }
            self.clients.retain(|_, (stream, client)| {
                loop {
                    if let Some(next) = client.following() {
                        let portion = self.shared.lock().stream.portion(next);
                        client.attend(portion);
                    }
                    if client.unread().is_empty() {
                        return !client.is_over();
                    }
                    match stream.write(client.unread()) {
                        Ok(0) => return false,
                        Ok(length) => client.written(length),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return !client.is_over(),
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(_) => return false,
                    }
                }
            });
            if !self.clients.values().any(|(_, client)| client.following().is_some()) {
                self.shared.followed.store(false, Ordering::Relaxed);
            }
        }
    }
}
