//! The local socket: programs give commands in lines and hear events in JSON.
//!
//! Bounds: [`CLIENTS`] at a time, one more is closed at once; [`BACKLOG`] octets that a client has not read yet, one more and it
//! is cut off; [`LINE`] octets in a line. Only the user's own processes can open it.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Clients at a time.
const CLIENTS: usize = 16;
/// What a client may leave unread, beyond what the system keeps for it.
const BACKLOG: usize = 256 * 1024;
/// The longest line.
const LINE: usize = 4_096;

/// The socket and its clients. The file goes with it.
pub(super) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    clients: Vec<Client>,
}

struct Client {
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl ControlSocket {
    /// Opens the socket. One that nobody listens at any more is replaced.
    pub(super) fn bind(path: &Path) -> io::Result<ControlSocket> {
        if UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(ControlSocket { listener, path: path.to_owned(), clients: Vec::new() })
    }

    /// The lines that came since last time.
    pub(super) fn lines(&mut self) -> Vec<String> {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.clients.len() < CLIENTS && stream.set_nonblocking(true).is_ok() {
                self.clients.push(Client { stream, incoming: Vec::new(), outgoing: Vec::new() });
            }
        }
        let mut lines = Vec::new();
        self.clients.retain_mut(|client| client.read(&mut lines) && client.flush());
        lines
    }

    /// Tells every client.
    pub(super) fn tell(&mut self, lines: &[String]) {
        self.clients.retain_mut(|client| {
            for line in lines {
                client.outgoing.extend_from_slice(line.as_bytes());
                client.outgoing.push(b'\n');
            }
            client.flush() && client.outgoing.len() <= BACKLOG
        });
    }
}

impl Client {
    /// Reads what there is; whether the client is still there.
    fn read(&mut self, lines: &mut Vec<String>) -> bool {
        let mut buffer = [0; 1_024];
        let open = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break false,
                Ok(length) => self.incoming.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
                Err(_) => break false,
            }
            if self.incoming.len() > 4 * LINE {
                break true;
            }
        };
        while let Some(end) = self.incoming.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.incoming.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line).trim().to_owned());
        }
        open && self.incoming.len() <= LINE
    }

    /// Writes what can be written now; whether the client is still there.
    fn flush(&mut self) -> bool {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(0) => return false,
                Ok(length) => drop(self.outgoing.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        true
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}
