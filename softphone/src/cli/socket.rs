//! The local socket: programs give commands in lines and hear events in JSON.
//!
//! Bounds: [`CLIENTS`] at a time, one more is closed at once; [`BACKLOG`] octets that a client has not read yet, one more and it
//! is cut off; [`LINE`] octets in a line. Only the user's own processes can open it, from the first moment on.

use rustix::fs::Mode;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
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
    last_client: u64,
}

/// A client, as long as there is one of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientId(u64);

struct Client {
    id: ClientId,
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl ControlSocket {
    /// Opens the socket. One that nobody listens at any more is replaced; any other file is left alone, and is an error.
    pub(super) fn bind(path: &Path) -> io::Result<ControlSocket> {
        let is_socket =
            || std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
        // A plain file refuses connections, too.
        if UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
            && is_socket()
        {
            std::fs::remove_file(path)?;
        }
        // Private from its first moment: a mode set later alone would leave one in which others can connect. What another
        // thread makes meanwhile is private, too, and no worse for it.
        let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        let bound = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = bound?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(ControlSocket { listener, path: path.to_owned(), clients: Vec::new(), last_client: 0 })
    }

    /// The lines that came since last time, and who gave them.
    pub(super) fn lines(&mut self) -> Vec<(ClientId, String)> {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.clients.len() < CLIENTS && stream.set_nonblocking(true).is_ok() {
                self.last_client += 1;
                let id = ClientId(self.last_client);
                self.clients.push(Client { id, stream, incoming: Vec::new(), outgoing: Vec::new() });
            }
        }
        let mut lines = Vec::new();
        self.clients.retain_mut(|client| client.read(&mut lines) && client.flush());
        lines
    }

    /// Tells every client.
    pub(super) fn tell(&mut self, lines: &[String]) {
        self.clients.retain_mut(|client| client.tell(lines));
    }

    /// Tells one client, if it is still there.
    pub(super) fn answer(&mut self, id: ClientId, lines: &[String]) {
        self.clients.retain_mut(|client| client.id != id || client.tell(lines));
    }
}

impl Client {
    /// Writes lines; whether the client is still there, and reads them.
    fn tell(&mut self, lines: &[String]) -> bool {
        for line in lines {
            self.outgoing.extend_from_slice(line.as_bytes());
            self.outgoing.push(b'\n');
        }
        self.flush() && self.outgoing.len() <= BACKLOG
    }

    /// Reads what there is; whether the client is still there.
    fn read(&mut self, lines: &mut Vec<(ClientId, String)>) -> bool {
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
            lines.push((self.id, String::from_utf8_lossy(&line).trim().to_owned()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_private_and_replaces_a_dead_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        // Nobody listens at it any more, and its file is left.
        drop(UnixListener::bind(&path).unwrap());
        let socket = ControlSocket::bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(ControlSocket::bind(&path).is_err(), "this one is alive");
        drop(socket);
        assert!(!path.exists());
        std::fs::write(&path, "notes").unwrap();
        assert!(ControlSocket::bind(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"notes");
    }

    #[test]
    fn an_answer_goes_to_who_asked_and_an_event_to_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let mut socket = ControlSocket::bind(&path).unwrap();
        let mut clients = [UnixStream::connect(&path).unwrap(), UnixStream::connect(&path).unwrap()];
        clients[1].write_all(b"status\n").unwrap();
        let lines = socket.lines();
        let [(asked, line)] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(line, "status");
        socket.answer(*asked, &["ok".to_owned()]);
        socket.tell(&["event".to_owned()]);
        drop(socket);
        let heard = clients.map(|mut client| {
            let mut heard = String::new();
            client.read_to_string(&mut heard).unwrap();
            heard
        });
        assert_eq!(heard, ["event\n", "ok\nevent\n"]);
    }
}
